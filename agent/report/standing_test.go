package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/cgi"
)

// stood runs polls, each from the marshalled state of the one before, as after a restart,
// and returns what is shown after each.
func stood(t *testing.T, polls ...Poll) (list []health.Standing) {
	t.Helper()
	var st State
	for _, p := range polls {
		b, err := st.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if st, err = UnmarshalState(b); err != nil {
			t.Fatal(err)
		}
		var out Output
		st, out = reporter(t, nil).Poll(st, p)
		list = append(list, out.Standing)
	}
	return list
}

func after(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return fmt.Sprint(at.Sub(day).Seconds())
}

func TestTheGradeThatIsShownDoesNotFlicker(t *testing.T) {
	// received video loss by sample, every 5 s from 5 on; and the shown grade with its time
	for _, c := range []struct {
		name string
		loss []float64
		want string
	}{
		{"good from the start of the call", []float64{0, 0, 0}, "good 5, good 5, good 5"},
		{"single samples change nothing", []float64{0, 2, 0, 9, 0, 2, 2, 0}, strings.Repeat("good 5, ", 7) + "good 5"},
		{"three in a row do, from the first of them on", []float64{0, 2, 2, 2, 0, 0, 0}, "good 5, good 5, good 5, fair 10, fair 10, fair 10, good 25"},
		{"poor as long as the incident", []float64{0, 9, 0, 9, 9, 0, 0, 0}, "good 5, good 5, good 5, good 5, poor 10, poor 10, poor 10, good 40"},
		{"poor from the start", []float64{9, 9, 9}, "fair 5, fair 5, poor 5"},
		{"the longest flicker", []float64{0, 2, 2, 0, 2, 2, 0}, strings.Repeat("good 5, ", 6) + "good 5"},
	} {
		var got []string
		for _, s := range stood(t, losses(c.loss...)...)[1:] {
			got = append(got, s.CallGrade+" "+after(s.GradeSince))
			if (s.CallGrade == "poor") != (s.Incident != nil) || after(s.CallSince) != "5" {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, strings.Join(got, ", "), c.want)
		}
	}
}

func TestAStateIsShownSinceItBegan(t *testing.T) {
	down := func(s float64) Poll { return failed(s, cgi.KindUnreachable, "timeout") }
	var got []string
	for _, s := range stood(t, poll(0, idle()), poll(15, idle()), down(30), down(45), failed(60, cgi.KindRefused, "auth_failed"),
		poll(75, inCall(0)), poll(80, cgi.Status{}), poll(85, inCall(0)), poll(90, idle()), poll(100, idle())) {
		got = append(got, after(s.StateSince)+" "+s.CallGrade)
	}
	if want := "0 , 0 , 30 , 30 , 60 , 75 good, 75 good, 75 good, 90 , 90 "; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

func TestAnIncidentIsShownWithWhatMadeItPoor(t *testing.T) {
	polls := losses(9, 20, 12)
	polls = append(polls, losses(9, 20, 12, 0)[4])
	list := stood(t, polls...)
	in := list[len(list)-1].Incident
	if in == nil || in.Metrics != "video_recv_loss_pct" || in.Scope != "downlink" || in.Values["video_recv_loss_pct"] != 12 || in.Streams != 1 || after(in.Since) != "5" {
		t.Errorf("%+v", in)
	}
}

func TestAStepOfTheClockMovesWhatIsShownWithIt(t *testing.T) {
	reading := func(p Poll, up time.Duration) Poll {
		p.Boot.ID, p.Boot.Up = "one-boot", up
		return p
	}
	polls := []Poll{reading(poll(0, inCall(0)), time.Hour), reading(poll(5, inCall(0)), time.Hour+5*time.Second),
		reading(poll(3610, inCall(0)), time.Hour+10*time.Second)}
	list := stood(t, polls...)
	if got := list[2]; after(got.GradeSince) != "3600" || after(got.StateSince) != "3600" {
		t.Errorf("grade since %s, state since %s", after(got.GradeSince), after(got.StateSince))
	}
}

// The cause of a call, and whose it is, come from the judge of each sample.
func TestAScopeIsThatOfTheCause(t *testing.T) {
	for _, c := range []struct {
		name         string
		status       cgi.Status
		cause, scope string
	}{
		{"one received stream of three", uplink(0, 0, 20, 0, 0), "video_recv_loss", "far_end"},
		{"all received streams", uplink(0, 0, 20, 30, 9), "video_recv_loss", "own_access"},
		{"fair ones do not make a poor one common", uplink(0, 0, 20, 1, 1), "video_recv_loss", "far_end"},
		{"what is sent has no far end", uplink(20, 0, 0, 2, 0), "audio_send_loss", "<nil>"},
		{"sent before received, and no scope of another cause", uplink(20, 0, 20, 0, 0), "audio_send_loss", "<nil>"},
	} {
		records, _ := script(t, reporter(t, nil), poll(0, c.status), poll(5, c.status), poll(10, idle()))
		if m := of(t, records, "call")[0]; m["cause"] != c.cause || fmt.Sprint(m["cause_scope"]) != c.scope {
			t.Errorf("%s: %v, %v", c.name, m["cause"], m["cause_scope"])
		}
	}
}

func TestTheTextsOfADevicesEvents(t *testing.T) {
	for lang, file := range map[health.Lang]string{health.English: "texts.txt", health.Chinese: "texts.zh.txt"} {
		r := reporter(t, func(s *Settings) { s.Lang = lang })
		zone := time.FixedZone("CST", 8*3600)
		var polls []Poll
		at := 0.0
		add := func(n int, every float64, p Poll) {
			for range n {
				p.At = day.Add(time.Duration(at * float64(time.Second))).In(zone)
				polls = append(polls, p)
				at += every
			}
		}
		slow := idle()
		slow.Call = cgi.CallIdle
		slow.ClockAhead = cgi.Known(-754)
		add(1, 15, poll(0, idle()))
		add(14, 5, poll(0, uplink(12, 8)))
		add(13, 5, poll(0, uplink(12, 8, 0, 20)))
		add(4, 5, poll(0, documented()))
		add(13, 5, poll(0, uplink(0, 0, 0, 20, 0)))
		add(1, 15, poll(0, idle()))
		add(3, 15, failed(0, cgi.KindUnreachable, "timeout"))
		add(1, 15, failed(0, cgi.KindRefused, "auth_failed"))
		add(10, 15, failed(0, cgi.KindUpgrading, "upgrading"))
		add(1, 15, poll(0, idle()))
		add(3, 15, poll(0, slow))
		records, st := script(t, r, polls...)
		_, gone := r.Remove(st, "room-1", polls[len(polls)-1].At)
		var b strings.Builder
		for _, m := range of(t, append(records, gone...), "event") {
			fmt.Fprintf(&b, "%s %s %s\n    %s\n", m["type"], m["severity"], m["code"], m["text"])
		}
		golden(t, file, []byte(b.String()))
	}
}
