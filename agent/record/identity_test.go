package record

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// place is an agent's store in a folder, and its recorder without the loop.
type place struct {
	t   *testing.T
	dir string
	q   *buffer.Queue
	r   *Recorder
	log *hosttest.Log
}

func open(t *testing.T, dir string, change func(*Options)) *place {
	t.Helper()
	q, err := buffer.Open(buffer.Options{Dir: dir, KeepDelivered: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, q: q, log: &hosttest.Log{}}
	kinds := []string{"sample", "stream", "event", "call", "minute"}
	o := Options{
		Reporter: reporterFor(t, kinds, "room-1", "room-2").WithEpoch(q.Epoch()), Store: q, Saved: q.State(),
		Newest: NewNewest(2), Devices: 2, Log: p.log.Logger(),
	}
	if change != nil {
		change(&o)
	}
	if p.r, err = New(o); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) close() {
	if err := p.q.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// poll records n polls of both rooms in a call, at a time.
func (p *place) poll(n int, at time.Time) {
	p.t.Helper()
	for range n {
		for _, room := range []string{"room-1", "room-2"} {
			p.r.pending.hold(&report.Poll{Device: room, At: at, Status: activeStatus})
		}
		at = at.Add(5 * time.Second)
	}
	if !p.r.commit(at) {
		p.t.Fatal("the store accepted nothing")
	}
}

// waiting are the payloads that wait, by id; an id may stand for one content only.
func (p *place) waiting() (list []string) {
	p.t.Helper()
	items, err := p.q.Peek(0, 100_000, 1<<30)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, it := range items {
		list = append(list, string(it.Payload))
	}
	return list
}

// connect is a connection to a broker that holds nothing of this agent yet.
func (p *place) connect(at time.Time) {
	p.t.Helper()
	done := p.r.Compare(nil, true)
	p.r.answerAll(at)
	<-done
}

// deliver is what the broker gets: all that waits.
func (p *place) deliver(to *consumer) {
	p.t.Helper()
	items, err := p.q.Peek(0, 100_000, 1<<30)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, it := range items {
		to.take(it)
	}
	if len(items) > 0 {
		if err := p.q.Ack(items[len(items)-1].Pos); err != nil {
			p.t.Fatal(err)
		}
	}
}

// consumer drops duplicates by id, and sees an id with two contents.
type consumer struct {
	t      *testing.T
	byID   map[string]string
	newest map[string]report.Identity // of samples, by device
	seqs   map[string]uint64          // by topic and epoch
}

func consume(t *testing.T) *consumer {
	return &consumer{t, map[string]string{}, map[string]report.Identity{}, map[string]uint64{}}
}

func (c *consumer) take(it buffer.Item) {
	c.t.Helper()
	f := fields(c.t, it.Payload)
	id := f["id"].(string)
	was, there := c.byID[id]
	if there && was != string(it.Payload) {
		c.t.Fatalf("%s stands for two contents:\n%s\n%s", id, was, it.Payload)
	}
	c.byID[id] = string(it.Payload)
	who, ok := report.ReadIdentity(it.Payload)
	if !ok {
		c.t.Fatalf("no identity: %s", it.Payload)
	}
	if who.Kind == "sample" {
		c.newest[who.Device] = who
	}
	topic := fmt.Sprint(it.Lane, " ", who.Epoch)
	if !there && who.Seq != c.seqs[topic]+1 {
		c.t.Fatalf("%s: number %d follows %d", topic, who.Seq, c.seqs[topic])
	}
	c.seqs[topic] = max(c.seqs[topic], who.Seq)
}

// states are what the broker holds retained.
func (c *consumer) states() (list []report.Identity) {
	for _, id := range c.newest {
		list = append(list, id)
	}
	return list
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestARestoredStoreBeginsANewEpoch: the store is put back from a copy; what is recorded
// from then on, before and after the first connection, has ids of its own.
func TestARestoredStoreBeginsANewEpoch(t *testing.T) {
	for _, behind := range []int{1, 40} { // polls that the copy does not have: seconds, or an hour
		t.Run(fmt.Sprint(behind), func(t *testing.T) {
			start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			c := consume(t)
			p := open(t, filepath.Join(t.TempDir(), "data"), nil)
			p.connect(start)
			p.poll(20, start)
			p.deliver(c)
			p.r.Offline()
			p.r.answerAll(start)
			p.poll(3, start.Add(100*time.Second)) // offline, and copied: these come twice, under two ids
			p.close()
			backup := copyDir(t, p.dir)
			p = open(t, p.dir, nil)
			p.connect(start)
			p.poll(behind, start.Add(115*time.Second))
			p.deliver(c)
			old := p.q.Epoch()
			p.close()

			p = open(t, backup, nil)
			p.poll(10, start.Add(time.Hour)) // no broker yet
			done := p.r.Compare(c.states(), true)
			p.r.answerAll(start.Add(2 * time.Hour))
			select {
			case <-done:
				t.Fatal("records may be sent before the new epoch has begun")
			default:
			}
			p.poll(5, start.Add(2*time.Hour))
			select {
			case <-done:
			default:
				t.Fatal("records may not be sent though the new epoch has begun")
			}
			if p.q.Epoch() <= old || p.log.Count("a new epoch begins") != 1 || p.r.Stats().NewEpoch != ReasonReverted {
				t.Errorf("epoch %d after %d; the log:\n%s", p.q.Epoch(), old, p.log)
			}
			before := len(c.byID)
			p.deliver(c) // fails for an id with two contents, and for a hole
			samples, resets := 0, 0
			for id, text := range c.byID {
				samples += strings.Count(id, ".sample.")
				resets += strings.Count(text, `"type":"agent.store_reset"`)
			}
			if want := 2 * (23 + behind + 15 + 3); samples != want || resets != 1 {
				t.Errorf("%d samples and %d resets of %d polls (%d records before)", samples, resets, want, before)
			}
			again := p.r.Compare(c.states(), true)
			p.r.answerAll(start.Add(3 * time.Hour))
			if <-again; p.r.identity.next != nil {
				t.Error("the new epoch begins another one because of its own records")
			}
			p.close()
		})
	}
}

func TestAnOrdinaryRestartKeepsItsEpoch(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := consume(t)
	p := open(t, filepath.Join(t.TempDir(), "data"), nil)
	p.poll(1, start.Add(-time.Minute)) // offline
	p.connect(start)
	p.poll(5, start)
	p.deliver(c)
	epoch := p.q.Epoch()
	p.close()
	p = open(t, p.dir, nil)
	defer p.close()
	p.poll(2, start.Add(time.Minute))
	for _, seen := range [][]report.Identity{c.states(), nil, {{Epoch: epoch - 1, Device: "room-1", Kind: "sample", Seq: 1e6}}, {{Epoch: epoch}}} {
		done := p.r.Compare(seen, true)
		p.r.answerAll(start.Add(2 * time.Minute))
		<-done
	}
	p.poll(1, start.Add(3*time.Minute))
	if p.q.Epoch() != epoch || p.r.Stats().NewEpoch != "" {
		t.Error("a new epoch without a reason")
	}
	p.deliver(c)
}

func TestALostStoreUnderAWrongClockRisesAboveWhatWasPublished(t *testing.T) {
	published := report.Identity{Epoch: buffer.NewEpoch(time.Now().Add(400*24*time.Hour), 0), Device: "room-1", Kind: "sample", Seq: 7}
	p := open(t, filepath.Join(t.TempDir(), "data"), nil)
	defer p.close()
	p.poll(2, time.Now())
	p.r.Compare([]report.Identity{published}, true)
	p.r.answerAll(time.Now())
	p.poll(1, time.Now())
	if p.q.Epoch() <= published.Epoch {
		t.Errorf("epoch %d, published was %d", p.q.Epoch(), published.Epoch)
	}
	for _, text := range p.waiting() {
		if id, _ := report.ReadIdentity([]byte(text)); id.Epoch != p.q.Epoch() {
			t.Errorf("waits with epoch %d: %s", id.Epoch, text)
		}
	}
}

// TestANewEpochGoesOnAfterAKillAtAnyPoint: it is made in portions, and each of them may
// be the last one before a kill, or fail.
func TestANewEpochGoesOnAfterAKillAtAnyPoint(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for kill := range 6 {
		c := consume(t)
		p := open(t, filepath.Join(t.TempDir(), "data"), nil)
		p.connect(start)
		p.poll(10, start)
		p.deliver(c)
		p.r.Offline()
		p.r.answerAll(start)
		p.poll(1, start.Add(50*time.Second))
		p.close()
		p = open(t, p.dir, nil)
		p.poll(30, start.Add(time.Minute))
		c.newest["room-1"] = report.Identity{Epoch: p.q.Epoch(), Device: "room-1", Kind: "sample", Seq: 12} // somebody else's
		for _, text := range p.waiting()[:4] {
			c.byID[fields(t, []byte(text))["id"].(string)] = "somebody else's"
		}
		failing := &failingStore{Queue: p.q, after: kill}
		p.r.store = failing
		p.r.commitBytes = 16 << 10 // several portions
		p.r.Compare(c.states(), true)
		p.r.answerAll(start.Add(time.Hour))
		p.r.commit(start.Add(time.Hour))
		p.close() // as a kill: nothing of the recorder's memory is left
		p = open(t, p.dir, nil)
		p.poll(2, start.Add(2*time.Hour))
		if kill > 0 && p.r.identity.next != nil {
			t.Fatal("the new epoch is not finished")
		}
		done := p.r.Compare(c.states(), true)
		p.r.answerAll(start.Add(2 * time.Hour))
		p.poll(1, start.Add(2*time.Hour+time.Minute))
		<-done
		p.deliver(c)
		p.close()
		if got := c.openCalls(); got != 2 { // those that go on, in each room
			t.Errorf("after a kill at %d: %d calls are open", kill, got)
		}
	}
}

// openCalls counts the calls that were started and not ended.
func (c *consumer) openCalls() (n int) {
	open := map[any]int{}
	for _, payload := range c.byID {
		if payload[0] != '{' {
			continue
		}
		switch f := fields(c.t, []byte(payload)); f["type"] {
		case "call.started":
			open[f["call_id"]]++
		case "call.ended":
			open[f["call_id"]]--
		}
	}
	for _, left := range open {
		n += left
	}
	return n
}

// failingStore fails after so many appends.
type failingStore struct {
	*buffer.Queue
	after int
}

func (f *failingStore) Append(b buffer.Batch) error {
	if f.after--; f.after < 0 {
		return errors.New("killed")
	}
	return f.Queue.Append(b)
}

func TestTwinsDoNotDriveEachOtherOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		a := open(t, dir, nil)
		a.poll(3, time.Now())
		a.close()
		b := open(t, copyDir(t, dir), nil)
		a = open(t, dir, nil)
		c := consume(t)
		epochs := map[int64]bool{a.q.Epoch(): true}
		for range 200 { // they throw each other out every few seconds
			for _, p := range []*place{a, b} {
				p.r.Compare(c.states(), true)
				p.r.answerAll(time.Now())
				p.poll(1, time.Now())
				p.deliver(c)
				epochs[p.q.Epoch()] = true
				time.Sleep(3 * time.Second)
			}
		}
		if a.q.Epoch() == b.q.Epoch() || len(epochs) > 4 {
			t.Errorf("epochs %d and %d, %d epochs in 20 minutes", a.q.Epoch(), b.q.Epoch(), len(epochs))
		}
		a.close()
		b.close()
	})
}

