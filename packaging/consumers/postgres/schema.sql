-- Tables for roomcall's records in PostgreSQL 12 or newer (tested with 15). One table
-- per kind, one row per record: its id and the record as it arrived. The other columns
-- are computed from the record, so a new key needs no change here; it is in doc at once.
--
--   psql -d roomcall -f schema.sql
--
-- Writing is an upsert by id, so a record that arrives twice is one row:
--
--   insert into sample (id, doc) values ($1, $2)
--   on conflict (id) do update set doc = excluded.doc;

begin;

-- In another encoding records with, say, Chinese names would be rejected one by one.
do $$ begin
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'this database has the encoding %; records need UTF8', current_setting('server_encoding');
  end if;
end $$;

create table record (
  id        text primary key,
  -- Each agent has its own ids, and no other client_id in its records.
  doc       jsonb not null check (coalesce(doc->>'id' = id and doc->>'client_id' = split_part(id, '.', 1), false)),
  ts        timestamptz generated always as (to_timestamp((doc->>'ts_ms')::bigint / 1000.0::float8)) stored,
  client_id text   generated always as (doc->>'client_id') stored,
  device    text   generated always as (doc->>'device') stored,
  site      text   generated always as (doc->>'site') stored,
  -- The room's name, or the device if it has none.
  room      text   generated always as (coalesce(nullif(doc->>'room', ''), doc->>'device')) stored,
  epoch     bigint generated always as ((doc->>'epoch')::bigint) stored,
  seq       bigint generated always as ((doc->>'seq')::bigint) stored,
  call_id   text   generated always as (doc->>'call_id') stored
);
comment on table record is 'The template of the five tables; always empty.';

create table sample (like record including all);
create table stream (like record including all);
create table event  (like record including all);
create table call   (like record including all);
create table minute (like record including all);

alter table sample
  add column endpoint_state text generated always as (doc->>'endpoint_state') stored,
  add column grade          text generated always as (doc->>'grade') stored;

alter table stream
  add column media     text generated always as (doc->>'media') stored,
  add column direction text generated always as (doc->>'direction') stored,
  add column stream    int  generated always as ((doc->>'stream')::int) stored;

alter table event
  add column type        text generated always as (doc->>'type') stored,
  add column severity    text generated always as (doc->>'severity') stored,
  add column incident_id text generated always as (doc->>'incident_id') stored,
  add column since   timestamptz generated always as (to_timestamp((doc->>'since_ms')::bigint / 1000.0::float8)) stored,
  add column value   float8 generated always as ((doc->>'value')::float8) stored,
  add column "limit" float8 generated always as ((doc->>'limit')::float8) stored;

alter table call
  add column started      timestamptz generated always as (to_timestamp((doc->>'start_ms')::bigint / 1000.0::float8)) stored,
  add column ended        timestamptz generated always as (to_timestamp((doc->>'end_ms')::bigint / 1000.0::float8)) stored,
  add column duration_s   float8 generated always as ((doc->>'duration_s')::float8) stored,
  add column coverage_pct float8 generated always as ((doc->>'coverage_pct')::float8) stored,
  add column grade        text   generated always as (doc->>'grade') stored,
  add column cause        text   generated always as (doc->>'cause') stored,
  add column seconds_good    float8 generated always as ((doc->>'seconds_good')::float8) stored,
  add column seconds_fair    float8 generated always as ((doc->>'seconds_fair')::float8) stored,
  add column seconds_poor    float8 generated always as ((doc->>'seconds_poor')::float8) stored,
  add column seconds_unknown float8 generated always as ((doc->>'seconds_unknown')::float8) stored;

-- The start of the minute; ts is its end.
alter table minute
  add column started timestamptz generated always as (to_timestamp((doc->>'minute_ms')::bigint / 1000.0::float8)) stored;

