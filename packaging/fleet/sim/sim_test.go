package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/cgi"
)

// message is a record as it arrives.
type message struct {
	topic, payload string
	retained       bool
}

func (m message) Duplicate() bool   { return false }
func (m message) Qos() byte         { return 1 }
func (m message) Retained() bool    { return m.retained }
func (m message) Topic() string     { return m.topic }
func (m message) MessageID() uint16 { return 0 }
func (m message) Payload() []byte   { return []byte(m.payload) }
func (m message) Ack()              {}

func TestTheConsumerCountsDuplicatesHolesAndWhatNeverCame(t *testing.T) {
	c := &consumer{topics: map[string]*arrived{}, delays: make([]int, delayMost+1)}
	for _, m := range []struct {
		room, kind string
		epoch, seq int
	}{
		{"a", "sample", 1, 1}, {"a", "sample", 1, 2}, {"a", "sample", 1, 2}, {"a", "sample", 1, 5},
		{"a", "sample", 2, 1}, {"b", "sample", 1, 1}, {"b", "event", 1, 1},
	} {
		payload := fmt.Sprintf(`{"epoch":%d,"seq":%d,"ts_ms":%d}`, m.epoch, m.seq, time.Now().UnixMilli())
		c.take(2, message{topic: "roomcall/v1/" + m.room + "/main/" + m.kind, payload: payload})
	}
	if c.records != 6 || c.again != 1 {
		t.Errorf("%d records, %d again; want 6 and 1", c.records, c.again)
	}
	// b has made an event more than anybody saw.
	made := map[string][]int{"a": {6, 0, 0, 0, 0}, "b": {1, 0, 2, 0, 0}}
	if lost, holes, err := c.missing(made); lost != 3 || holes != 2 || err != nil {
		t.Errorf("lost %d, holes %d, %v; want 3, 2, nil", lost, holes, err)
	}
	if err := c.invented(made); err != nil {
		t.Error(err)
	}
	made["a"][0] = 3
	if c.invented(made) == nil {
		t.Error("more arrived than was made, and nobody says so")
	}
	c.take(2, message{topic: "roomcall/v1/a/main/sample", payload: `{"epoch":1}`})
	if _, _, err := c.missing(nil); err == nil {
		t.Error("a record without a number passes")
	}
}

func TestDelaysAreThoseOfSamplesThatWereNotSentLate(t *testing.T) {
	c := &consumer{topics: map[string]*arrived{}, delays: make([]int, delayMost+1)}
	for n := 1; n <= 100; n++ {
		made := time.Now().Add(-time.Duration(n) * time.Second).UnixMilli()
		c.take(2, message{topic: "roomcall/v1/a/main/sample", payload: fmt.Sprintf(`{"epoch":1,"seq":%d,"ts_ms":%d}`, n, made)})
		c.take(2, message{topic: "roomcall/v1/b/main/sample", payload: fmt.Sprintf(`{"epoch":1,"seq":%d,"ts_ms":0,"replayed":1}`, n)})
	}
	if ms := c.delay(0.5); ms/1000 != 50 {
		t.Errorf("median %d ms", ms)
	}
	if ms := c.delay(0.99); ms != delayMost { // longer ones count as that
		t.Errorf("99 %%: %d ms", ms)
	}
}

func TestANetworkThatIsCutTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var far []net.Conn
		n := newNetwork(func(context.Context, string, string) (net.Conn, error) {
			near, f := net.Pipe()
			far = append(far, f)
			return near, nil
		})
		near, err := n.dial(t.Context(), "tcp", "broker")
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(far[0], "one")
		b := make([]byte, 10)
		if size, err := near.Read(b); size != 3 || err != nil {
			t.Fatal(size, err)
		}
		n.setDown(true)
		if _, err := near.Write([]byte("gone")); err != nil {
			t.Errorf("write: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if _, err := n.dial(ctx, "tcp", "broker"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial: %v", err)
		}
		n.setDown(false)
		go func() { io.WriteString(far[0], "two"); far[0].Close() }()
		if size, err := near.Read(b); err == nil {
			t.Errorf("a connection that was cut works again: %q", b[:size])
		}
		if _, err := n.dial(t.Context(), "tcp", "broker"); err != nil {
			t.Errorf("dial after the cut: %v", err)
		}
		if sent, got := n.sent.Load(), n.got.Load(); sent != 0 || got != 3 {
			t.Errorf("sent %d, got %d bytes; want 0 and 3", sent, got)
		}
	})
}

