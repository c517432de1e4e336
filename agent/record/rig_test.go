package record

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

var (
	idleStatus   = cgi.Status{Call: cgi.CallIdle, SourceAPI: "WEB_GetMultiCallStatusInfoAPI"}
	activeStatus = cgi.Status{
		Call: cgi.CallActive, SourceAPI: "WEB_GetMultiCallStatusInfoAPI",
		AudioSend: cgi.Stream{Active: true, BitrateKbps: cgi.Known(64)},
	}
)

// fakeStore keeps batches; hooks make it fail, block or evict.
type fakeStore struct {
	appendHook func(buffer.Batch) error
	peekHook   func()
	due        func() *buffer.Eviction
	asked      int64  // the bytes that MakeRoom was asked to make room for
	delivered  bool   // nothing waits
	past       uint64 // more records that came and went
	cursor     uint64 // up to which position records are delivered
	damage     func() []buffer.Damage

	mu      sync.Mutex
	batches []buffer.Batch
}

func (s *fakeStore) Append(b buffer.Batch) error {
	if s.appendHook != nil {
		if err := s.appendHook(b); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, b)
	return nil
}

func (s *fakeStore) MakeRoom(_ time.Time, add int64) *buffer.Eviction {
	s.asked = add
	if s.due == nil {
		return nil
	}
	return s.due()
}

func (s *fakeStore) Waits() bool { return !s.delivered }

func (s *fakeStore) Epoch() int64 { return 1 }

func (s *fakeStore) Peek(uint64, int, int) ([]buffer.Item, error) {
	if s.peekHook != nil {
		s.peekHook()
	}
	return nil, nil
}

func (s *fakeStore) Progress() (delivered, newest uint64) {
	return s.cursor, 1000 + s.past + uint64(len(s.records())) // there was something before
}

func (s *fakeStore) Damage() []buffer.Damage {
	if s.damage == nil {
		return nil
	}
	return s.damage()
}

// records are all accepted records, in order.
func (s *fakeStore) records() []buffer.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []buffer.Record
	for _, b := range s.batches {
		out = append(out, b.Records...)
	}
	return out
}

func (s *fakeStore) lane(name string) []buffer.Record {
	var out []buffer.Record
	for _, rec := range s.records() {
		if rec.Lane == name {
			out = append(out, rec)
		}
	}
	return out
}

func (s *fakeStore) commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

// fields reads a payload.
func fields(t *testing.T, payload []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	return m
}

// numbered fails the test unless a lane's numbers are 1, 2, 3 ... and its times
// do not go back.
func numbered(t *testing.T, list []buffer.Record) {
	t.Helper()
	for i, rec := range list {
		if rec.Num != uint64(i+1) {
			t.Fatalf("record %d of %s has the number %d", i, rec.Lane, rec.Num)
		}
		if i > 0 && rec.Time.Before(list[i-1].Time) {
			t.Fatalf("record %d of %s is older than the one before it", i, rec.Lane)
		}
	}
}

// recorderOver makes a recorder over a store for three rooms.
func recorderOver(t *testing.T, s Store, log *slog.Logger) *Recorder {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	kinds := []string{"sample", "stream", "event", "call", "minute"}
	r, err := New(Options{Reporter: reporterFor(t, kinds, "room-1", "room-2", "room-3"), Store: s, Newest: NewNewest(3), Devices: 3, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reporterFor(t *testing.T, kinds []string, devices ...string) *report.Reporter {
	t.Helper()
	settings := report.Settings{ClientID: "pc", Epoch: 1, Kinds: kinds}
	for _, name := range devices {
		settings.Devices = append(settings.Devices, report.Device{Name: name, PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second})
	}
	reporter, err := report.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return reporter
}

// polled hands a poll of a room to the recorder, as a poll loop does.
func (r *Recorder) polled(device string, st cgi.Status, err error) {
	r.polledBeside(0, device, st, err)
}

// polledBeside does it while others are under way.
func (r *Recorder) polledBeside(others int, device string, st cgi.Status, err error) {
	r.Submit(report.Poll{Device: device, At: time.Now(), Took: time.Millisecond, Status: st, Err: err}, others)
}

// started is an event of the agent.
func started() Event {
	return Event{AgentEvent: report.AgentEvent{Type: "agent.started", Reason: "start"}, At: time.Now()}
}

// missedTotal counts the polls and events that were never accepted.
func (r *Recorder) missedTotal() (n uint64) {
	for _, m := range r.Stats().Missed {
		n += m.Count
	}
	return n
}