-- What each agent says about itself, retained at the broker: one row an agent.
create table agent (
  client_id    text primary key,
  availability text check (availability in ('online', 'offline', 'lost')),
  since        timestamptz not null default now(), -- of the availability, by this database's clock
  birth        jsonb,
  health       jsonb,
  heard        timestamptz, -- its last birth or health, by the clock of the consumer
  site         text   generated always as (coalesce(birth->>'site', health->>'site')) stored,
  version      text   generated always as (coalesce(birth->>'version', health->>'version')) stored,
  config       text   generated always as (birth->>'config_hash') stored,
  started      timestamptz generated always as (to_timestamp((birth->>'started_ms')::bigint / 1000.0::float8)) stored,
  devices      int    generated always as (jsonb_array_length(birth->'devices') + coalesce((birth->>'devices_omitted')::int, 0)) stored,
  status       text   generated always as (health->>'status') stored,
  codes        text   generated always as (health->>'codes') stored,
  problem      text   generated always as (health->>'text') stored,
  waiting      bigint generated always as ((health->>'waiting')::bigint) stored
);

-- The newest sample of each room, retained at the broker as its state. Unlike sample it is
-- there whatever kinds the agents record, and it is gone when the device leaves the config.
create table room (
  client_id text,
  device    text,
  doc       jsonb not null,
  heard     timestamptz, -- its last state, by the clock of the consumer
  ts        timestamptz not null generated always as (to_timestamp((doc->>'ts_ms')::bigint / 1000.0::float8)) stored,
  site      text generated always as (doc->>'site') stored,
  room      text generated always as (coalesce(nullif(doc->>'room', ''), device)) stored,
  call_id   text generated always as (doc->>'call_id') stored,
  endpoint_state text generated always as (doc->>'endpoint_state') stored,
  grade     text generated always as (doc->>'grade') stored,
  reasons   text generated always as (doc->>'grade_reasons') stored,
  primary key (client_id, device)
) with (fillfactor = 50); -- each row changes with each poll

create index on sample (client_id, device, ts desc);
create index on stream (client_id, device, ts desc);
create index on event  (ts);
create index on event  (incident_id);
create index on event  (call_id);
create index on event  (client_id, device, type, ts desc);
create index on call   (started);
create index on call (call_id);
create index on minute (client_id, device, started);
create index on minute (started);
create index on sample (call_id, ts);
create index on stream (call_id, ts);
-- Rows come about in order of time, so this one is small: all rooms of an hour.
create index on sample using brin (ts);

-- Every room as it is now. since is how long ago it was heard of: a silent room is not
-- the same as an idle one.
create view room_now as
select client_id, device, site, room, ts, now() - heard as since, endpoint_state, grade, reasons, call_id, doc
from room;

-- Every agent: who is there, on which version and config, and how it is doing. Configs
-- are the same where config is; no two agents have the same, because client_id is in it.
create view agent_now as
select client_id, site, coalesce(availability, 'unknown') as availability, now() - since as since,
  version, config, started, devices, status, codes, problem, waiting, now() - heard as heard
from agent;

-- Which versions are out, the most frequent first.
create view version_now as
select version, count(*) as agents, count(*) filter (where availability = 'online') as online,
  sum(devices) as rooms, min(started) as longest_running
from agent_now group by version order by agents desc;

-- Who is silent: an agent that is lost, that was stopped, or that is connected and has
-- sent no health for 11 minutes (it sends one every 5); and a room without a state for 5
-- minutes although its agent is well. since is how long.
create view silent as
select client_id, null as device, site, null as room, devices as rooms,
  case availability when 'online' then 'no health' else availability end as why,
  case availability when 'online' then heard else since end as since, null as endpoint_state
from agent_now
where availability <> 'online' or heard > interval '11 minutes'
union all
select r.client_id, r.device, r.site, r.room, 1, 'no state', r.since, r.endpoint_state
from room_now r left join agent_now a using (client_id)
where r.since > interval '5 minutes' and coalesce(a.availability, 'online') = 'online'
  and coalesce(a.heard, '0') <= interval '11 minutes';

