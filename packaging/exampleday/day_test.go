// Package exampleday simulates a day of a site with 50 rooms in fast time, and keeps
// docs/example-day.md: what `roomcall report` says of it.
package exampleday

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
	"roomcall/agent/report/story"
)

var (
	update = flag.Bool("update", false, "write docs/example-day.md")
	keep   = flag.String("records", "", "write the day's records into this file, including samples and streams of ten minutes")
)

const pagePath = "../../docs/example-day.md"

// floorAgent is one agent of the site in fast time: it does what the program does
// between the poll and the store.
type floorAgent struct {
	id      string
	rep     *report.Reporter
	states  map[string]report.State
	records []report.Record
	all     bool // keep samples and streams of ten minutes too
}

func newFloorAgent(id string, rooms []*simRoom, all bool) (*floorAgent, error) {
	set := report.Settings{
		ClientID: id, Site: "Example site", Version: "example", Epoch: midnight.Unix(),
		Kinds: []string{"event", "call", "minute"},
	}
	if all {
		set.Kinds = append(set.Kinds, "sample", "stream")
	}
	for _, r := range rooms {
		set.Devices = append(set.Devices, report.Device{
			Name: r.device(), Room: "Room " + r.number,
			PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second,
		})
	}
	rep, err := report.New(set)
	return &floorAgent{id: id, rep: rep, states: map[string]report.State{}, all: all}, err
}

func (a *floorAgent) event(at time.Time) {
	next, records := a.rep.AgentEvent(a.states[report.AgentDevice], at, report.AgentEvent{Type: "agent.started"})
	a.states[report.AgentDevice] = next
	a.keep(records)
}

func (a *floorAgent) keep(records []report.Record) {
	live := span{clock(10, 0), clock(10, 10)}
	for _, r := range records {
		if r.Kind != "sample" && r.Kind != "stream" || live.has(time.UnixMilli(r.TimeMs)) {
			a.records = append(a.records, r)
		}
	}
}

// day polls one room from midnight to midnight.
func (a *floorAgent) day(r *simRoom) error {
	end := midnight.Add(24 * time.Hour)
	at := midnight.Add(time.Duration(r.id*37%15) * time.Second)
	st := a.states[r.device()]
	for at.Before(end) {
		if r.floor == restartFloor && restart.has(at) {
			b, err := st.Marshal()
			if err != nil {
				return err
			}
			if st, err = report.UnmarshalState(b); err != nil {
				return err
			}
			at = restart.to
		}
		status, err := r.poll(at)
		var out report.Output
		st, out = a.rep.Poll(st, report.Poll{Device: r.device(), At: at, Took: 40 * time.Millisecond, Status: status, Err: err})
		a.keep(out.Records)
		at = at.Add(out.Interval)
	}
	_, last := a.rep.Tick(st, r.device(), end)
	a.keep(last)
	return nil
}

// simulate returns the records of the whole site, one per line, in order of time.
func simulate(t testing.TB, all bool) []byte {
	t.Helper()
	rooms := site()
	var agents []*floorAgent
	var work sync.WaitGroup
	errs := make(chan error, floors)
	for f := 1; f <= floors; f++ {
		mine := slices.DeleteFunc(slices.Clone(rooms), func(r *simRoom) bool { return r.floor != f })
		a, err := newFloorAgent(fmt.Sprintf("floor-%d", f), mine, all)
		if err != nil {
			t.Fatal(err)
		}
		agents = append(agents, a)
		work.Go(func() { errs <- a.play(f, mine) })
	}
	work.Wait()
	for range floors {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	return lines(agents)
}

func (a *floorAgent) play(floor int, rooms []*simRoom) error {
	a.event(midnight)
	if floor == restartFloor {
		a.event(restart.to)
	}
	for _, r := range rooms {
		if err := a.day(r); err != nil {
			return err
		}
	}
	return nil
}

func lines(agents []*floorAgent) []byte {
	var all []report.Record
	for _, a := range agents {
		all = append(all, a.records...)
	}
	slices.SortStableFunc(all, func(a, b report.Record) int { return int(a.TimeMs - b.TimeMs) })
	var out bytes.Buffer
	for _, r := range all {
		out.Write(r.Payload)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// The frame of the page; what is between is the report.
const (
	head = "# An example day\n\nWhat `roomcall report` says of one day of a site with 50 rooms, from the published\nrecords and nothing else:\n\n```text\n"
	foot = "```\n\nThe site is simulated: 50 rooms polled every 5 s in a call and every 15 s outside,\n" +
		"over a whole day in fast time, with the limits `huawei`. For your own day, from a\nbroker or from the store of an agent:\n\n" +
		"```sh\nmosquitto_sub -t 'roomcall/v1/+/+/call' -t 'roomcall/v1/+/+/event' -t 'roomcall/v1/+/+/minute' >day.jsonl\nroomcall report day.jsonl\nroomcall report --html --out day.html day.jsonl     # with charts\n" +
		"roomcall report --since 24h                         # from the store\n```\n\n" +
		"`make example-day` writes this page again.\n"
)

func pageOf(t testing.TB, records []byte) string {
	t.Helper()
	s, err := story.Read(bytes.NewReader(records), story.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := s.WriteText(&b, story.Look{Lang: health.English, Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	return head + b.String() + foot
}

func TestTheExampleDayIsFresh(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole day of 50 rooms needs seconds")
	}
	if raceDetector { // with it the day needs ten times as long
		out, err := exec.Command("go", "test", "-run", "^TestTheExampleDayIsFresh$", ".").CombinedOutput()
		if err != nil {
			t.Errorf("without the race detector: %v\n%s", err, out)
		}
		return
	}
	records := simulate(t, *keep != "")
	if *keep != "" {
		if err := os.WriteFile(*keep, records, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	page := pageOf(t, records)
	if *update {
		if err := os.WriteFile(pagePath, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("docs/example-day.md differs from what the records say; run packaging/scripts/example-day.sh and look at the difference")
	}
}