func TestACopiedStoreBeginsANewEpochAtOnce(t *testing.T) {
	p := open(t, filepath.Join(t.TempDir(), "data"), nil)
	p.poll(2, time.Now())
	p.close()
	old := p.q.Epoch()
	p = open(t, copyDir(t, p.dir), func(o *Options) { o.Copied = true })
	defer p.close()
	p.poll(1, time.Now())
	list := p.waiting()
	before, _ := report.ReadIdentity([]byte(list[0]))
	after, _ := report.ReadIdentity([]byte(list[len(list)-1]))
	if before.Epoch != old || after.Epoch <= old {
		t.Errorf("epochs %d before and %d after, was %d", before.Epoch, after.Epoch, old)
	}
}

// TestANewEpochIsAnnouncedByTheCommitThatMakesIt: a kill right after it does not take
// the announcement.
func TestANewEpochIsAnnouncedByTheCommitThatMakesIt(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "data")
	for _, polls := range []int{0, 400} { // nothing waits, and more than a portion
		p := open(t, dir, nil)
		if polls > 0 {
			p.poll(polls, start)
		}
		p.close()
		p = open(t, dir, func(o *Options) { o.Copied = true })
		epoch := p.q.Epoch()
		if !p.r.finishNewEpoch(start) || p.q.Epoch() <= epoch {
			t.Fatal("no new epoch")
		}
		p.close() // killed: nothing else was committed
		p = open(t, dir, nil)
		list := p.waiting()
		if last := fields(t, []byte(list[len(list)-1])); last["type"] != "agent.store_reset" || last["reason"] != ReasonCopied || last["seq"] != 1.0 {
			t.Errorf("the last record is %v", last)
		}
		p.deliver(consume(t))
		p.close()
	}
}

