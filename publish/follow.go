package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// FollowBackoff is the pause before a lost follower tries again.
const FollowBackoff = 3 * time.Second

// Received is a message that a follower received.
type Received struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Follow subscribes to the filters and calls handle for every message, one after the
// other, until ctx ends or the connection is lost; the error is an *Error, nil
// at the end of ctx. It publishes nothing and leaves no will. Its client id is
// Config.ClientID followed by random letters, so it throws nobody out. up is
// called when the subscription is granted.
func Follow(ctx context.Context, cfg Config, filters []string, up func(broker string), handle func(Received)) error {
	c, err := New(cfg)
	if err != nil {
		return err
	}
	b := c.brokers[0]
	if err := c.follow(ctx, b, filters, up, handle); err != nil && ctx.Err() == nil {
		return c.connectError(b, err)
	}
	return nil
}

func (c *Client) follow(ctx context.Context, b broker, filters []string, up func(string), handle func(Received)) error {
	opening, l, release, err := c.openLink(ctx, b)
	if err != nil {
		return err
	}
	defer l.abort()
	defer release()
	lost := make(chan error, 1)
	o := c.options(b, l, fmt.Sprintf("%s-%s", c.cfg.ClientID, rand.Text()[:8]))
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		handle(Received{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()})
	})
	client := mqtt.NewClient(o)
	if err := within(opening, client.Connect()); err != nil {
		return err
	}
	for _, filter := range filters {
		token := client.Subscribe(filter, 1, nil)
		if err := within(opening, token); err != nil {
			return err
		}
		if denied(token, filter) {
			return &Error{Class: ClassDenied, Op: "subscribe to " + filter + " at", Broker: b.name,
				Err: errors.New("the broker rejects the subscription"), Hint: hintSubscribe,
				Facts: map[string]string{"topic": filter}}
		}
	}
	release()
	up(b.name)
	select {
	case <-ctx.Done():
		client.Disconnect(100)
		return nil
	case err := <-lost:
		return &Error{Class: ClassLost, Op: "follow", Broker: b.name, Err: err}
	}
}

// within waits for a token as long as ctx allows.
func within(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}
