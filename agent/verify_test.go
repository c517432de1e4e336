package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/buffer"
	"roomcall/publish/brokertest"
)

// arrival is one record as a consumer got it first.
type arrival struct {
	seq      uint64
	tsMs     int64
	replayed bool
	body     map[string]any
	payload  []byte // without "replayed"
}

func (a arrival) text(key string) string { s, _ := a.body[key].(string); return s }

func (a arrival) number(key string) (float64, bool) {
	n, ok := a.body[key].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

func (a arrival) is(key string, want float64) bool {
	got, ok := a.number(key)
	return ok && got == want
}

// delivered is what a careful consumer makes of an agent's topics.
type delivered struct {
	t      testing.TB
	root   string               // "<prefix>/<client_id>/"
	lanes  map[string][]arrival // by "<device>/<kind>", duplicates dropped by id
	dups   int
	stored int                  // records in the store at the end
	states map[string][]arrival // by device
	seen   map[string]int       // "<lane> <seq>" -> index in lanes or states
	plain  map[string][]string  // availability, birth and others by lane
}

// verify holds every message of an agent against what is promised: no hole in
// seq that is not announced, order, duplicates that are the same record,
// well-formed ids, flat payloads without nulls, states that only go forward.
func verify(t testing.TB, client string, msgs []brokertest.Message) *delivered {
	t.Helper()
	d := &delivered{
		t: t, root: "roomcall/v1/" + client + "/", lanes: map[string][]arrival{},
		states: map[string][]arrival{}, plain: map[string][]string{}, seen: map[string]int{},
	}
	for _, m := range msgs {
		lane, ours := strings.CutPrefix(m.Topic, d.root)
		if !ours {
			t.Errorf("topic %s is not below %s", m.Topic, d.root)
			continue
		}
		d.take(client, lane, m)
	}
	d.checkHoles()
	return d
}

func (d *delivered) take(client, lane string, m brokertest.Message) {
	device, kind, _ := strings.Cut(lane, "/")
	switch {
	case kind == "":
		d.plain[lane] = append(d.plain[lane], string(m.Payload))
		return
	case kind == "state":
		d.takeState(client, device, m)
		return
	}
	a, err := readArrival(client, device, kind, m.Payload)
	if err != nil {
		d.t.Errorf("%s: %v\n%s", lane, err, m.Payload)
		return
	}
	if m.Retain && !strings.HasPrefix(lane, "x") {
		d.t.Errorf("%s: a record is retained: %s", lane, m.Payload)
	}
	list := d.lanes[lane]
	key := fmt.Sprint(lane, " ", a.seq)
	if i, twice := d.seen[key]; twice {
		d.dups++
		if !bytes.Equal(list[i].payload, a.payload) {
			d.t.Errorf("%s: two different records have the number %d:\n%s\n%s", lane, a.seq, list[i].payload, a.payload)
		}
		return
	}
	if n := len(list); n > 0 && a.seq < list[n-1].seq {
		d.t.Errorf("%s: number %d came first after number %d", lane, a.seq, list[n-1].seq)
	}
	d.seen[key] = len(list)
	d.lanes[lane] = append(list, a)
}

// takeState: a state is a sample, never replayed, and never older than the one
// before. The agent sends each once; a broker may send it again. An empty one tells
// that the device left the config.
func (d *delivered) takeState(client, device string, m brokertest.Message) {
	if len(m.Payload) == 0 {
		return
	}
	a, err := readArrival(client, device, "sample", m.Payload)
	if err != nil {
		d.t.Errorf("%s/state: %v\n%s", device, err, m.Payload)
		return
	}
	if a.replayed {
		d.t.Errorf("%s/state was set by a replayed record: %s", device, m.Payload)
	}
	list := d.states[device]
	key := fmt.Sprint(device, "/state ", a.seq)
	if _, twice := d.seen[key]; twice {
		return // the broker sent it again
	}
	d.seen[key] = len(list)
	if n := len(list); n > 0 && a.seq < list[n-1].seq {
		d.t.Errorf("%s/state went back from number %d to %d", device, list[n-1].seq, a.seq)
	}
	d.states[device] = append(list, a)
}

// common are the keys of every payload.
var common = []string{"v", "schema", "id", "epoch", "seq", "ts_ms", "ts", "client_id", "site", "room", "device"}

// readArrival reads one payload and checks all that can be seen on it alone.
func readArrival(client, device, kind string, payload []byte) (a arrival, err error) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	if err := dec.Decode(&a.body); err != nil {
		return a, fmt.Errorf("no JSON object: %w", err)
	}
	for _, key := range common {
		if _, ok := a.body[key]; !ok {
			return a, fmt.Errorf("key %q is missing", key)
		}
	}
	for key, v := range a.body {
		switch v.(type) {
		case string, json.Number:
		default:
			if v == nil || !strings.HasPrefix(kind, "view/") {
				return a, fmt.Errorf("key %q holds %T: the object is not flat, or holds a null", key, v)
			}
		}
	}
	number := func(key string) int64 { n, _ := strconv.ParseInt(fmt.Sprint(a.body[key]), 10, 64); return n }
	a.seq, a.tsMs = uint64(number("seq")), number("ts_ms")
	want := map[string]string{
		"v": "1", "client_id": client, "device": device,
		"schema": "roomcall." + kind + "/1.0",
		"id":     fmt.Sprintf("%s.%v.%s.%s.%d", client, a.body["epoch"], device, kind, a.seq),
		"ts":     time.UnixMilli(a.tsMs).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if strings.HasPrefix(kind, "view/") {
		delete(want, "schema") // named after the view, see below
		delete(want, "id")
	}
	for key, text := range want {
		if fmt.Sprint(a.body[key]) != text {
			return a, fmt.Errorf("key %q is %v, want %s", key, a.body[key], text)
		}
	}
	if v, ok := a.body["replayed"]; ok {
		if fmt.Sprint(v) != "1" {
			return a, fmt.Errorf("replayed is %v: it is 1 or absent", v)
		}
		a.replayed = true
	}
	a.payload = bytes.Replace(payload, []byte(`,"replayed":1}`), []byte("}"), 1)
	return a, nil
}

// checkHoles: in every lane the numbers begin with 1 and rise by one, but for
// what agent.gap and agent.quarantined announce.
func (d *delivered) checkHoles() {
	announced := d.announced()
	for lane, list := range d.lanes {
		next := uint64(1)
		for _, a := range list {
			for ; next < a.seq; next++ {
				if !announced[fmt.Sprint(lane, " ", next)] {
					d.t.Errorf("%s: number %d is missing before %d", lane, next, a.seq)
					next = a.seq - 1
				}
			}
			next = a.seq + 1
		}
	}
}

// announced are the numbers that the agent's own events say are gone.
func (d *delivered) announced() map[string]bool {
	gone := map[string]bool{}
	for _, a := range d.lanes["agent/event"] {
		first, ok := a.number("first_seq")
		if !ok {
			continue
		}
		last, ok := a.number("last_seq")
		if !ok {
			last = first
		}
		for n := first; n <= last; n++ {
			gone[fmt.Sprint(a.text("of_device"), "/", a.text("kind"), " ", uint64(n))] = true
		}
	}
	return gone
}

// events are the records of a lane with this type.
func (d *delivered) events(lane, kind string) []arrival {
	var out []arrival
	for _, a := range d.lanes[lane] {
		if a.text("type") == kind {
			out = append(out, a)
		}
	}
	return out
}

// stored are the records of a store that nobody has open, the delivered ones
// that are still kept too, by lane and number.
func stored(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := buffer.ScanDir(dir, func(it buffer.Item, _ bool) error {
		all[fmt.Sprint(it.Lane, " ", it.Num)] = bytes.Clone(it.Payload)
		return nil
	})
	if err != nil {
		t.Errorf("read the store: %v", err)
	}
	return all
}

// consumed waits until a consumer has all that is in the stopped agent's store,
// and holds it against the promises.
func (r *rig) consumed(sub *brokertest.Subscriber) *delivered {
	r.t.Helper()
	want := stored(r.t, r.data())
	missing, seen := make(map[string]bool, len(want)), 0
	for key := range want {
		missing[key] = true
	}
	end := time.Now().Add(hosttest.Patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(missing) > 0 && time.Now().Before(end) {
		msgs := sub.Messages()
		for _, m := range msgs[seen:] {
			delete(missing, r.recordKey(m))
		}
		seen = len(msgs)
		<-tick.C
	}
	d := verify(r.t, r.client, sub.Messages())
	d.stored = len(want)
	d.compare(want)
	return d
}

// recordKey is the lane and the number of a message, "" when it has none.
func (r *rig) recordKey(m brokertest.Message) string {
	var head struct{ Seq uint64 }
	if json.Unmarshal(m.Payload, &head) != nil {
		return ""
	}
	return fmt.Sprint(strings.TrimPrefix(m.Topic, "roomcall/v1/"+r.client+"/"), " ", head.Seq)
}

// compare: each stored record has arrived with the same bytes.
func (d *delivered) compare(want map[string][]byte) {
	d.t.Helper()
	have := map[string][]byte{}
	for lane, list := range d.lanes {
		for _, a := range list {
			have[fmt.Sprint(lane, " ", a.seq)] = a.payload
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		got, ok := have[key]
		switch {
		case !ok:
			d.t.Errorf("stored record %s has not arrived: %.200s", key, want[key])
		case !bytes.Equal(got, want[key]):
			d.t.Errorf("%s: delivered are other bytes than stored:\n%s\n%s", key, got, want[key])
		}
	}
}
