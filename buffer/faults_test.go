package buffer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// faults fail operations at random: in each phase of up to a minute with another
// probability, and not at all in every other phase.
type faults struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	share  float64 // of the operations that fail now
	writes bool    // only they fail
	ops    map[string]int
	all    int
}

func (f *faults) fail(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all++
	if f.rnd.Float64() >= f.share || op == "read" && f.writes {
		return nil
	}
	f.ops[op]++
	if op != "read" && f.rnd.IntN(2) == 0 {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

func (f *faults) only(writes bool) {
	f.mu.Lock()
	f.writes = writes
	f.mu.Unlock()
}

func (f *faults) set(share float64) {
	f.mu.Lock()
	f.share = share
	f.mu.Unlock()
}

// ledger is a store that notes what it accepted. One at a time uses it: the store waits
// with its lock held, and made-up time stands still while somebody waits for a lock.
type ledger struct {
	*buffer.Queue
	turn     chan struct{}
	accepted map[string]uint64 // last number by topic
	bytes    int
}

func (l *ledger) MakeRoom(now time.Time, add int64) *buffer.Eviction {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return l.Queue.MakeRoom(now, add)
}

func (l *ledger) Peek(after uint64, items, bytes int) ([]buffer.Item, error) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return l.Queue.Peek(after, items, bytes)
}

func (l *ledger) Ack(pos uint64) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return l.Queue.Ack(pos)
}

func (l *ledger) Append(b buffer.Batch) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	err := l.Queue.Append(b)
	if err == nil {
		for _, rec := range b.Records {
			l.accepted[rec.Lane] = rec.Num
			l.bytes += len(rec.Payload)
		}
	}
	return err
}

