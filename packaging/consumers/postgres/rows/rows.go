// Package rows writes roomcall's messages into the tables of schema.sql.
package rows

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// wait bounds one transaction.
const wait = 30 * time.Second

// Kinds are the records to keep; each kind has a table with its name.
var Kinds = []string{"sample", "stream", "event", "call", "minute"}

// Notices are the retained messages of an agent about itself; each is a column of the
// table agent. An empty one, by which somebody forgets the agent, removes its row.
var Notices = []string{"availability", "birth", "health"}

// Message is one message from the broker, of one of the Kinds or Notices.
type Message struct {
	Topic   string // as in MQTT, with slashes
	Payload []byte
}

// Write returns nil when every message is committed, or skipped because the database can
// never accept it, which is logged; then the broker may forget them all. They are one
// transaction; if the database rejects the content of one, they are written one by one.
func Write(ctx context.Context, db *pgx.Conn, list []Message) error {
	err := write(ctx, db, list)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "23")) {
		if len(list) == 1 {
			slog.Error("record skipped", "topic", list[0].Topic, "err", err)
			return nil
		}
		for _, m := range list {
			if err := Write(ctx, db, []Message{m}); err != nil {
				return err
			}
		}
		return nil
	}
	return err
}

// write makes one statement a table, because that is half of the database's work of one
// a record.
func write(ctx context.Context, db *pgx.Conn, list []Message) error {
	var batch pgx.Batch                      // a batch is one transaction
	tables := map[string]map[string]string{} // kind, id, document
	for _, m := range list {
		parts := strings.Split(m.Topic, "/")
		kind := parts[len(parts)-1] // one of Kinds or Notices, by the subscription
		if slices.Contains(Notices, kind) {
			queueNotice(&batch, parts[len(parts)-2], kind, string(m.Payload))
			continue
		}
		var record struct{ ID string }
		if err := json.Unmarshal(m.Payload, &record); err != nil || record.ID == "" {
			slog.Error("not a record, skipped", "topic", m.Topic)
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
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return db.SendBatch(ctx, &batch).Close()
}

func queueNotice(batch *pgx.Batch, clientID, notice, text string) {
	switch {
	case text == "":
		batch.Queue("delete from agent where client_id = $1", clientID)
	case notice == "availability":
		batch.Queue("insert into agent (client_id, availability) values ($1, $2) on conflict (client_id) do update set availability = excluded.availability, since = case when agent.availability is distinct from excluded.availability then now() else agent.since end",
			clientID, text)
	default:
		column := pgx.Identifier{notice}.Sanitize()
		batch.Queue("insert into agent (client_id, "+column+") values ($1, $2::text::jsonb) on conflict (client_id) do update set "+column+" = excluded."+column,
			clientID, text)
	}
}
