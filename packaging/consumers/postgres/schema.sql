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

create table record (
  id        text primary key,
  doc       jsonb not null check (doc->>'id' = id),
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
  add column incident_id text generated always as (doc->>'incident_id') stored;

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
  health       jsonb
);

-- Who is there, on which version, and how it is doing.
create view agent_now as
select client_id, coalesce(availability, 'unknown') as availability, now() - since as since,
  birth->>'version' as version, health->>'status' as status, health->>'text' as problem,
  (health->>'waiting')::bigint as waiting, jsonb_array_length(birth->'devices') as devices
from agent;

create index on sample (client_id, device, ts desc);
create index on stream (client_id, device, ts desc);
create index on event  (ts);
create index on event  (incident_id);
create index on event  (call_id);
create index on call   (started);
create index on call (call_id);
create index on minute (client_id, device, started);
create index on minute (started);
create index on sample (call_id, ts);
create index on stream (call_id, ts);
-- Rows come about in order of time, so this one is small: all rooms of an hour.
create index on sample using brin (ts);

-- Every room with its newest sample. since is the age of that sample: a silent room is
-- not the same as an idle one. The index is walked room by room, so this stays fast
-- however many samples there are.
create view room_now as
with recursive room as (
  (select client_id, device from sample order by client_id, device limit 1)
  union all
  select n.* from room r, lateral (
    select s.client_id, s.device from sample s
    where (s.client_id, s.device) > (r.client_id, r.device) order by s.client_id, s.device limit 1) n
)
select n.client_id, n.device, n.site, n.room, n.ts, now() - n.ts as since, n.endpoint_state, n.grade,
  n.doc->>'grade_reasons' as reasons, n.call_id, n.doc
from room r, lateral (
  select * from sample s where (s.client_id, s.device) = (r.client_id, r.device) order by s.ts desc limit 1) n;

-- The opening and closing event of an incident in one row; ended is null while it lasts.
create view incident as
select o.incident_id, o.client_id, o.device, o.room, o.type, o.severity, o.call_id,
  to_timestamp((o.doc->>'since_ms')::bigint / 1000.0::float8) as started, c.ts as ended,
  o.doc->>'metric' as metric, (o.doc->>'value')::float8 as value, (o.doc->>'limit')::float8 as "limit",
  o.doc->>'code' as code, o.doc->>'scope' as scope, o.doc->>'metrics' as metrics, o.doc->>'text' as text
from event o
left join event c on c.incident_id = o.incident_id and c.type in ('quality.recovered', 'endpoint.online')
where o.type in ('quality.degraded', 'endpoint.offline', 'endpoint.refused', 'endpoint.busy', 'endpoint.error', 'endpoint.clock_off');

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
