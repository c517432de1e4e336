package poll

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/cgi"
)

// pollFor runs a poller in fake time and gives when it polled.
func pollFor(t *testing.T, e *fakeEndpoint, how func(*Loop), d time.Duration) (*Loop, []time.Duration) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	p := newTestLoop(e, &fakeRecorder{})
	if how != nil {
		how(p)
	}
	p.Run(ctx)
	return p, e.asked(start)
}

func seconds(list ...float64) (out []time.Duration) {
	for _, s := range list {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out
}

func TestFirstPollIsAtOnceAndTheOthersAreOnTheTicksOfTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := []bool{false, false, true, true, true, false, false}
		e := &fakeEndpoint{answer: func(n int) (cgi.Status, time.Duration, error) {
			if n < len(calls) && calls[n] {
				return activeStatus, 50 * time.Millisecond, nil
			}
			return idleStatus, 50 * time.Millisecond, nil
		}}
		// ticks every 15 s lie at 13, 28, 43 ... s, those every 5 s at 3, 8, 13 ... s
		_, got := pollFor(t, e, nil, 90*time.Second)
		// an idle poll after a call is confirmed by another one at the pace of the call
		want := seconds(0, 13, 28, 33, 38, 43, 48, 58, 73, 88)
		if !slices.Equal(got, want) {
			t.Errorf("polled at %v, want %v", got, want)
		}
	})
}

func TestLatePollsAreSkippedAndCountedAndNeverQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEndpoint{answer: func(n int) (cgi.Status, time.Duration, error) {
			if n == 2 {
				return activeStatus, 12 * time.Second, nil
			}
			return activeStatus, time.Millisecond, nil
		}}
		p, got := pollFor(t, e, func(p *Loop) { p.Timeout = 30 * time.Second }, 36*time.Second)
		want := seconds(0, 3, 8, 23, 28, 33) // the ticks at 13 and 18 s go by
		if !slices.Equal(got, want) {
			t.Errorf("polled at %v, want %v", got, want)
		}
		if v := p.Stats(); v.Skipped != 2 || v.Polls != 6 {
			t.Errorf("%d polls and %d skipped, want 6 and 2", v.Polls, v.Skipped)
		}
		if e.doubly {
			t.Error("two polls of one endpoint at the same time")
		}
	})
}

func TestUnreachableEndpointIsAskedLessAndAtTheOldPaceAfterTheFirstSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bad = 30
		e := &fakeEndpoint{answer: func(n int) (cgi.Status, time.Duration, error) {
			if n < bad {
				return cgi.Status{}, time.Millisecond, errUnreachable
			}
			return activeStatus, time.Millisecond, nil
		}}
		_, got := pollFor(t, e, nil, 2*time.Hour)
		for i := 1; i < bad; i++ {
			gap := got[i] - got[i-1]
			switch {
			case gap > time.Minute+time.Second:
				t.Errorf("failure %d: %v until the next poll, at most a minute is allowed", i, gap)
			case i > backoffAfter && gap < 15*time.Second:
				t.Errorf("failure %d: %v until the next poll, less than the interval", i, gap)
			}
		}
		if late := got[bad-1] - got[bad-2]; late < 30*time.Second {
			t.Errorf("after %d failures the pause is %v: it did not grow", bad, late)
		}
		for i := bad + 2; i < bad+20; i++ {
			if gap := got[i] - got[i-1]; gap != 5*time.Second {
				t.Fatalf("poll %d after the recovery came after %v, want 5s", i-bad, gap)
			}
		}
	})
}

func TestFailuresOtherThanUnreachableKeepThePace(t *testing.T) {
	for _, kind := range []cgi.Kind{cgi.KindError, cgi.KindRefused, cgi.KindBusy, cgi.KindUpgrading} {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) {
				return cgi.Status{}, time.Millisecond, &cgi.Error{Kind: kind, Reason: "x"}
			}}
			_, got := pollFor(t, e, nil, 5*time.Minute)
			for i := 2; i < len(got); i++ {
				if gap := got[i] - got[i-1]; gap != 15*time.Second {
					t.Fatalf("%v: poll %d came after %v, want 15s", kind, i, gap)
				}
			}
		})
	}
}

