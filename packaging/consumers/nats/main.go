// Command nats writes roomcall's records from NATS JetStream into PostgreSQL, into the
// tables of ../postgres/schema.sql.
//
// Promise: a record is acknowledged to NATS after its transaction is committed, never
// before. NATS keeps a record for the durable consumers that `cluster.sh setup` makes,
// whether this program is running or not. So no record that an agent counts as delivered
// is lost, and one that arrives twice is one row. A record that the database can never
// accept is logged and skipped.
//
// Start it more than once, on one machine or several, and the copies share the work.
//
// NATS_URL names the nodes (nats://nats-1:4222,nats://nats-2:4222 or tls://...), NATS_USER
// and NATS_PASSWORD_FILE the account, NATS_CA_FILE the authority of their certificates.
// DATABASE_URL is the database (or the PG* variables of libpq).
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomcall/packaging/consumers/postgres/rows"
)

const (
	durable  = "postgres"            // the name of both consumers; copies share it
	pause    = 5 * time.Second       // before the next attempt
	wait     = 30 * time.Second      // for NATS or the database to answer
	maxBatch = 1000                  // messages a transaction, and as many read ahead
	linger   = 20 * time.Millisecond // for further messages
)

// Streams of the server. MQTT clients write here, and only here a PUBACK comes from: it
// says that the record is on most of the replicas of messages.
const (
	messages = "$MQTT_msgs"  // what is published, until each consumer has acknowledged it
	retained = "$MQTT_rmsgs" // the newest retained message of each topic
)

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

// run ends with the database, or when NATS does not know the consumers. The connection to
// NATS repairs itself. What was not acknowledged is delivered again.
func run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nc, err := connect()
	if err != nil {
		return fmt.Errorf("connect to NATS (NATS_URL): %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// Apart, because notices come one at a time: so the newest is always the last.
	streams := []string{messages, retained}
	ended := make(chan error, len(streams))
	for _, stream := range streams {
		go func() {
			err := read(ctx, js, stream)
			cancel() // the other one as well
			ended <- err
		}()
	}
	for range streams {
		err = cmp.Or(err, <-ended)
	}
	return err
}

func connect() (*nats.Conn, error) {
	options := []nats.Option{nats.Name("roomcall-postgres"), nats.CustomInboxPrefix("_INBOX." + durable),
		nats.MaxReconnects(-1), nats.Timeout(wait)}
	if file := os.Getenv("NATS_CA_FILE"); file != "" {
		options = append(options, nats.RootCAs(file))
	}
	if user := os.Getenv("NATS_USER"); user != "" {
		password, err := os.ReadFile(os.Getenv("NATS_PASSWORD_FILE"))
		if err != nil {
			return nil, fmt.Errorf("read NATS_PASSWORD_FILE: %w", err)
		}
		options = append(options, nats.UserInfo(user, strings.TrimSpace(string(password))))
	}
	return nats.Connect(os.Getenv("NATS_URL"), options...)
}

// read writes what its durable consumer delivers until ctx ends.
func read(ctx context.Context, js jetstream.JetStream, stream string) error {
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	lookUp, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	consumer, err := js.Consumer(lookUp, stream, durable)
	if err != nil {
		return fmt.Errorf("consumer %s of %s, which `cluster.sh setup` makes: %w", durable, stream, err)
	}
	waiting, err := consumer.Messages(jetstream.PullMaxMessages(maxBatch))
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	defer context.AfterFunc(ctx, waiting.Stop)()
	defer waiting.Stop()
	slog.Info("reading", "stream", stream)
	most := maxBatch
	if stream == retained {
		most = 1 // before it is acknowledged no second one comes
	}
	for {
		list, err := batch(waiting, most)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		var write []rows.Message
		for _, m := range list {
			message := rows.Message{Topic: topic(m.Subject()), Payload: m.Data()}
			write = append(write, message)
			// A room is as its newest sample says: a state a poll is too much to be read one
			// at a time, as the notices are.
			if room, isSample := strings.CutSuffix(message.Topic, "/sample"); isSample {
				write = append(write, rows.Message{Topic: room + "/" + rows.State, Payload: message.Payload, Retained: true})
			}
		}
		if err := rows.Write(ctx, db, write); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		for _, m := range list {
			if err := m.Ack(); err != nil {
				return fmt.Errorf("acknowledge: %w", err)
			}
		}
	}
}

// batch waits for a message and collects those that follow at once, for one transaction,
// most together.
func batch(waiting jetstream.MessagesContext, most int) ([]jetstream.Msg, error) {
	first, err := waiting.Next()
	if err != nil {
		return nil, err
	}
	list := []jetstream.Msg{first}
	for len(list) < most {
		m, err := waiting.Next(jetstream.NextMaxWait(linger))
		if err != nil {
			break // nothing waits; the next call says what else it is
		}
		list = append(list, m)
	}
	return list, nil
}

// topic turns the subject that a message has in one of the streams into its MQTT topic.
func topic(subject string) string {
	for _, prefix := range []string{"$MQTT.msgs.", "$MQTT.rmsgs."} {
		subject = strings.TrimPrefix(subject, prefix)
	}
	return strings.ReplaceAll(subject, ".", "/")
}
