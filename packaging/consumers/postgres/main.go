// Command postgres writes roomcall's records into PostgreSQL (schema.sql).
//
// Promise: a record is acknowledged to the broker after its transaction is
// committed, never before; the session stays at the broker while this program is
// not running. So no record that the broker has is lost, and one that arrives twice
// is one row. A record that the database can never accept is logged and skipped.
//
// BROKER_URL (tcp://host:1883, tls://host:8883), MQTT_USER and MQTT_PASSWORD_FILE
// name the broker, DATABASE_URL the database (or the PG* variables of libpq),
// TOPIC_PREFIX the agents' topic_prefix.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	wait     = 30 * time.Second // for the broker or the database to answer
	pause    = 5 * time.Second  // before the next attempt
	maxBatch = 500              // records per transaction
)

// kinds are the records to keep; each kind has a table with its name.
var kinds = []string{"sample", "stream", "event", "call", "minute"}

// notices are the retained messages of an agent about itself; each is a column of the
// table agent. An empty one, by which somebody forgets the agent, removes its row.
var notices = []string{"availability", "birth", "health"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			slog.Error("starting again", "in", pause, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// run ends with its connection to the broker or to the database. What was not
// acknowledged on them is delivered again on the next ones.
func run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	messages := make(chan mqtt.Message, maxBatch)
	broker, err := subscribe(ctx, messages, cancel)
	if err != nil {
		return err
	}
	defer broker.Disconnect(250)
	slog.Info("reading", "broker", os.Getenv("BROKER_URL"))
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-messages:
			if err := store(ctx, db, batch(m, messages)); err != nil {
				return fmt.Errorf("write records: %w", err)
			}
		}
	}
}

func subscribe(ctx context.Context, out chan<- mqtt.Message, lost context.CancelCauseFunc) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL"))
	o.SetClientID(cmp.Or(os.Getenv("MQTT_CLIENT_ID"), "roomcall-postgres")).SetCleanSession(false)
	o.SetAutoReconnect(false).SetAutoAckDisabled(true).SetOrderMatters(false)
	o.SetConnectTimeout(wait).SetWriteTimeout(wait).SetProtocolVersion(4)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(fmt.Errorf("connection to the broker lost: %w", err)) })
	take := func(_ mqtt.Client, m mqtt.Message) {
		select {
		case out <- m:
		case <-ctx.Done():
		}
	}
	o.SetDefaultPublishHandler(take)
	if user := os.Getenv("MQTT_USER"); user != "" {
		password, err := os.ReadFile(os.Getenv("MQTT_PASSWORD_FILE"))
		if err != nil {
			return nil, fmt.Errorf("read MQTT_PASSWORD_FILE: %w", err)
		}
		o.SetUsername(user).SetPassword(strings.TrimSpace(string(password)))
	}
	filters := map[string]byte{}
	prefix := cmp.Or(os.Getenv("TOPIC_PREFIX"), "roomcall/v1")
	for _, kind := range kinds {
		filters[prefix+"/+/+/"+kind] = 1
	}
	for _, notice := range notices {
		filters[prefix+"/+/"+notice] = 1
	}
	c := mqtt.NewClient(o)
	if err := settled(c.Connect()); err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	if err := settled(c.SubscribeMultiple(filters, take)); err != nil {
		c.Disconnect(0)
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return c, nil
}

func settled(t mqtt.Token) error {
	if !t.WaitTimeout(wait) {
		return errors.New("no answer")
	}
	return t.Error()
}

// batch collects what already waits, up to maxBatch, for one transaction.
func batch(first mqtt.Message, more <-chan mqtt.Message) []mqtt.Message {
	list := []mqtt.Message{first}
	for len(list) < maxBatch {
		select {
		case m := <-more:
			list = append(list, m)
		default:
			return list
		}
	}
	return list
}

// store writes the messages in one transaction and acknowledges them. If the database
// rejects the content of one, they are written one by one.
func store(ctx context.Context, db *pgx.Conn, list []mqtt.Message) error {
	err := write(ctx, db, list)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "23")):
		if len(list) == 1 {
			slog.Error("record skipped", "topic", list[0].Topic(), "err", err)
			break
		}
		for _, m := range list {
			if err := store(ctx, db, []mqtt.Message{m}); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		return err
	}
	for _, m := range list {
		m.Ack()
	}
	return nil
}

// write makes one statement a table, because that is half of the database's work of one
// a record.
func write(ctx context.Context, db *pgx.Conn, list []mqtt.Message) error {
	var rows pgx.Batch // a batch is one transaction
	type records struct {
		ids, docs []string
		at        map[string]int // the place of an id; of two copies the second is written
	}
	tables := map[string]*records{}
	for _, m := range list {
		parts := strings.Split(m.Topic(), "/")
		kind := parts[len(parts)-1] // one of kinds or notices, by the subscription
		if slices.Contains(notices, kind) {
			queueNotice(&rows, parts[len(parts)-2], kind, string(m.Payload()))
			continue
		}
		var record struct{ ID string }
		if err := json.Unmarshal(m.Payload(), &record); err != nil || record.ID == "" {
			slog.Error("not a record, skipped", "topic", m.Topic())
			continue
		}
		t := tables[kind]
		if t == nil {
			t = &records{at: map[string]int{}}
			tables[kind] = t
		}
		if i, twice := t.at[record.ID]; twice {
			t.docs[i] = string(m.Payload())
			continue
		}
		t.at[record.ID] = len(t.ids)
		t.ids, t.docs = append(t.ids, record.ID), append(t.docs, string(m.Payload()))
	}
	for kind, t := range tables {
		rows.Queue("insert into "+pgx.Identifier{kind}.Sanitize()+" (id, doc) select id, doc::jsonb from unnest($1::text[], $2::text[]) as r (id, doc) on conflict (id) do update set doc = excluded.doc",
			t.ids, t.docs)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return db.SendBatch(ctx, &rows).Close()
}

func queueNotice(rows *pgx.Batch, clientID, notice, text string) {
	switch {
	case text == "":
		rows.Queue("delete from agent where client_id = $1", clientID)
	case notice == "availability":
		rows.Queue("insert into agent (client_id, availability) values ($1, $2) on conflict (client_id) do update set availability = excluded.availability, since = case when agent.availability is distinct from excluded.availability then now() else agent.since end",
			clientID, text)
	default:
		column := pgx.Identifier{notice}.Sanitize()
		rows.Queue("insert into agent (client_id, "+column+") values ($1, $2::text::jsonb) on conflict (client_id) do update set "+column+" = excluded."+column,
			clientID, text)
	}
}