func TestSessionIsKeptAliveBetweenRarePolls(t *testing.T) {
	for _, interval := range []time.Duration{50 * time.Second, time.Minute, 100 * time.Second, 10 * time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, time.Millisecond, nil }}
			start := time.Now()
			_, polls := pollFor(t, e, func(p *Loop) { p.IdleEvery = interval }, 3*time.Hour)
			talked := polls
			for _, at := range e.alive {
				talked = append(talked, at.Sub(start))
			}
			slices.Sort(talked)
			for i := 1; i < len(talked); i++ {
				if gap := talked[i] - talked[i-1]; gap >= 60*time.Second {
					t.Fatalf("idle_interval %v: %v without a word; the session ends after 60s", interval, gap)
				}
			}
			if want := int(3 * time.Hour / interval); len(polls) < want || len(polls) > want+2 {
				t.Errorf("idle_interval %v: %d polls in 3 h", interval, len(polls))
			}
		})
	}
}

func TestPollThatHangsEndsWithTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, time.Hour, nil }}
		ctx, cancel := context.WithCancel(t.Context())
		r := &fakeRecorder{}
		p := newTestLoop(e, r)
		ended := make(chan struct{})
		go func() { p.Run(ctx); close(ended) }()
		time.Sleep(time.Second)
		stopped := time.Now()
		cancel()
		<-ended
		if took := time.Since(stopped); took != 0 {
			t.Errorf("the loop ended %v after the stop", took)
		}
		if len(r.polls) != 0 {
			t.Errorf("%d polls delivered; a cut poll tells nothing", len(r.polls))
		}
	})
}

func TestPollsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 3)
		most, now := 0, 0
		e := &fakeEndpoint{}
		e.answer = func(int) (cgi.Status, time.Duration, error) { // called under no lock, one goroutine at a time runs in the bubble's clock
			return idleStatus, slotPatience / 2, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range 10 {
			p := newTestLoop(e, &fakeRecorder{})
			p.slots = slots
			go p.Run(ctx)
		}
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			e.mu.Lock()
			now = e.open
			e.mu.Unlock()
			most = max(most, now)
		}
		if most != 3 {
			t.Errorf("%d polls at one time, want 3", most)
		}
		<-ctx.Done()
		synctest.Wait()
	})
}

// TestTheRecorderKnowsHowManyPollsAreUnderWay: others are counted while they are worked on,
// not an endpoint that does not answer.
func TestTheRecorderKnowsHowManyPollsAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &fakeRecorder{}
		slots := make(chan struct{}, pollSlots)
		for _, took := range []time.Duration{time.Hour, slotPatience + 30, slotPatience + 20, slotPatience - 2, slotPatience - 1} {
			p := newTestLoop(&fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, took, nil }}, r)
			p.slots, p.Timeout = slots, time.Minute
			go p.Run(ctx)
		}
		time.Sleep(2 * slotPatience)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if want := []int{4, 3, 0, 0}; !slices.Equal(r.others, want) {
			t.Errorf("beside %v, want %v", r.others, want)
		}
		cancel()
		synctest.Wait()
	})
}

// TestSilentEndpointsDelayNoOther: an endpoint that does not answer leaves its slot.
func TestSilentEndpointsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		silent := &fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, time.Hour, nil }}
		slots := make(chan struct{}, 1)
		for range 3 {
			p := newTestLoop(silent, &fakeRecorder{})
			p.slots = slots
			go p.Run(ctx)
		}
		synctest.Wait()
		r := &fakeRecorder{}
		p := newTestLoop(&fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, 0, nil }}, r)
		p.slots = slots
		go p.Run(ctx)
		time.Sleep(3 * slotPatience)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.polls) != 1 {
			t.Errorf("%d polls of an endpoint that answers, beside three that do not", len(r.polls))
		}
		cancel()
		synctest.Wait()
	})
}

func TestGroupsAreSpreadOverTheInterval(t *testing.T) {
	if got := shares(1); got[0] != 0 {
		t.Errorf("one endpoint polls at %v of the interval", got)
	}
	for n, most := range map[int]int{pollGroup + 1: 6, 5 * pollGroup: pollGroup, 1000: 1000 / pollGroups} {
		count := map[float64]int{}
		for _, s := range shares(n) {
			if s < 0 || s >= 1 {
				t.Fatalf("share %v", s)
			}
			count[s]++
		}
		for share, polls := range count {
			if polls > most {
				t.Errorf("%d of %d endpoints poll at once at %v", polls, n, share)
			}
		}
		if want := min((n+pollGroup-1)/pollGroup, pollGroups); len(count) != want {
			t.Errorf("%d groups of %d endpoints, want %d", len(count), n, want)
		}
	}
	var list []Config
	for i := range 3 * pollGroup {
		list = append(list, Config{Device: fmt.Sprintf("room-%02d", i)})
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for i, p := range New(list, nil, slog.New(slog.DiscardHandler)) {
		var n int
		fmt.Sscanf(p.Device, "room-%d", &n)
		if p.Device != list[i].Device || p.share != float64(n/pollGroup)/3 {
			t.Errorf("%s, the one after %s, is polled at %v of the interval; a group is of neighbours by name", p.Device, list[i].Device, p.share)
		}
	}
}

func TestPausesOfUnreachableEndpointsAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 50 {
		p := newTestLoop(nil, nil)
		p.interval, p.failures = p.IdleEvery, 20
		seen[p.pause()] = true
	}
	if len(seen) < 10 {
		t.Errorf("50 rooms that lost the same switch come back at %d different times", len(seen))
	}
}

