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
	v, err := c.visit(ctx, b, handle)
	if err != nil {
		return err
	}
	defer v.leave()
	rejected, err := v.subscribe(filters)
	if err != nil {
		return err
	}
	if len(rejected) > 0 {
		return &Error{Class: ClassDenied, Op: "subscribe to " + rejected[0] + " at", Broker: b.name,
			Err: errors.New("the broker rejects the subscription"), Hint: hintSubscribe,
			Facts: map[string]string{"topic": rejected[0]}}
	}
	up(b.name)
	select {
	case <-ctx.Done():
		return nil
	case err := <-v.lost:
		return &Error{Class: ClassLost, Op: "follow", Broker: b.name, Err: err}
	}
}

// visitor is a connection beside the agent's own: it leaves no will, and its client
// id is Config.ClientID followed by random letters, so it throws nobody out.
type visitor struct {
	ctx      context.Context
	client   mqtt.Client
	link     *link
	patience time.Duration // with one answer
	lost     chan error    // gets why the connection was lost
}

// visit connects to b; handle gets every message, one after the other.
func (c *Client) visit(ctx context.Context, b broker, handle func(Received)) (*visitor, error) {
	opening, l, release, err := c.openLink(ctx, b)
	if err != nil {
		return nil, err
	}
	v := &visitor{ctx: ctx, link: l, patience: c.cfg.AckTimeout, lost: make(chan error, 1)}
	o := c.options(b, l, fmt.Sprintf("%s-%s", c.cfg.ClientID, rand.Text()[:8]))
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { v.lost <- err })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		handle(Received{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()})
	})
	v.client = mqtt.NewClient(o)
	if err := within(opening, v.client.Connect()); err != nil {
		release()
		l.abort()
		return nil, err
	}
	release()
	return v, nil
}

// leave ends the visit.
func (v *visitor) leave() {
	v.client.Disconnect(100)
	v.link.abort()
}

// subscribe returns the filters that the broker rejected.
func (v *visitor) subscribe(filters []string) (rejected []string, err error) {
	for _, filter := range filters {
		token := v.client.Subscribe(filter, 1, nil)
		if err := v.await(token); err != nil {
			return rejected, err
		}
		if denied(token, filter) {
			rejected = append(rejected, filter)
		}
	}
	return rejected, nil
}

// await waits for an answer.
func (v *visitor) await(token mqtt.Token) error {
	ctx, cancel := context.WithTimeout(v.ctx, v.patience)
	defer cancel()
	return within(ctx, token)
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