func TestManyQuestionsAreBounded(t *testing.T) {
	r := recorderOver(t, &fakeStore{}, slog.New(slog.DiscardHandler))
	for range 1000 {
		r.SameClientID()
	}
	decided := r.Compare(nil, true) // the connection of the moment
	if len(r.questions) > questionsMax {
		t.Errorf("%d questions wait", len(r.questions))
	}
	r.answerAll(time.Now())
	r.commit(time.Now()) // the twins' new epoch
	select {
	case <-decided:
	default:
		t.Error("the newest question is never answered: its connection sends nothing for ever")
	}
}

// TestConnectionsThatAreGoneAreForgotten: a broker flaps while the disk does not let a
// new epoch begin.
func TestConnectionsThatAreGoneAreForgotten(t *testing.T) {
	r := recorderOver(t, &fakeStore{appendHook: func(buffer.Batch) error { return buffer.ErrFull }}, slog.New(slog.DiscardHandler))
	seen := []report.Identity{{Epoch: 9}}
	for range 100 {
		r.Compare(seen, true)
		r.Offline()
		r.answerAll(time.Now())
	}
	if r.identity.next == nil || len(r.identity.waiting) > 1 {
		t.Errorf("new epoch %v, %d connections wait", r.identity.next, len(r.identity.waiting))
	}
}

