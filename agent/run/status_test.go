package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/buffer"
)

func TestAStoreThatAcceptsNothingIsShown(t *testing.T) {
	for _, c := range []struct {
		err   error
		state string
		hint  string
	}{
		{nil, "open", ""},
		{fmt.Errorf("append: %w", buffer.ErrFull), "full", "free space"},
		{fmt.Errorf("append: %w", syscall.EROFS), "failed", "mount it writable"},
		{errors.New("sync: " + syscall.EROFS.Error()), "failed", "mount it writable"},
		{fmt.Errorf("append: %w", syscall.EIO), "failed", "smartctl"},
		{fmt.Errorf("append: %w", os.ErrPermission), "failed", "the right to write"},
		{fmt.Errorf("append: %w", syscall.ENOSPC), "failed", "free space"},
		{errors.New("something else"), "failed", "look at the disk"},
	} {
		since := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
		b := bufferStatus(buffer.Info{Dir: t.TempDir(), Waiting: 3}, record.Stats{Err: c.err, FailingSince: since}, drain.Stats{})
		if b.Since.Equal(since) != (c.err != nil) {
			t.Errorf("%v: since %v", c.err, b.Since)
		}
		if b.State != c.state || !strings.Contains(b.Hint, c.hint) || (c.err == nil) != (b.Error == "" && b.Hint == "") {
			t.Errorf("%v: %s, error %q, hint %q", c.err, b.State, b.Error, b.Hint)
		}
		s := health.Status{Buffer: b, Broker: health.Broker{State: "connected"}}
		if ready := len(health.Unready(s, time.Now())) == 0; ready != (c.err == nil) {
			t.Errorf("%v: ready is %v", c.err, ready)
		}
	}
}

func TestTheStatusOfAnEndpointHasItsNewestSampleAndHowItStands(t *testing.T) {
	standing := health.Standing{CallGrade: "poor", GradeSince: time.Now(), Incident: &health.Incident{Metrics: "audio_send_loss_pct", Scope: "uplink"}}
	sample := json.RawMessage(`{"call_id":"c1","grade":"fair","grade_reasons":"audio_send_loss","audio_send_loss_pct":6}`)
	e := endpointStatus(&config.Endpoint{Device: "hub", Limits: "huawei"}, poll.Stats{State: "in_call", InCall: true}, sample, standing)
	if e.CallID != "c1" || e.Grade != "fair" || e.CallGrade != "poor" || e.Incident != standing.Incident || e.Limits != "huawei" {
		t.Errorf("%+v", e)
	}
}

func TestTheHealthMessageSpeaksTheLanguageOfTheConfigForReadersAnywhere(t *testing.T) {
	now := healthtest.Noon.In(time.FixedZone("CST", 8*3600))
	s := healthtest.Well()
	s.Endpoints[0].State, s.Endpoints[0].StateSince = "unreachable", now.Add(-time.Hour)
	for lang, want := range map[health.Lang]string{
		health.English: "Großer Saal (room-1) does not answer, since 19:00 (11:00 UTC). Check",
		health.Chinese: "Großer Saal (room-1) 无响应，自 19:00 (11:00 UTC) 起。请检查",
	} {
		in := healthInfo(s, now, lang)
		if !strings.HasPrefix(in.Text, want) || in.Status != "fail" || in.Codes != "endpoint_unreachable" || in.EndpointsBad != 1 {
			t.Errorf("%+v", in)
		}
	}
}