-- The opening and closing event of an incident in one row; ended is null while it lasts.
create view incident as
select o.incident_id, o.client_id, o.device, o.site, o.room, o.type, o.severity, o.call_id,
  o.since as started, c.ts as ended, o.doc->>'metric' as metric, o.value, o."limit",
  o.doc->>'code' as code, o.doc->>'scope' as scope, o.doc->>'metrics' as metrics, o.doc->>'text' as text
from event o
left join event c on (c.incident_id, c.client_id) = (o.incident_id, o.client_id) and c.type in ('quality.recovered', 'endpoint.online')
where o.type in ('quality.degraded', 'endpoint.offline', 'endpoint.refused', 'endpoint.busy', 'endpoint.error', 'endpoint.clock_off');

-- Which room is bad now, the worst first: in a call that is poor or fair, or not usable.
-- metric is what is worst in its newest reading, since the start of the open incident, or
-- of this grade in this call where there is none (fair opens none). Silent agents' rooms
-- are in silent, because nobody knows how they are.
create view bad_now as
select r.client_id, r.device, r.site, r.room, r.endpoint_state, r.grade, r.metric,
  case jsonb_typeof(m.value) when 'number' then m.value::float8 end as value,
  coalesce(i.started, (
    select min(s.ts) from sample s where s.call_id = r.call_id and s.ts > coalesce(
      (select max(p.ts) from sample p where p.call_id = r.call_id and p.grade is distinct from r.grade), '-infinity')),
    r.ts) as since,
  i.scope, i.text, r.call_id
from (
  select n.*, case when endpoint_state = 'in_call' then nullif(split_part(reasons, ',', 1), '') end as metric,
    case endpoint_state when 'in_call' then 'quality.degraded' when 'refused' then 'endpoint.refused' when 'error' then 'endpoint.error'
      when 'unreachable' then 'endpoint.offline' else 'endpoint.busy' end as type
  from room_now n
  where endpoint_state = 'in_call' and grade in ('poor', 'fair') and since < interval '5 minutes'
    or endpoint_state in ('unreachable', 'refused', 'error', 'busy', 'upgrading')
) r
left join agent a using (client_id)
left join lateral (select coalesce(r.doc->(r.metric || '_pct'), r.doc->(r.metric || '_ms'), r.doc->r.metric) as value) m on true
left join lateral (
  select o.incident_id, o.since as started, o.doc->>'scope' as scope, o.doc->>'text' as text from event o
  where (o.client_id, o.device, o.type) = (r.client_id, r.device, r.type) order by o.ts desc limit 1
) i on not exists (select from event c where (c.incident_id, c.client_id) = (i.incident_id, r.client_id) and c.type in ('quality.recovered', 'endpoint.online'))
where coalesce(a.availability, 'online') = 'online'
order by array_position(array['unreachable', 'refused', 'error', 'busy', 'upgrading', 'in_call'], r.endpoint_state), r.grade desc, since;

-- Gaps in seq: how many records are missing, by topic. 0 rows = none. It reads all rows.
create view hole as
select kind, client_id, device, epoch, max(seq) - min(seq) + 1 - count(*) as missing
from (
  select 'sample' as kind, client_id, device, epoch, seq from sample
  union all select 'stream', client_id, device, epoch, seq from stream
  union all select 'event', client_id, device, epoch, seq from event
  union all select 'call', client_id, device, epoch, seq from call
  union all select 'minute', client_id, device, epoch, seq from minute
) as r
group by kind, client_id, device, epoch
having max(seq) - min(seq) + 1 <> count(*);

-- Keeps calls for years and samples for days: run it once a day.
create procedure forget(samples_after interval default '7 days', minutes_after interval default '90 days')
language sql as $$
  delete from sample where ts < now() - samples_after;
  delete from stream where ts < now() - samples_after;
  delete from minute where ts < now() - minutes_after;
$$;

commit;