// TestAFullDiskAtTheConnectMakesNoNewEpoch: that a broker is connected could not be kept
// at once; the next commit keeps it, so the next start knows what may be published.
func TestAFullDiskAtTheConnectMakesNoNewEpoch(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "data")
	p := open(t, dir, nil)
	p.poll(3, start)
	p.r.store = &failOnce{p.q, 0}
	p.connect(start.Add(time.Minute))
	c := consume(t)
	p.poll(3, start.Add(2*time.Minute))
	p.deliver(c)
	epoch := p.q.Epoch()
	p.close()

	p = open(t, dir, nil)
	p.r.Compare(c.states(), true)
	p.r.answerAll(start.Add(3 * time.Minute))
	p.poll(1, start.Add(3*time.Minute))
	if p.q.Epoch() != epoch {
		t.Error("a new epoch began, although the store is ahead of all that was published")
	}
	p.close()
}

// TestAStopWaitsForNoDiskThatHangsAtAConnect: what a connection asks of the store ends
// as a commit does.
func TestAStopWaitsForNoDiskThatHangsAtAConnect(t *testing.T) {
	for name, c := range map[string]struct {
		seen  []report.Identity
		reads bool // it hangs in reads too
	}{"up to date": {}, "behind": {seen: []report.Identity{{Epoch: 9}}}, "behind, in a read": {[]report.Identity{{Epoch: 9}}, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hangs atomic.Bool
				disk := make(chan struct{})
				wait := func() {
					if hangs.Load() {
						<-disk
					}
				}
				s := &fakeStore{appendHook: func(buffer.Batch) error { wait(); return nil }}
				if c.reads {
					s.peekHook = wait
				}
				r := recorderOver(t, s, slog.New(slog.DiscardHandler))
				stop := recording(t, r)
				r.polled("room-1", activeStatus, nil)
				synctest.Wait()
				hangs.Store(true)
				r.Compare(c.seen, true)
				for range 200 { // more than the way to the recorder holds
					r.polled("room-1", activeStatus, nil)
					time.Sleep(50 * time.Millisecond)
				}
				if lost := r.missedTotal(); lost > 0 {
					t.Errorf("%d polls lost while memory has room", lost)
				}
				before := time.Now()
				stop()
				if took := time.Since(before); took > stopGrace {
					t.Errorf("the stop took %v", took)
				}
				close(disk)
			})
		})
	}
}