// TestReadsAndWritesThatFailAtRandomLoseNothing polls three rooms every second for
// BUFFER_FAULT_MINUTES minutes of made-up time, recorder and store together, while
// reads and writes fail, and starts again now and then after a kill. Each poll is
// accepted or announced as missed.
func TestReadsAndWritesThatFailAtRandomLoseNothing(t *testing.T) {
	minutes := 12
	if text := os.Getenv("BUFFER_FAULT_MINUTES"); text != "" {
		var err error
		if minutes, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "store")
	f := &faults{rnd: rand.New(rand.NewPCG(4, 4)), ops: map[string]int{}}
	plan := rand.New(rand.NewPCG(5, 5)) // the faults' own is used by the loops
	o := buffer.Faulty(t, buffer.Options{Dir: dir, MaxBytes: 64 << 20, SegmentBytes: 128 << 10}, f.fail)
	accepted, polls := map[string]uint64{}, map[string]int{}
	got, ids := map[string]uint64{}, map[string]string{}
	samples, missed := map[string]int{}, map[string]int{}
	starts, notOpened, refused, bytes := 0, 0, 0, 0
	rooms := []string{"room-1", "room-2", "room-3"}

	deliver := func(t *testing.T, q interface {
		Peek(uint64, int, int) ([]buffer.Item, error)
		Ack(uint64) error
	}) error {
		items, err := q.Peek(0, 5000, 8<<20)
		if err != nil {
			return err
		}
		for _, it := range items {
			var e struct {
				ID, Type string
				OfDevice string `json:"of_device"`
				Count    int
			}
			if err := json.Unmarshal(it.Payload, &e); err != nil {
				t.Fatal(err)
			}
			if was, there := ids[e.ID]; there {
				if was != string(it.Payload) {
					t.Fatalf("%s stands for two contents", e.ID)
				}
				continue
			}
			ids[e.ID] = string(it.Payload)
			if got[it.Lane]++; it.Num != got[it.Lane] {
				t.Fatalf("%s: number %d follows %d", it.Lane, it.Num, got[it.Lane]-1)
			}
			device, kind, _ := strings.Cut(it.Lane, "/")
			if kind == "sample" {
				samples[device]++
			}
			switch e.Type {
			case "agent.missed":
				missed[e.OfDevice] += e.Count
			case "agent.gap", "agent.store_damaged", "agent.store_reset":
				t.Fatalf("announced although nothing is damaged: %s", it.Payload)
			}
		}
		if len(items) > 0 {
			return q.Ack(items[len(items)-1].Pos)
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		epoch := int64(0)
		for end := time.Now().Add(time.Duration(minutes) * time.Minute); time.Now().Before(end); starts++ {
			q, err := buffer.Open(o)
			for try := 0; err != nil; try++ { // the service manager starts it again
				if try == 10 {
					f.set(0)
				} else if try > 10 {
					t.Fatalf("start %d: %v", starts, err)
				}
				notOpened++
				time.Sleep(5 * time.Second)
				q, err = buffer.Open(o)
			}
			if epoch == 0 {
				epoch = q.Epoch()
			}
			if q.Epoch() != epoch || len(q.Damage()) > 0 {
				t.Fatalf("start %d: epoch %d after %d, damage %+v", starts, q.Epoch(), epoch, q.Damage())
			}
			s := report.Settings{ClientID: "pc", Epoch: epoch, Kinds: []string{"sample", "stream", "event", "call", "minute"}}
			for _, d := range rooms {
				s.Devices = append(s.Devices, report.Device{Name: d, PollInterval: time.Second, IdleInterval: time.Second})
			}
			reporter, err := report.New(s)
			if err != nil {
				t.Fatal(err)
			}
			store := &ledger{Queue: q, turn: make(chan struct{}, 1), accepted: accepted}
			r, err := record.New(record.Options{Reporter: reporter, Store: store, Saved: q.State(), Newest: record.NewNewest(3), Devices: 3, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() { r.Run(ctx) })
			seconds := func(n int) {
				for i := range n {
					for _, d := range rooms {
						polls[d]++
						r.Submit(report.Poll{Device: d, At: time.Now(), Took: time.Millisecond, Status: cgi.Status{
							Call: cgi.CallActive, SourceAPI: "WEB_GetMultiCallStatusInfoAPI", AudioSend: cgi.Stream{Active: true, BitrateKbps: cgi.Known(64)},
						}}, 0)
					}
					time.Sleep(time.Second)
					if i%5 == 0 && deliver(t, store) != nil {
						refused++
					}
				}
			}
			for range 1 + plan.IntN(3) {
				f.set([]float64{0.02, 0.3, 1}[plan.IntN(3)])
				seconds(5 + plan.IntN(55))
				f.set(0)
				seconds(1 + plan.IntN(20))
			}
			if plan.IntN(4) == 0 { // for longer than memory holds polls; reads are given up after minutes
				f.only(true)
				f.set(1)
				seconds(700)
				f.set(0)
				f.only(false)
			}
			seconds(70) // announcements are one a minute
			cancel()
			wg.Wait()
			bytes += store.bytes
			if n := len(q.Damage()); n > 0 {
				t.Fatalf("%d false damages: %+v", n, q.Damage())
			}
			buffer.Crash(q)
			f.set(float64(plan.IntN(2)) * 0.1) // at the start
		}
		f.set(0)
		q, err := buffer.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		for before := -1; before < len(ids); {
			before = len(ids)
			if err := deliver(t, q); err != nil {
				t.Fatal(err)
			}
		}
		q.Close()
	})
	for topic, last := range accepted {
		if got[topic] != last {
			t.Errorf("%s: %d of %d accepted records were delivered", topic, got[topic], last)
		}
	}
	made := 0
	for _, d := range rooms {
		made += polls[d]
		if samples[d]+missed[d] != polls[d] {
			t.Errorf("%s: %d polls, %d samples and %d announced as missed", d, polls[d], samples[d], missed[d])
		}
	}
	if len(f.ops) < 5 {
		t.Errorf("only %v failed: the test did not test", f.ops)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*")); len(names) > 0 {
		t.Errorf("files were set aside: %v", names)
	}
	t.Logf("%d minutes, %d starts (%d more did not open the store), of %d operations failed %v, %d deliveries refused: %d polls, %d records accepted (%d bytes), 0 lost, %d polls announced as missed, 0 false damages",
		minutes, starts, notOpened, f.all, fmt.Sprint(f.ops), refused, made, len(ids), bytes, missed["room-1"]+missed["room-2"]+missed["room-3"])
}
