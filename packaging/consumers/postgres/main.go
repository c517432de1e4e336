// Command postgres writes roomcall's records into PostgreSQL (schema.sql).
//
// Promise: a record is acknowledged to the broker after its transaction is
// committed, never before; the session stays at the broker while this program is
// not running. So no record that the broker has is lost, and one that arrives twice
// is one row. A record that the database can never accept is logged and skipped.
//
// BROKER_URL (tcp://host:1883, tls://host:8883), MQTT_USER and MQTT_PASSWORD_FILE
// name the broker, SSL_CERT_FILE its CA if the system does not know it (Linux),
// DATABASE_URL the database (or the PG* variables of libpq), TOPIC_PREFIX the agents'
// topic_prefix.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/jackc/pgx/v5"

	"roomcall/packaging/consumers/postgres/rows"
)

const (
	wait     = 30 * time.Second // for the broker or the database to answer
	pause    = 5 * time.Second  // before the next attempt
	maxBatch = 500              // records per transaction
	maxAhead = 65535            // messages that MQTT allows to be unacknowledged
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		if err := run(ctx, rows.Write); err != nil && ctx.Err() == nil {
			slog.Error("starting again", "in", pause, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// writer commits messages, as rows.Write does.
type writer func(context.Context, *pgx.Conn, []rows.Message) error

// run ends with its connection to the broker or to the database. What was not
// acknowledged on them is delivered again on the next ones.
func run(ctx context.Context, write writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	messages := make(chan mqtt.Message, maxAhead)
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
			list := batch(m, messages)
			waiting := make([]rows.Message, len(list))
			for i, m := range list {
				waiting[i] = rows.Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}
			}
			if err := write(ctx, db, waiting); err != nil {
				return fmt.Errorf("write records: %w", err)
			}
			for _, m := range list {
				m.Ack()
			}
		}
	}
}

func subscribe(ctx context.Context, out chan<- mqtt.Message, lost context.CancelCauseFunc) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL"))
	o.SetClientID(cmp.Or(os.Getenv("MQTT_CLIENT_ID"), "roomcall-postgres")).SetCleanSession(false)
	// Only Ack acknowledges a message. They come in order, because the last of several
	// words of an agent counts; the handler need not wait, because out has room for all
	// that may be unacknowledged.
	o.SetAutoReconnect(false).SetAutoAckDisabled(true).SetOrderMatters(true)
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
	prefix := cmp.Or(os.Getenv("TOPIC_PREFIX"), "roomcall/v1")
	// At QoS 0, because nobody needs an old state: none waits while this program is not
	// running.
	filters := map[string]byte{prefix + "/+/+/" + rows.State: 0}
	for _, kind := range rows.Kinds {
		filters[prefix+"/+/+/"+kind] = 1
	}
	for _, notice := range rows.Notices {
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
	if s, ok := t.(*mqtt.SubscribeToken); ok {
		for filter, granted := range s.Result() {
			if granted > 2 {
				return fmt.Errorf("the broker does not let this account read %s", filter)
			}
		}
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