// TestAConnectionMaySendWhileTheDiskHangs: what needs no disk is decided although a
// commit does not return, and the next commit keeps the mark of it. A new epoch, and what
// was asked after it, waits for the disk.
func TestAConnectionMaySendWhileTheDiskHangs(t *testing.T) {
	for name, first := range map[string]func(*Recorder){
		"in a poll's commit": func(r *Recorder) { r.polled("room-1", activeStatus, nil) },
		"in the connect's":   func(*Recorder) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hang atomic.Pointer[chan struct{}]
				s := &fakeStore{appendHook: func(buffer.Batch) error {
					if c := hang.Load(); c != nil {
						<-*c
					}
					return nil
				}}
				r := recorderOver(t, s, nil)
				stop := recording(t, r)
				r.polled("room-1", activeStatus, nil)
				synctest.Wait()
				disk := make(chan struct{})
				hang.Store(&disk)
				decided := func(c <-chan struct{}) bool {
					synctest.Wait()
					select {
					case <-c:
						return true
					default:
						return false
					}
				}

				first(r)
				synctest.Wait()
				c := r.Compare(nil, true)
				if decided(c) {
					t.Error("a commit that may return soon is not waited for")
				}
				if time.Sleep(retryEvery); !decided(c) {
					t.Error("a connection may not send while the disk hangs")
				}
				r.Offline()
				if c = r.Compare(nil, true); !decided(c) {
					t.Error("the next connection may not send")
				}
				r.Offline()
				behind := r.Compare([]report.Identity{{Epoch: 9}}, true)
				after := r.Compare(nil, true)
				if time.Sleep(time.Minute); decided(behind) || decided(after) {
					t.Error("a connection may send before the new epoch that it needs is on disk")
				}
				if r.Stats().Compared != 0 {
					t.Error("a new epoch is decided on, although the commit under way brings more records of the old one")
				}

				hang.Store(nil)
				close(disk)
				if time.Sleep(time.Second); !decided(behind) || !decided(after) {
					t.Error("not decided after the disk came back")
				}
				stop()
				offline, reset := true, false
				for _, b := range s.batches {
					if blob, there := b.State[offlineKey]; there {
						offline = blob != nil
					}
					reset = reset || b.Epoch > 9
				}
				if offline || !reset {
					t.Errorf("the store says offline: %v; a new epoch began: %v", offline, reset)
				}
			})
		})
	}
}

// TestWhatIsKeptDuringACommitIsInTheNextOne: a connection ends while a commit that says
// it is there does not return.
func TestWhatIsKeptDuringACommitIsInTheNextOne(t *testing.T) {
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var hang atomic.Pointer[chan struct{}]
			s := &fakeStore{appendHook: func(buffer.Batch) error {
				if c := hang.Load(); c != nil {
					<-*c
				}
				return nil
			}}
			r := recorderOver(t, s, nil)
			stop := recording(t, r)
			r.polled("room-1", activeStatus, nil)
			synctest.Wait()
			disk := make(chan struct{})
			hang.Store(&disk)
			r.Compare(nil, true)
			time.Sleep(2 * retryEvery)
			r.Offline()
			if again {
				r.Compare(nil, true)
			}
			synctest.Wait()
			hang.Store(nil)
			close(disk)
			time.Sleep(2 * tidyEvery)
			stop()
			var last []byte
			for _, b := range s.batches {
				if blob, there := b.State[offlineKey]; there {
					last = blob
				}
			}
			if online := last == nil; online != again {
				t.Errorf("connected again %v: the store has %q", again, last)
			}
		})
	}
}

