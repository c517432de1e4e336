package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roomcall/agent/host/hosttest"
	"roomcall/buffer"
	"roomcall/durable"
	"roomcall/publish"
)

// replaying is a replayer over a store with n records of room-1, a minute apart, of
// which so many are delivered.
func replaying(t *testing.T, b *fakeBroker, n int, delivered uint64) (*Replayer, time.Time) {
	t.Helper()
	q, err := buffer.Open(buffer.Options{Dir: t.TempDir(), KeepDelivered: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	start := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	var batch buffer.Batch
	for i := range n {
		batch.Records = append(batch.Records, buffer.Record{
			Lane: fmt.Sprintf("room-%d/sample", 1+i%2), Num: uint64(i/2 + 1), Time: start.Add(time.Duration(i) * time.Minute),
			Fresh: time.Second, Payload: fmt.Appendf(nil, `{"n":%d}`, i+1),
		})
	}
	if err := q.Append(batch); err != nil {
		t.Fatal(err)
	}
	if items, err := q.Peek(0, n, 1<<20); err != nil || len(items) != n {
		t.Fatal(err, len(items))
	} else if delivered > 0 {
		if err := q.Ack(items[delivered-1].Pos); err != nil {
			t.Fatal(err)
		}
	}
	conn, _ := b.Connect(t.Context())
	return &Replayer{Queue: q, Topic: b.Topic, Conn: func() Conn { return conn }, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, start
}

func TestReplaySendsWhatWasDeliveredAndChosenAndNothingElse(t *testing.T) {
	b := &fakeBroker{}
	r, start := replaying(t, b, 10, 6)
	for _, c := range []struct {
		req  ReplayRequest
		want []string
	}{
		{ReplayRequest{Since: start}, []string{"1", "2", "3", "4", "5", "6"}},
		{ReplayRequest{Since: start.Add(3 * time.Minute), Until: start.Add(5 * time.Minute)}, []string{"4", "5"}},
		{ReplayRequest{Since: start, Device: "room-2"}, []string{"2", "4", "6"}},
		{ReplayRequest{}, nil},
	} {
		b.sent = nil
		out, err := r.Replay(t.Context(), c.req)
		if err != nil || out.Sent != len(c.want) {
			t.Fatalf("%+v: %+v, %v", c.req, out, err)
		}
		var got []string
		for _, m := range b.sent {
			n, marked := strings.CutSuffix(strings.TrimPrefix(string(m.Payload), `{"n":`), `,"replayed":1}`)
			if !marked {
				t.Errorf("sent without the mark: %s", m.Payload)
			}
			got = append(got, n)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c.req, diff)
		}
	}
	if n := r.Queue.Info().Waiting; n != 4 {
		t.Errorf("%d records wait after the replays, want the 4 from before", n)
	}
}

func TestADamagedQuarantinedRecordKeepsBackNoneOfTheOthers(t *testing.T) {
	b := &fakeBroker{}
	r, start := replaying(t, b, 5, 1)
	for pos := uint64(2); pos <= 4; pos++ {
		if err := r.Queue.Quarantine(pos, "x"); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(r.Queue.Info().Dir, "poison-*.rec"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := r.Replay(t.Context(), ReplayRequest{Since: start, Requeue: true})
	if out.Requeued != 2 || out.Sent != 1 || err == nil || !strings.Contains(err.Error(), files[0]) {
		t.Errorf("replay: %+v, %v; want 2 requeued, 1 sent, and an error that names %s", out, err, files[0])
	}
	if in := r.Queue.Info(); in.Quarantined != 1 || in.Waiting != 3 {
		t.Errorf("%d records are quarantined and %d wait, want 1 and 3", in.Quarantined, in.Waiting)
	}
}

func TestReplayKeepsItsWindowAndStopsAtTheFirstRefusal(t *testing.T) {
	for window, want := range map[int]int64{1: 1, 60: 30, 10_000: replayWindow} {
		synctest.Test(t, func(t *testing.T) {
			var open atomic.Int64
			most, sent := int64(0), 0
			b := &fakeBroker{}
			b.publish = func(publish.Message) (Receipt, error) {
				if sent++; sent == 120 {
					return nil, &publish.Error{Class: publish.ClassLost, Op: "publish to", Err: os.ErrClosed}
				}
				r := &fakeReceipt{done: make(chan struct{})}
				most = max(most, open.Add(1))
				time.AfterFunc(time.Second, func() { open.Add(-1); close(r.done) })
				return r, nil
			}
			r, start := replaying(t, b, 200, 200)
			r.Window = window
			out, err := r.Replay(t.Context(), ReplayRequest{Since: start})
			if err == nil || most != want || sent != 120 || out.Sent > 119 {
				t.Errorf("window %d: %+v, %v: %d sent, at most %d at once, want %d", window, out, err, sent, most, want)
			}
			time.Sleep(time.Second)
		})
	}
}

// TestAnswersReachOnlyWhoAsked: no answer of an earlier process, and none for one that left.
func TestAnswersReachOnlyWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		old := filepath.Join(dir, replayPrefix+strconv.Itoa(os.Getpid())+resultEnd)
		if err := os.WriteFile(old, []byte(`{"sent":99}`), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if out, err := AskReplay(ctx, dir, ReplayRequest{Since: time.Now()}); err == nil || out.Sent != 0 {
			t.Errorf("%+v, %v", out, err)
		}
		r := &Replayer{Dir: dir, Log: slog.New(slog.DiscardHandler)}
		r.serve(t.Context(), filepath.Join(dir, replayPrefix+"1"+requestEnd))
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestReplayKeepsToTheReplayRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		r, start := replaying(t, b, 100, 100)
		r.Window, r.ReplayRate = 100, 10
		began := time.Now()
		out, err := r.Replay(t.Context(), ReplayRequest{Since: start})
		if took := time.Since(began); err != nil || out.Sent != 100 || took < 9*time.Second || took > 11*time.Second {
			t.Errorf("%d records in %v, %v; want 100 at 10 a second", out.Sent, took, err)
		}
		r.ReplayRate = 1
		stopped, stop := context.WithTimeout(t.Context(), time.Second/2)
		defer stop()
		began = time.Now()
		if _, err := r.Replay(stopped, ReplayRequest{Since: start}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second/2 {
			t.Errorf("stopped while it waits: %v after %v", err, time.Since(began))
		}
	})
}

func TestReplayWaitsForNoBrokerThatAcceptsNothing(t *testing.T) {
	b := &fakeBroker{undelivered: true}
	r, start := replaying(t, b, 3, 3)
	if out, err := r.Replay(t.Context(), ReplayRequest{Since: start}); err == nil || out.Sent != 0 || len(b.sent) != 0 {
		t.Errorf("the proof has failed: %+v, %v", out, err)
	}
	r.Conn = func() Conn { return nil }
	if _, err := r.Replay(t.Context(), ReplayRequest{Since: start}); err == nil || !strings.Contains(err.Error(), "no broker is connected") {
		t.Errorf("without a connection: %v", err)
	}
}

func TestARequestIsAnsweredWhateverIsInIt(t *testing.T) {
	b := &fakeBroker{}
	r, start := replaying(t, b, 3, 3)
	good, err := json.Marshal(ReplayRequest{Since: start})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		text string
		sent int
		says string
	}{
		"good":    {string(good), 3, ""},
		"garbage": {"{", 0, "unexpected end"},
		"large":   {strings.Repeat(" ", requestMax) + string(good), 0, "more than"},
	}
	for name, c := range cases {
		file := filepath.Join(r.Dir, replayPrefix+name+requestEnd)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	for name, c := range cases {
		var out ReplayResult
		hosttest.WaitFor(t, "the answer to "+name, func() (bool, string) {
			text, err := os.ReadFile(filepath.Join(r.Dir, replayPrefix+name+resultEnd))
			return err == nil && json.Unmarshal(text, &out) == nil, fmt.Sprint(err)
		})
		if out.Sent != c.sent || !strings.Contains(out.Err, c.says) || (c.says == "") != (out.Err == "") {
			t.Errorf("%s: answered %+v", name, out)
		}
	}
	cancel()
	<-ended // the answer is there before the request goes
	if left, _ := filepath.Glob(filepath.Join(r.Dir, "*"+requestEnd)); len(left) != 0 {
		t.Errorf("requests are left: %v", left)
	}
}

// TestWhoAskedForAReplayWaitsWhileTheAgentIsAtWork, however long it takes, and not
// for one that is not.
func TestWhoAskedForAReplayWaitsWhileTheAgentIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, started := t.TempDir(), time.Now()
		if _, err := AskReplay(t.Context(), dir, ReplayRequest{}); err == nil || !strings.Contains(err.Error(), "no work") {
			t.Errorf("nobody is there: %v", err)
		}
		if waited := time.Since(started); waited < replayPatience || waited > replayPatience+time.Second {
			t.Errorf("waited for %v", waited)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		r := &Replayer{Dir: dir}
		ctx, cancel := context.WithCancel(t.Context())
		var agent sync.WaitGroup
		agent.Go(func() { r.showWork(ctx) })
		agent.Go(func() {
			time.Sleep(time.Hour)
			request := r.requests()[0]
			result := strings.TrimSuffix(request, requestEnd) + resultEnd
			if err := durable.WriteFile(result, []byte(`{"sent":7}`), 0o600); err != nil { // whole or not there, as the agent does
				t.Error(err)
			}
		})
		if out, err := AskReplay(t.Context(), dir, ReplayRequest{}); err != nil || out.Sent != 7 {
			t.Errorf("after an hour: %+v, %v", out, err)
		}
		cancel()
		agent.Wait()
	})
}

// TestARequestThatCannotBeRemovedIsServedOnce: on a disk that accepts no changes it
// would be replayed again and again.
func TestARequestThatCannotBeRemovedIsServedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hosttest.Log{}
		r := &Replayer{Dir: t.TempDir(), Log: log.Logger()}
		// a folder with something in it cannot be removed, whoever asks
		if err := os.MkdirAll(filepath.Join(r.Dir, replayPrefix+"1"+requestEnd, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.Run(ctx)
		if n := log.Count("answer replay request"); n != 1 {
			t.Errorf("served %d times in a minute", n)
		}
	})
}
