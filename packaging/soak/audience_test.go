package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/buffer"
)

var seed = maphash.MakeSeed()

// facts are the keys of a payload that these tests look at.
type facts struct {
	Seq      uint64
	TsMs     int64 `json:"ts_ms"`
	Replayed int
	PollOK   *int   `json:"poll_ok"`
	InCall   *int   `json:"in_call"`
	CallID   string `json:"call_id"`
	Type     string
	OfDevice string `json:"of_device"`
	Kind     string
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
}

// audience is a careful consumer of all of the agent's topics. It checks what
// arrives as it arrives and keeps a checksum of each record, not the record.
type audience struct {
	t      testing.TB
	client mqtt.Client
	// see is called with every record that arrives for the first time, in order; nil = not.
	see func(topic string, f facts, at time.Time)
	// anyOrder: what was lost or quarantined is sent later.
	anyOrder bool

	mu     sync.Mutex
	topics map[string]*topic
	plain  map[string][]string // availability, birth, echo
	gone   map[string][][2]uint64
	faults []string
	bytes  int             // of the records that arrived for the first time
	types  map[string]bool // of events
}

// topic is what arrived on one topic.
type topic struct {
	sums []uint64 // checksum of number i+1 without "replayed", 0 = not there
	last uint64   // the number that arrived last
	dups int
	back uint64 // the longest step back after a new connection: records offered again
}

// listen subscribes with a session that the broker keeps while the connection is down.
func listen(t testing.TB, url, user string) *audience {
	t.Helper()
	a := &audience{t: t, topics: map[string]*topic{}, plain: map[string][]string{}, gone: map[string][][2]uint64{}, types: map[string]bool{}}
	a.connect(url, user)
	t.Cleanup(func() { a.client.Disconnect(250) })
	return a
}

func (a *audience) connect(url, user string) {
	a.t.Helper()
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID("audience").SetCleanSession(false).SetUsername(user).SetPassword(user)
	o.SetMaxReconnectInterval(200 * time.Millisecond).SetConnectRetryInterval(100 * time.Millisecond)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { a.take(m) })
	o.SetOnConnectHandler(func(c mqtt.Client) { go c.Subscribe("roomcall/v1/"+clientID+"/#", 1, nil) })
	a.client = mqtt.NewClient(o)
	settle(a.t, a.client.Connect())
	settle(a.t, a.client.Subscribe("roomcall/v1/"+clientID+"/#", 1, nil))
}

func settle(t testing.TB, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("the broker does not answer")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func (a *audience) take(m mqtt.Message) {
	at := time.Now()
	name := strings.TrimPrefix(m.Topic(), "roomcall/v1/"+clientID+"/")
	_, kind, ok := strings.Cut(name, "/")
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ok {
		a.plain[name] = append(a.plain[name], string(m.Payload()))
		return
	}
	var f facts
	err := json.Unmarshal(m.Payload(), &f)
	if err == nil && f.Seq == 0 && kind == "state" {
		return // of a poll that the store does not accept yet
	}
	if err != nil || f.Seq == 0 {
		a.fault("%s: not a record: %v\n%s", name, err, m.Payload())
		return
	}
	if kind == "state" {
		if f.Replayed != 0 {
			a.fault("%s was set by a replayed record: number %d", name, f.Seq)
		}
		return
	}
	a.record(name, f, m.Payload(), at)
}

// record keeps one record; under mu.
func (a *audience) record(name string, f facts, payload []byte, at time.Time) {
	l := a.topics[name]
	if l == nil {
		l = &topic{}
		a.topics[name] = l
	}
	sum := checksum(payload)
	if n := uint64(len(l.sums)); f.Seq > n {
		l.sums = append(l.sums, make([]uint64, f.Seq-n)...)
	} else if l.sums[f.Seq-1] == 0 && a.anyOrder {
		l.sums[f.Seq-1] = sum
		return
	} else if l.sums[f.Seq-1] == 0 {
		a.fault("%s: number %d first arrived after number %d", name, f.Seq, n)
	} else {
		if l.sums[f.Seq-1] != sum {
			a.fault("%s: two different records have the number %d", name, f.Seq)
		}
		if l.dups++; f.Seq <= l.last {
			l.back = max(l.back, l.last-f.Seq+1)
		}
		l.last = f.Seq
		return
	}
	l.sums[f.Seq-1], l.last = sum, f.Seq
	a.bytes += len(payload)
	a.types[f.Type] = true
	if f.FirstSeq > 0 { // agent.gap, agent.quarantined
		of := f.OfDevice + "/" + f.Kind
		a.gone[of] = append(a.gone[of], [2]uint64{f.FirstSeq, max(f.FirstSeq, f.LastSeq)})
	}
	if a.see != nil {
		a.see(name, f, at)
	}
}

func (a *audience) fault(format string, args ...any) {
	if len(a.faults) < 20 {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

func checksum(payload []byte) uint64 {
	plain := bytes.Replace(payload, []byte(`,"replayed":1}`), []byte("}"), 1)
	return maphash.Bytes(seed, plain) | 1
}

// size is how many numbers of a topic arrived.
func (a *audience) size(topic string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.topics[topic]; l != nil {
		return len(l.sums)
	}
	return 0
}

// waitSize waits until n numbers of a topic arrived.
func (a *audience) waitSize(topic string, n int) {
	a.t.Helper()
	waitFor(a.t, fmt.Sprintf("%d records on %s", n, topic), patience, func() string {
		if got := a.size(topic); got < n {
			return fmt.Sprint(got)
		}
		return ""
	})
}

// tally is the result of an audience at the end.
type tally struct{ records, dups, announced int }

// check compares what arrived with the store of a stopped agent: no gap that is not
// announced, nothing of the store missing, the same bytes.
func (a *audience) check(dir string) (sum tally) {
	a.t.Helper()
	a.waitStored(dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, l := range a.topics {
		sum.dups += l.dups
		missing := 0
		for i, s := range l.sums {
			switch {
			case s != 0:
				sum.records++
			case a.announced(name, uint64(i)+1):
				sum.announced++
			default:
				missing++
			}
		}
		if missing > 0 {
			a.fault("%s: %d of %d numbers are missing and not announced", name, missing, len(l.sums))
		}
	}
	for _, f := range a.faults {
		a.t.Error(f)
	}
	return sum
}

// announced reports whether the agent announced that a number is gone; under mu.
func (a *audience) announced(topic string, seq uint64) bool {
	return slices.ContainsFunc(a.gone[topic], func(g [2]uint64) bool { return g[0] <= seq && seq <= g[1] })
}

// waitStored waits until every record that the store holds has arrived.
func (a *audience) waitStored(dir string) {
	a.t.Helper()
	waitFor(a.t, "every stored record has arrived", patience, func() string {
		missing, last := 0, ""
		err := buffer.ScanDir(dir, func(it buffer.Item, _ bool) error {
			if !a.has(it) {
				missing++
				last = fmt.Sprint(it.Lane, " ", it.Num)
			}
			return nil
		})
		if err != nil {
			a.t.Fatal(err)
		}
		if missing > 0 {
			return fmt.Sprintf("%d are missing, for instance %s", missing, last)
		}
		return ""
	})
}

func (a *audience) has(it buffer.Item) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.topics[it.Lane]
	if l == nil || it.Num > uint64(len(l.sums)) || l.sums[it.Num-1] == 0 {
		return false
	}
	if l.sums[it.Num-1] != checksum(it.Payload) {
		a.fault("%s %d: other bytes arrived than are stored", it.Lane, it.Num)
	}
	return true
}
