package run

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/publish"
)

// fakeConn is a connection that keeps what is published.
type fakeConn struct {
	drain.Conn
	sent []publish.Message
	fail error // every message ends with it
}

func (c *fakeConn) Publish(m publish.Message) (drain.Receipt, error) {
	c.sent = append(c.sent, m)
	done := make(chan struct{})
	close(done)
	return fakeReceipt{done, c.fail}, nil
}

type fakeReceipt struct {
	done chan struct{}
	err  error
}

func (r fakeReceipt) Done() <-chan struct{} { return r.done }
func (r fakeReceipt) Err() error            { return r.err }

// announced is a healthLoop of which everything around is the test's.
type announced struct {
	*healthLoop
	state  health.Status
	conn   *fakeConn // nil = none
	events []record.Event
}

func newAnnounced(t *testing.T) (a *announced, during func(time.Duration)) {
	r, err := report.New(report.Settings{ClientID: "lobby", Version: "1", Epoch: 7})
	if err != nil {
		t.Fatal(err)
	}
	a = &announced{state: healthtest.Well(), conn: &fakeConn{}}
	a.state.Endpoints[0].LastPoll = time.Now().Add(24 * time.Hour) // always just polled
	a.healthLoop = &healthLoop{
		status: func() health.Status { return a.state }, message: r.Health, fails: &healthFailures{}, topic: "p/lobby/health", every: healthLook,
		conn: func() drain.Conn {
			if a.conn == nil {
				return nil
			}
			return a.conn
		},
		announce: func(ev record.Event) bool { a.events = append(a.events, ev); return true },
	}
	return a, func(d time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		a.run(ctx)
	}
}

func (a *announced) last(t *testing.T) (doc report.Health) {
	t.Helper()
	m := a.conn.sent[len(a.conn.sent)-1]
	if !m.Retain || m.Topic != "p/lobby/health" {
		t.Errorf("%+v", m)
	}
	if err := json.Unmarshal(m.Payload, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestHealthIsToldAtEachChangeAndEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, during := newAnnounced(t)
		during(healthLook / 2)
		if h := a.last(t); len(a.conn.sent) != 1 || h.Status != "ok" || h.StatusCode != 0 || h.StoreOK != 1 || h.Codes != "" || h.Epoch != 7 {
			t.Errorf("%d messages, %+v", len(a.conn.sent), h)
		}
		during(30 * time.Minute)
		if n := len(a.conn.sent); n < 7 || n > 8 {
			t.Errorf("%d messages in 30 minutes without a change", n)
		}
		a.conn.sent = nil
		a.state = healthtest.Ill()
		a.state.Buffer.State, a.state.Buffer.Cause = "failed", "read_only"
		during(healthLook / 2)
		h := a.last(t)
		if len(a.conn.sent) != 1 || h.Status != "fail" || h.StatusCode != 2 || h.StoreOK != 0 || h.EndpointsBad != 1 ||
			h.Endpoints != 2 || !strings.HasPrefix(h.Codes, "store_read_only,store_memory,") || !strings.Contains(h.Text, "read-only") {
			t.Errorf("%d messages, %+v", len(a.conn.sent), h)
		}
		old := a.conn
		a.conn = nil
		during(time.Minute)
		a.conn = &fakeConn{}
		during(healthLook / 2)
		if len(old.sent) != 1 || len(a.conn.sent) != 1 {
			t.Errorf("%d messages on the old connection, %d on the new", len(old.sent), len(a.conn.sent))
		}
	})
}

func TestABrokerThatEndsConnectionsOverHealthGetsItSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, during := newAnnounced(t)
		a.conn.fail = errors.New("connection lost")
		during(time.Hour)
		if n := len(a.conn.sent); n < 5*healthBlame || n > 7*healthBlame {
			t.Errorf("tried %d times in an hour", n)
		}
		var b health.Broker
		a.fails.show(&b, time.Now())
		if b.HealthFailures != uint64(len(a.conn.sent)) || len(b.LeftOut) != 1 || b.LeftOut[0].What != "health" {
			t.Errorf("the status says %+v", b)
		}
	})
}

func TestAStoreThatFailsIsAnnouncedOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, during := newAnnounced(t)
		broken := func() {
			a.state.Buffer = bufferStatus(buffer.Info{Dir: t.TempDir()}, record.Stats{Err: syscall.EROFS}, drain.Stats{})
		}
		broken()
		during(time.Hour)
		if len(a.events) != 1 || a.events[0].Type != "agent.store_failing" || a.events[0].Reason != "read_only" {
			t.Fatalf("%+v", a.events)
		}
		for range 20 { // it works for a moment, again and again
			a.state.Buffer.State = "open"
			during(storeSteady / 2)
			broken()
			during(storeSteady / 2)
		}
		if len(a.events) != 1 {
			t.Errorf("a store that flaps made %d events", len(a.events))
		}
		a.state.Buffer.State = "open"
		during(time.Minute)
		if len(a.events) != 2 || a.events[1].Type != "agent.store_working" || a.events[1].IncidentID != a.events[0].IncidentID ||
			!a.events[1].Since.Equal(a.events[0].At) {
			t.Errorf("%+v", a.events)
		}
		broken()
		during(time.Minute)
		if left := a.finish(); left.Type != "agent.store_failing" || len(a.events) != 3 {
			t.Errorf("at a stop while it fails %+v is left, %d events", left, len(a.events))
		}
		a.state.Buffer.State = "open"
		during(storeSteady / 2)
		if left := a.finish(); left.Type != "" || len(a.events) != 4 || a.events[3].IncidentID != a.events[2].IncidentID {
			t.Errorf("at a stop soon after it works again %+v is left: %+v", left, a.events)
		}
		if id := a.events[0].IncidentID; !strings.HasPrefix(id, a.state.ClientID+".") || !strings.Contains(id, ".agent.store-") {
			t.Errorf("another agent could have the incident %q", id)
		}
	})
}

// TestHealthNamesTheEpochOfTheStore: the store may have begun a new epoch since the start.
func TestHealthNamesTheEpochOfTheStore(t *testing.T) {
	q, err := buffer.Open(buffer.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	r, err := report.New(report.Settings{ClientID: "lobby", Version: "1", Epoch: q.Epoch()})
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{queue: q, reporter: r}
	epoch := buffer.NewEpoch(time.Now(), q.Epoch())
	if err := q.Append(buffer.Batch{Epoch: epoch}); err != nil {
		t.Fatal(err)
	}
	if id, _ := report.ReadIdentity(a.health(report.HealthInfo{})); id.Epoch != epoch {
		t.Errorf("epoch %d, the store has %d", id.Epoch, epoch)
	}
}

func TestTheStatusShowsThatHealthIsHeldBack(t *testing.T) {
	a, err := New(t.Context(), "test", loadText(t, `http_listen = ""`), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	n := a.newHealthLoop()
	for range healthBlame {
		n.fails.note(errors.New("connection lost"), time.Now())
	}
	if b := a.Status().Broker; b.HealthFailures != healthBlame || len(b.LeftOut) != 1 {
		t.Errorf("%+v", b)
	}
}
