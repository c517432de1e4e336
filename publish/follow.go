package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Received is a message that a follower got.
type Received struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Follow subscribes to the filters and calls handle for every message, one after the
// other, until ctx ends or the connection is lost; the error is an *Error, nil
// at the end of ctx. It publishes nothing and leaves no will. Its client id is
// Config.ClientID with random letters behind, so it throws nobody out. up is
// called when the subscription is granted.
func Follow(ctx context.Context, cfg Config, filters []string, up func(broker string), handle func(Received)) error {
	c, err := New(cfg)
	if err != nil {
		return err
	}
	b := c.brokers[0]
	if err := c.follow(ctx, b, filters, up, handle); err != nil && ctx.Err() == nil {
		return connectError(b.name, err)
	}
	return nil
}

func (c *Client) follow(ctx context.Context, b broker, filters []string, up func(string), handle func(Received)) error {
	dialing, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, raw, err := c.dial(dialing, b)
	if err != nil {
		return err
	}
	l := newLink(conn, raw, c.cfg.WriteTimeout)
	defer l.abort()
	release := context.AfterFunc(dialing, l.abort)
	defer release()
	lost := make(chan error, 1)
	client := mqtt.NewClient(c.followOptions(b, l, lost, handle))
	if err := within(dialing, client.Connect()); err != nil {
		return err
	}
	for _, filter := range filters {
		if err := subscribeTo(dialing, client, b, filter); err != nil {
			return err
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

func subscribeTo(ctx context.Context, client mqtt.Client, b broker, filter string) error {
	token := client.Subscribe(filter, 1, nil)
	if err := within(ctx, token); err != nil {
		return err
	}
	if sub, ok := token.(*mqtt.SubscribeToken); ok && sub.Result()[filter] == 0x80 {
		return &Error{Class: ClassDenied, Op: "subscribe to " + filter + " at", Broker: b.name,
			Err: errors.New("the broker refuses the subscription"), Hint: "give this user the right to read " + filter}
	}
	return nil
}

func (c *Client) followOptions(b broker, l *link, lost chan<- error, handle func(Received)) *mqtt.ClientOptions {
	user, password := c.credentials(b)
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{b.url}
	o.SetClientID(fmt.Sprintf("%s-%s", c.cfg.ClientID, rand.Text()[:8])).SetUsername(user).SetPassword(password)
	o.SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false)
	o.SetKeepAlive(c.cfg.KeepAlive).SetPingTimeout(c.cfg.PingTimeout).SetWriteTimeout(c.cfg.WriteTimeout)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l, nil })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		handle(Received{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()})
	})
	return o
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

// FollowBackoff is the pause before a lost follower tries again.
const FollowBackoff = 3 * time.Second