// The script is what docs/scale.md says of it.
func TestInOfficeHoursAboutFourRoomsInTenAreInACall(t *testing.T) {
	calls, polls, gone := 0, 0, 0
	for n := range 500 {
		e := &endpoint{day: officeDay(n), begins: time.Now(), speed: 1}
		for e.at = 9 * time.Hour; e.at < 17*time.Hour; e.at += 7 * time.Minute {
			s, err := e.Poll(t.Context())
			polls++
			switch {
			case err != nil:
				gone++
			case s.Call == cgi.CallActive:
				calls++
			}
		}
	}
	if part := float64(calls) / float64(polls); part < 0.35 || part > 0.5 {
		t.Errorf("%.2f of the rooms are in a call", part)
	}
	if gone == 0 || gone > polls/100 {
		t.Errorf("of %d polls %d find nobody", polls, gone)
	}
}

func TestTheTablesAndTheGraphHaveWhatWasMeasured(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "pictures"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(machineFile, "a day\na machine\n")
	write("doc.md", "# Doc\n<!-- begin brokers -->\nold\n<!-- end brokers -->\n<!-- begin faults -->\n<!-- end faults -->\n<!-- begin day -->\n<!-- end day -->\nend\n")
	for _, records := range []int{1, 60_000} { // the second run counts
		err := keep(filepath.Join(dir, resultsFile), result{
			Broker: "mosquitto", Rooms: 1000, MemoryBefore: 5e6, Memory: 15e6, CPU: 6 * time.Second, Steady: time.Minute, Records: records,
			Patience: time.Minute,
			Curves:   []curve{{After: afterKill, Points: []point{{1, 0}, {4.4, 500}, {6, 900}}}},
			Faults:   []fault{{What: "nothing", Made: 1000}, {What: "a kill", Made: 3500, Lost: 12, Replayed: true, Again: 345}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	days, err := json.Marshal([]bill{{choice: choice{Kinds: "event, call"}, InCall: 6000, Idle: 5042, Day: 2e6, Up: 1.5e6, Records: 19}})
	if err != nil {
		t.Fatal(err)
	}
	write(dayFile, string(days))
	if err := writeDoc(filepath.Join(dir, "doc.md"), dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "doc.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Doc\n", "- a day\n- a machine\n", "| a room | 10.0 kB |", "| records a second | 1,000 |", "| a room and minute | 6.0 ms |",
		"proven after | 4 s, 6 s, not within 1m0s |",
		"| mosquitto | nothing | 1,000 | 0 | not needed | 0 |", "| mosquitto | a kill | 2,500 | 12 | 0 lost | 345 |",
		"| `event, call` | 0s | 15s | 30s | 6 kB | 5 kB | 2.00 MB | 75 % | 19 |", "\nend\n",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the document has no %q", want)
		}
	}
	if strings.Contains(string(got), "old") {
		t.Error("the old table is still there")
	}
	graph, err := os.ReadFile(filepath.Join(dir, "pictures/scale-storm.svg"))
	if err != nil || !strings.Contains(string(graph), "mosquitto: 1,000 rooms") {
		t.Errorf("graph: %v\n%s", err, graph)
	}
	write("doc.md", "# Doc\n")
	if err := writeDoc(filepath.Join(dir, "doc.md"), dir); err == nil {
		t.Error("a document without the marker lines is accepted")
	}
}
