// Package rows writes roomcall's messages into the tables of schema.sql.
package rows

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	wait       = 30 * time.Second // bounds one transaction
	maxPayload = 256 << 10        // bytes; a birth is the largest, with half of that
)

// Kinds are the records to keep; each kind has a table with its name.
var Kinds = []string{"sample", "stream", "event", "call", "minute"}

// Notices are the retained messages of an agent about itself; each is a column of the
// table agent. An empty one, by which somebody forgets the agent, removes its row.
var Notices = []string{"availability", "birth", "health"}

// State is the retained newest sample of a room: a row of the table room. An empty one
// removes it.
const State = "state"

// Message is one message from the broker, of one of the Kinds or Notices, or State.
type Message struct {
	Topic    string // as in MQTT, with slashes
	Payload  []byte
	Retained bool // from the broker's memory, so not of this moment
}

// content are the classes of PostgreSQL's errors that are the content's fault: a value, a
// constraint, or a limit of the program, such as too long an id.
var content = []string{"22", "23", "54"}

// Write returns nil when every message is committed, or skipped because the database can
// never accept it, which is logged; then the broker may forget them all. They are one
// transaction; if the database rejects the content of one, each half is tried by itself.
func Write(ctx context.Context, db *pgx.Conn, list []Message) error {
	err := write(ctx, db, list)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && slices.Contains(content, refused.Code[:2]) {
		if len(list) == 1 {
			slog.Error("record skipped", "topic", list[0].Topic, "err", err)
			return nil
		}
		half := len(list) / 2
		if err := Write(ctx, db, list[:half]); err != nil {
			return err
		}
		return Write(ctx, db, list[half:])
	}
	return err
}

// write makes one statement a table, because that is half of the database's work of one
// a record.
func write(ctx context.Context, db *pgx.Conn, list []Message) error {
	var batch pgx.Batch                      // a batch is one transaction
	tables := map[string]map[string]string{} // kind, id, document
	words := map[string][]Message{}          // notices by agent
	rooms := map[[2]string]Message{}         // states by agent and device
	for _, m := range list {
		parts := strings.Split(m.Topic, "/")
		parent, kind := parts[len(parts)-2], parts[len(parts)-1] // kind is one that the program subscribes to
		switch {
		case len(m.Payload) > maxPayload:
			slog.Error("too long, skipped", "topic", m.Topic, "bytes", len(m.Payload))
			continue
		case slices.Contains(Notices, kind):
			words[parent] = append(words[parent], m)
			continue
		case kind == State:
			rooms[[2]string{parts[len(parts)-3], parent}] = m // of two the second
			continue
		}
		// The broker's access list lets an agent write below its own client id only, so
		// nobody replaces the record of another one.
		var record struct{ ID string }
		if err := json.Unmarshal(m.Payload, &record); err != nil || !strings.HasPrefix(record.ID, parts[len(parts)-3]+".") {
			slog.Error("not a record of this agent, skipped", "topic", m.Topic)
			continue
		}
		if tables[kind] == nil {
			tables[kind] = map[string]string{}
		}
		tables[kind][record.ID] = string(m.Payload) // of two copies the second
	}
	// Always in the same order, so that two writers of the same records wait for each
	// other instead of blocking each other.
	for _, kind := range slices.Sorted(maps.Keys(tables)) {
		ids := slices.Sorted(maps.Keys(tables[kind]))
		docs := make([]string, len(ids))
		for i, id := range ids {
			docs[i] = tables[kind][id]
		}
		batch.Queue("insert into "+pgx.Identifier{kind}.Sanitize()+" (id, doc) select id, doc::jsonb from unnest($1::text[], $2::text[]) as r (id, doc) on conflict (id) do update set doc = excluded.doc",
			ids, docs)
	}
	for _, clientID := range slices.Sorted(maps.Keys(words)) {
		for _, m := range words[clientID] {
			queueNotice(&batch, clientID, path.Base(m.Topic), m)
		}
	}
	queueRooms(&batch, rooms)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return db.SendBatch(ctx, &batch).Close()
}

func queueNotice(batch *pgx.Batch, clientID, notice string, m Message) {
	switch text := string(m.Payload); {
	case text == "":
		batch.Queue("delete from agent where client_id = $1", clientID)
	case notice == "availability":
		batch.Queue("insert into agent (client_id, availability) values ($1, $2) on conflict (client_id) do update set availability = excluded.availability, since = case when agent.availability is distinct from excluded.availability then now() else agent.since end",
			clientID, text)
	default:
		column := pgx.Identifier{notice}.Sanitize()
		batch.Queue("insert into agent (client_id, "+column+", heard) values ($1, $2::text::jsonb, $3) on conflict (client_id) do update set "+column+" = excluded."+column+", heard = greatest(agent.heard, excluded.heard)",
			clientID, text, heard(m))
	}
}

func queueRooms(batch *pgx.Batch, rooms map[[2]string]Message) {
	var clients, devices, docs []string
	var at []*time.Time
	byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	for _, room := range slices.SortedFunc(maps.Keys(rooms), byName) {
		m := rooms[room]
		if len(m.Payload) == 0 {
			batch.Queue("delete from room where (client_id, device) = ($1, $2)", room[0], room[1])
			continue
		}
		clients, devices = append(clients, room[0]), append(devices, room[1])
		docs, at = append(docs, string(m.Payload)), append(at, heard(m))
	}
	if len(docs) > 0 {
		batch.Queue("insert into room (client_id, device, doc, heard) select client_id, device, doc::jsonb, heard from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as r (client_id, device, doc, heard) on conflict (client_id, device) do update set doc = excluded.doc, heard = greatest(room.heard, excluded.heard) where excluded.ts >= room.ts or room.heard < now() - interval '1 minute'",
			clients, devices, docs, at)
	}
}

// heard is when the agent said m: now, but what the broker retained is as old as it says,
// or of unknown age.
func heard(m Message) *time.Time {
	now := time.Now()
	if !m.Retained {
		return &now
	}
	var said struct {
		TsMs int64 `json:"ts_ms"`
	}
	if err := json.Unmarshal(m.Payload, &said); err != nil || said.TsMs == 0 {
		return nil
	}
	if at := time.UnixMilli(said.TsMs); at.Before(now) {
		return &at
	}
	return &now
}
