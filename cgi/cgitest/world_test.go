package cgitest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAScenarioSaysTheSameForTheSameSeedHoweverOftenItIsAsked(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			often, once := newWorld(s, 7), newWorld(s, 7)
			for sec := int64(0); sec < 500; sec++ {
				often.play(sec)
			}
			if diff := cmp.Diff(often.play(499), once.play(499)); diff != "" {
				t.Fatalf("second 499 differs (-asked each second +asked once):\n%s", diff)
			}
		})
	}
}

func TestAnotherSeedGivesOtherNumbers(t *testing.T) {
	s, _ := scenarioByName("quiet-meeting")
	if cmp.Equal(newWorld(s, 1).play(10), newWorld(s, 2).play(10)) {
		t.Fatal("seeds 1 and 2 gave the same second 10")
	}
}

func TestTheDefaultScenarioHasIdleContentTroubleAndASingleStreamCallWithinMinutes(t *testing.T) {
	s, _ := scenarioByName("")
	w := newWorld(s, 1)
	var idle, content, trouble, single bool
	for sec := int64(0); sec < int64(s.Length().Seconds()); sec++ {
		snap := w.play(sec)
		idle = idle || snap.Call == Idle
		content = content || snap.AuxSend.Active
		trouble = trouble || snap.AudioRecv.LossPct > 5
		single = single || snap.Single
	}
	if !idle || !content || !trouble || !single || s.Length().Minutes() > 5 {
		t.Fatalf("idle %v, content %v, trouble %v, single %v in %v", idle, content, trouble, single, s.Length())
	}
}

func TestUpgradeEndsInIdleForGood(t *testing.T) {
	s, _ := scenarioByName("upgrade")
	w := newWorld(s, 1)
	got := []Call{w.play(5).Call, w.play(30).Call, w.play(65).Call, w.play(80).Call, w.play(5000).Call}
	if diff := cmp.Diff([]Call{Idle, Upgrading, Rebooting, Idle, Idle}, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestLostPacketsNeverFallWithinACallAndStartAnewWithTheNext(t *testing.T) {
	s, _ := scenarioByName("reboot")
	w := newWorld(s, 3)
	last, peak := 0, 0
	for sec := int64(0); sec < 65; sec++ {
		snap := w.play(sec)
		if snap.Call != InCall {
			last = 0
			continue
		}
		n := first(snap.VideoRecv).LossPackets
		if n < last {
			t.Fatalf("second %d: %d lost packets after %d", sec, n, last)
		}
		last, peak = n, max(peak, n)
	}
	if after := first(w.play(66).VideoRecv).LossPackets; after >= peak {
		t.Fatalf("second call starts with %d lost packets, first ended with %d", after, peak)
	}
}

func TestAClockThatJumpsByYearsIsBounded(t *testing.T) {
	s, _ := scenarioByName("quiet-meeting")
	if snap := newWorld(s, 1).play(1 << 40); snap.Second != 1<<40 || snap.JoinSeconds > maxCatchUp {
		t.Fatalf("second %d, joined for %d s", snap.Second, snap.JoinSeconds)
	}
}

// The scenarios that are bad in one place are bad there and nowhere else.
func TestBadPlacesAreBadAlone(t *testing.T) {
	const poorLoss, poorDelay = 3.0, 250        // the limits of the profile huawei
	for name, want := range map[string][4]bool{ // sent, received from the first site, from the others; long delay
		"quiet-meeting": {},
		"near-end-bad":  {true, false, false, false},
		"bad-spell":     {true, false, false, false},
		"one-site-bad":  {false, true, false, false},
		"long-delay":    {false, false, false, true},
	} {
		e := endpoint(t, Options{Scenario: name})
		var got [4]bool
		for sec := range int64(60) {
			e.mu.Lock()
			s := e.world.play(sec)
			e.mu.Unlock()
			if s.Call != InCall {
				continue
			}
			got[0] = got[0] || s.VideoSend[0].LossPct >= poorLoss
			for i, v := range s.VideoRecv {
				got[min(i, 1)+1] = got[min(i, 1)+1] || v.LossPct >= poorLoss
			}
			got[3] = got[3] || s.AudioSend.DelayMs >= poorDelay && s.AudioRecv.DelayMs >= poorDelay
		}
		if got != want {
			t.Errorf("%s: bad sent, first site, others, delay %v, want %v", name, got, want)
		}
	}
}