// TestAPortionThatFailsIsMadeAgainWithTheSameNumbers: the disk is full for a moment.
func TestAPortionThatFailsIsMadeAgainWithTheSameNumbers(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for fail := range 4 {
		p := open(t, filepath.Join(t.TempDir(), "data"), nil)
		p.poll(20, start)
		p.r.store = &failOnce{Queue: p.q, at: fail}
		p.r.commitBytes = 16 << 10
		p.r.Compare([]report.Identity{{Epoch: p.q.Epoch() + 1}}, true)
		p.r.answerAll(start.Add(time.Hour))
		for range 3 {
			p.r.commit(start.Add(time.Hour))
		}
		p.deliver(consume(t)) // fails for a hole
		p.close()
	}
}

// failOnce fails at one append.
type failOnce struct {
	*buffer.Queue
	at int
}

func (f *failOnce) Append(b buffer.Batch) error {
	if f.at--; f.at == -1 {
		return buffer.ErrFull
	}
	return f.Queue.Append(b)
}

func TestTheEchoAloneShowsThatAStoreIsBehind(t *testing.T) {
	p := open(t, filepath.Join(t.TempDir(), "data"), nil)
	defer p.close()
	p.poll(3, time.Now())
	echo, ok := report.ReadIdentity(p.r.Echo())
	if _, newest := p.q.Progress(); !ok || echo.Epoch != p.q.Epoch() || echo.Position != newest {
		t.Fatalf("the echo is %s", p.r.Echo())
	}
	p.connect(time.Now())
	p.r.Offline()
	p.r.answerAll(time.Now())
	for extra, want := range []string{"", ReasonReverted} {
		p.r.Compare([]report.Identity{{Epoch: echo.Epoch, Position: echo.Position + uint64(extra)}}, false)
		p.r.answerAll(time.Now())
		p.r.commit(time.Now())
		if got := p.r.Stats().NewEpoch; got != want {
			t.Errorf("%d records more than the store has: new epoch %q, want %q", extra, got, want)
		}
	}
}

func TestATwinIsAnnouncedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, filepath.Join(t.TempDir(), "data"), nil)
		defer p.close()
		for range 150 { // 2.5 hours
			p.r.SameClientID()
			p.r.answerAll(time.Now())
			p.r.commit(time.Now())
			time.Sleep(time.Minute)
		}
		announced := 0
		for _, text := range p.waiting() {
			announced += strings.Count(text, `"type":"agent.same_client_id"`)
		}
		if announced != 3 || p.r.Stats().NewEpoch != ReasonSameClientID {
			t.Errorf("announced %d times, new epoch %q", announced, p.r.Stats().NewEpoch)
		}
	})
}

// TestNumbersInUseAlwaysLeadToANewEpoch: a machine that is set back twice in an hour, its
// memory too.
func TestNumbersInUseAlwaysLeadToANewEpoch(t *testing.T) {
	p := open(t, filepath.Join(t.TempDir(), "data"), nil)
	defer p.close()
	p.poll(1, time.Now())
	for n := range 3 {
		p.connect(time.Now())
		before := p.q.Epoch()
		p.r.Compare([]report.Identity{{Epoch: before, Device: "room-1", Kind: "sample", Seq: 1000}}, true)
		p.r.answerAll(time.Now())
		p.poll(1, time.Now())
		if p.q.Epoch() == before {
			t.Errorf("time %d: the numbers of epoch %d are in use, and it goes on", n+1, before)
		}
	}
}
