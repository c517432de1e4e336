package publish

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// maxTopics bounds the topics that ReadRetained collects.
const maxTopics = 20_000

// Retained is what a broker retains on the topics of some filters.
type Retained struct {
	Broker   string     // URL without user information
	Messages []Received // each topic once, sorted; those over 8 MiB together without payload
	// Live is a topic on which somebody published meanwhile, "" = none: what publishes
	// there is not gone. It ends the reading.
	Live string
	// Denied: the broker rejected a filter, or ended the connection over it. It may
	// also deny in silence: then there are no messages.
	Denied bool
}

// ReadRetained reads what the first broker retains on the topics of the filters, until
// none has come for quiet. Like Follow it publishes nothing, leaves no will and throws
// nobody out. At 20,000 topics it stops.
func ReadRetained(ctx context.Context, cfg Config, filters []string, quiet time.Duration) (Retained, error) {
	c, err := New(cfg)
	if err != nil {
		return Retained{}, err
	}
	var mu sync.Mutex
	out, bytes := Retained{Broker: c.brokers[0].name}, 0
	news := make(chan struct{}, 1)
	v, err := c.visit(ctx, c.brokers[0], func(m Received) {
		mu.Lock()
		defer mu.Unlock()
		switch i, known := slices.BinarySearchFunc(out.Messages, m.Topic, func(a Received, topic string) int { return strings.Compare(a.Topic, topic) }); {
		case !m.Retained:
			out.Live = m.Topic
		case len(m.Payload) == 0 || known || len(out.Messages) >= maxTopics:
			return
		default:
			if bytes += len(m.Payload); bytes > maxRecall {
				m.Payload = nil
			}
			out.Messages = slices.Insert(out.Messages, i, m)
		}
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return Retained{}, c.connectError(c.brokers[0], err)
	}
	defer v.leave()
	rejected, err := v.subscribe(filters)
	done := func() Retained {
		mu.Lock()
		defer mu.Unlock()
		out.Denied = len(rejected) > 0 || err != nil
		out.Messages = slices.Clone(out.Messages) // the library may go on for a moment
		return out
	}
	if err != nil { // some brokers end the connection instead
		return done(), ctx.Err()
	}
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return done(), ctx.Err()
		case err = <-v.lost:
			return done(), nil
		case <-silence.C:
			return done(), nil
		case <-news:
			if r := done(); r.Live != "" {
				return r, nil
			}
			silence.Reset(quiet)
		}
	}
}

// ClearRetained clears the retained messages of topics at the first broker: each gets
// an empty one. It returns when the broker has acknowledged all. That is no proof: by
// MQTT 3.1.1 a broker also acknowledges what its access list denies. The error is an
// *Error.
func ClearRetained(ctx context.Context, cfg Config, topics []string) error {
	c, err := New(cfg)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		if err := (Message{Topic: topic}).check(); err != nil {
			return err
		}
	}
	b := c.brokers[0]
	v, err := c.visit(ctx, b, func(Received) {})
	if err != nil {
		return c.connectError(b, err)
	}
	defer v.leave()
	for batch := range slices.Chunk(topics, c.cfg.MaxInflight) {
		var tokens []mqtt.Token
		for _, topic := range batch {
			tokens = append(tokens, v.client.Publish(topic, 1, true, []byte{}))
		}
		for i, token := range tokens {
			if err := v.await(token); err != nil {
				return &Error{Class: ClassLost, Op: "clear " + batch[i] + " at", Broker: b.name, Err: err}
			}
		}
	}
	return nil
}
