package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roomcall/publish/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 60 * time.Second // ends a hanging test, is never measured

func testConfig(url string) Config {
	return Config{Brokers: []string{url}, ClientID: "agent-1", Prefix: "t/v1",
		WriteTimeout: time.Second, ReconnectMin: time.Millisecond, ReconnectMax: 10 * time.Millisecond}
}

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// testContextOf is for fake time.
func testContextOf(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// connect connects and closes at the end of the test.
func connect(t testing.TB, c *Client) *Conn {
	t.Helper()
	m, err := c.Connect(testContext(t))
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = m.Close(ctx)
	})
	return m
}

func send(t testing.TB, m *Conn, topic, payload string) *Receipt {
	t.Helper()
	r, err := m.Publish(Message{Topic: m.client.Topic(topic), Payload: []byte(payload)})
	if err != nil {
		t.Fatalf("Publish: %v", err)
	}
	return r
}

func waitDone(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not happen within %v", what, patience)
	}
}

func wantClass(t testing.TB, err error, want Class) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want one of class %s", err, want)
	}
	if e.Class != want {
		t.Fatalf("class is %s, want %s: %v", e.Class, want, err)
	}
	return e
}

func texts(got []brokertest.Message, topic string) []string {
	var out []string
	for _, m := range got {
		if m.Topic == topic {
			out = append(out, string(m.Payload))
		}
	}
	return out
}

// soak is the size of a test: small, or full when ROOMCALL_SOAK is set.
func soak(small, full int) int {
	if os.Getenv("ROOMCALL_SOAK") != "" {
		return full
	}
	return small
}

func numbered(n int) string { return fmt.Sprintf("m%06d", n) }

// nopConn is a socket that was closed long ago.
type nopConn struct{ net.Conn }

func (nopConn) Close() error { return nil }