func TestAWarningOfAnEndpointHasSinceWhen(t *testing.T) {
	var s stats
	start := time.Unix(1_772_000_000, 0)
	for i, c := range []struct {
		thrownOut int
		err       error
		since     int // minutes after the start, -1 = there is none
	}{
		{thrownOut: 0, since: -1}, {thrownOut: 2, since: 1}, {thrownOut: 3, since: 1}, {thrownOut: 0, since: -1},
		{thrownOut: 2, since: 4}, {err: &cgi.Error{Kind: cgi.KindRefused}, since: -1}, {thrownOut: 3, since: 6},
	} {
		s.done(report.Poll{At: start.Add(time.Duration(i) * time.Minute), Status: cgi.Status{Call: cgi.CallIdle, ThrownOut: c.thrownOut}, Err: c.err}, start, time.Minute, 0)
		want := time.Time{}
		if c.since >= 0 {
			want = start.Add(time.Duration(c.since) * time.Minute)
		}
		if got := s.s.AdviceSince; !got.Equal(want) {
			t.Errorf("after poll %d: since %v, want %v", i, got, want)
		}
	}
}

func TestAFailureIsCountedShownAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &cgi.Error{Kind: cgi.KindRefused, Reason: "auth_failed", Hint: "endpoint_auth_failed"}
		e := &fakeEndpoint{answer: func(n int) (cgi.Status, time.Duration, error) {
			if n == 0 || n > 3 {
				return activeStatus, time.Millisecond, nil
			}
			return cgi.Status{}, time.Millisecond, refused
		}}
		log := &hosttest.Log{}
		p := newTestLoop(e, &fakeRecorder{})
		p.repeats = host.NewRepeats(log.Logger())
		ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second) // polls at 0, 3, 8 and 13 s
		defer cancel()
		p.Run(ctx)
		st := p.Stats()
		if st.Polls != 4 || st.Failures != 3 || st.InCall || st.State != "refused" || st.Err == "" || st.Advice.Code == "" {
			t.Errorf("after three refused polls: %+v", st)
		}
		if log.Count("poll of room-1 failed") != 1 || log.Count("hint=") != 1 {
			t.Errorf("the log of three failures:\n%s", log)
		}
		again, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p.Run(again)
		if st := p.Stats(); st.Err != "" || st.State != "in_call" || log.Count("works again") != 1 {
			t.Errorf("after the recovery: %+v\n%s", st, log)
		}
	})
}

// slowKeepAlive takes its time to keep a session alive.
type slowKeepAlive struct {
	*fakeEndpoint
	took time.Duration
}

func (e slowKeepAlive) KeepAlive(context.Context) error { time.Sleep(e.took); return nil }

// TestALoopThatWaitsOnPurposeIsNotSilent: for its interval, or for an endpoint that
// uses all of its time.
func TestALoopThatWaitsOnPurposeIsNotSilent(t *testing.T) {
	for name, c := range map[string]struct{ interval, timeout, took, keepAlive time.Duration }{
		"each hour":         {time.Hour, 2 * time.Second, 1500 * time.Millisecond, 0},
		"a slow endpoint":   {time.Second, 2 * time.Minute, 110 * time.Second, 0},
		"a slow keep-alive": {10 * time.Minute, 5 * time.Minute, time.Second, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeEndpoint{answer: func(int) (cgi.Status, time.Duration, error) { return idleStatus, c.took, nil }}
				p := New([]Config{{Device: "room-1", Endpoint: slowKeepAlive{e, c.keepAlive}, InCallEvery: c.interval, IdleEvery: c.interval, Timeout: c.timeout}},
					&fakeRecorder{}, slog.New(slog.DiscardHandler))[0]
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { p.Run(ctx); close(ended) }()
				for end := time.Now().Add(5 * time.Hour); time.Now().Before(end) && !t.Failed(); time.Sleep(time.Second) {
					if s := p.Heartbeat.Silent(); s > 0 {
						t.Errorf("silent for %v", s)
					}
				}
				cancel()
				<-ended
			})
		})
	}
}
