package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"roomcall/agent/health"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// bench is a rig with one room and a consumer.
type bench struct {
	*rig
	sim *simulator
	sub *brokertest.Subscriber
	// configureRoom writes the config with other lines for the endpoint.
	configureRoom func(endpoint ...string)
}

func newBench(t *testing.T, o cgitest.Options, endpoint ...string) *bench {
	r := newRig(t)
	b := &bench{rig: r, sim: newSimulator(t, o)}
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	b.sub = r.consumer(broker)
	b.configureRoom = func(endpoint ...string) {
		r.configure(endpointTable("room-1", b.sim.url(), endpoint...), mqttTable(broker.URL()))
	}
	b.configureRoom(endpoint...)
	return b
}

// TestEndpointGoneAndBack: samples with poll_ok 0 while it is away, one event
// each way, and the values again when it is back.
func TestEndpointGoneAndBack(t *testing.T) {
	b := newBench(t, cgitest.Options{})
	b.run()
	b.waitSamples(b.sub, "room-1", 3, pollOK)
	b.sim.gone()
	b.waitSamples(b.sub, "room-1", 4, pollFailed)
	st := b.waitStatus("unreachable", func(st health.Status) bool { return st.Endpoints[0].State == "unreachable" })
	if e := st.Endpoints[0]; e.Err == "" || e.Hint == "" {
		t.Errorf("status of an endpoint that is away: %+v", e)
	}
	before := len(b.sub.Messages())
	b.sim.back()
	b.waitStatus("in a call again", func(st health.Status) bool { return st.Endpoints[0].State == "in_call" })
	b.sub.Wait(func(got []brokertest.Message) bool {
		return slices.ContainsFunc(got[before:], func(m brokertest.Message) bool {
			return strings.HasSuffix(m.Topic, "room-1/event") && strings.Contains(string(m.Payload), "endpoint.online")
		})
	})
	b.drained()
	got := b.consumed(b.sub)
	for _, kind := range []string{"endpoint.offline", "endpoint.online"} {
		if n := len(got.events("room-1/event", kind)); n != 1 {
			t.Errorf("%d events %s, want 1", n, kind)
		}
	}
	for _, a := range got.lanes["room-1/sample"] {
		if pollFailed(a) {
			wantFailed(t, a, "unreachable", "connection_refused", "reset")
		}
	}
}

// wantFailed looks at the sample of a failed poll: state and a short err, and
// nothing that the endpoint did not say.
func wantFailed(t *testing.T, a arrival, state string, words ...string) {
	t.Helper()
	if a.text("endpoint_state") != state || !slices.Contains(words, a.text("err")) {
		t.Errorf("endpoint_state %q, err %q; want %s and one of %v:\n%s", a.text("endpoint_state"), a.text("err"), state, words, a.payload)
	}
	for _, key := range slices.Collect(maps.Keys(a.body)) {
		for _, media := range []string{"audio_", "video_", "aux_", "in_call", "source_api"} {
			if strings.HasPrefix(key, media) {
				t.Errorf("a failed poll has the key %s:\n%s", key, a.payload)
			}
		}
	}
}

// TestBadAnswers: whatever comes back, the sample says poll_ok 0 and a short
// word, the loop goes on, and the first right answer is taken again.
func TestBadAnswers(t *testing.T) {
	b := newBench(t, cgitest.Options{}, `timeout = "400ms"`)
	b.run()
	answers := []struct {
		fault cgitest.Fault
		state string
		words []string
	}{
		{cgitest.Fault{Kind: cgitest.FaultGarbage}, "error", []string{"bad_json"}},
		{cgitest.Fault{Kind: cgitest.FaultHugeBody}, "error", []string{"too_large"}},
		{cgitest.Fault{Kind: cgitest.FaultCutBody}, "", []string{"cut_body"}},
		{cgitest.Fault{Kind: cgitest.FaultHang}, "unreachable", []string{"timeout"}},
		{cgitest.Fault{Kind: cgitest.FaultReset}, "unreachable", []string{"reset"}},
		{cgitest.Fault{Kind: cgitest.FaultBadHeader}, "", []string{"bad_header"}},
		{cgitest.Fault{Kind: cgitest.FaultStatus, Status: 500}, "", []string{"http_status"}},
		{cgitest.Fault{Kind: cgitest.FaultRaw, Body: []byte(`{"success":1,"data":"{\"stAudioParamSend\":`)}, "error", []string{"bad_json"}},
		{cgitest.Fault{Kind: cgitest.FaultRaw, Body: []byte(strings.Repeat("[", 100000))}, "error", []string{"bad_json"}},
		{cgitest.Fault{Kind: cgitest.FaultRaw, Body: []byte(`null`)}, "", nil},
		{cgitest.Fault{Kind: cgitest.FaultRaw, Body: []byte{}}, "", nil},
	}
	for _, bad := range answers {
		b.waitSamples(b.sub, "room-1", b.count(pollOK)+2, pollOK)
		b.sim.SetFault(bad.fault)
		n := b.count(pollFailed)
		b.waitSamples(b.sub, "room-1", n+2, pollFailed)
		b.sim.SetFault(cgitest.Fault{})
		b.waitSamples(b.sub, "room-1", b.count(pollOK)+1, pollOK)
		for _, a := range b.failedSince(n)[:2] {
			state := bad.state
			if state == "" {
				state = a.text("endpoint_state")
			}
			words := bad.words
			if words == nil {
				words = []string{a.text("err")}
			}
			if len(a.text("err")) == 0 || len(a.text("err")) > 40 {
				t.Errorf("%s: err is %q", bad.fault.Kind, a.text("err"))
			}
			wantFailed(t, a, state, words...)
		}
	}
	b.drained()
	b.consumed(b.sub)
}

// samples are those that arrived so far and suit ok.
func (b *bench) samples(ok func(arrival) bool) []arrival {
	var out []arrival
	for _, m := range b.sub.Messages() {
		if !strings.HasSuffix(m.Topic, "/room-1/sample") {
			continue
		}
		if a, err := readArrival(b.client, "room-1", "sample", m.Payload); err == nil && ok(a) {
			out = append(out, a)
		}
	}
	return out
}

func (b *bench) count(ok func(arrival) bool) int { return len(b.samples(ok)) }
func (b *bench) failedSince(n int) []arrival     { return b.samples(pollFailed)[n:] }

// TestWrongEndpointPassword: the account would lock after some tries, so there
// is one login and no more, over kill, restart and reload too, until the password
// is another one.
func TestWrongEndpointPassword(t *testing.T) {
	b := newBench(t, cgitest.Options{Username: "api", Password: "right"}, `username = "api"`, `password = "wrong"`)
	b.run()
	b.waitSamples(b.sub, "room-1", 8, pollFailed)
	b.kill()
	b.run()
	b.waitSamples(b.sub, "room-1", b.count(pollFailed)+5, pollFailed)
	b.signal(syscall.SIGHUP)
	b.waitLog("(?s)agent stops.*agent runs")
	b.waitSamples(b.sub, "room-1", b.count(pollFailed)+5, pollFailed)
	if n := b.sim.Count("WEB_RequestCertificateAPI") + b.sim.Count("Web_RequestCertificate"); n != 1 {
		t.Errorf("%d logins with a wrong password, want 1", n)
	}
	st := b.waitStatus("refused", func(st health.Status) bool { return st.Endpoints[0].State == "refused" })
	if !strings.Contains(st.Endpoints[0].Hint, "password") {
		t.Errorf("hint: %q", st.Endpoints[0].Hint)
	}
	b.drained()
	got := b.consumed(b.sub)
	for _, a := range got.lanes["room-1/sample"] {
		wantFailed(t, a, "refused", "auth_failed")
	}
	if n := len(got.events("room-1/event", "endpoint.refused")); n != 1 {
		t.Errorf("%d events endpoint.refused, want 1", n)
	}
	b.configureRoom(`username = "api"`, `password = "right"`)
	b.run()
	b.waitSamples(b.sub, "room-1", 2, pollOK)
	b.drained()
	b.consumed(b.sub)
	if _, err := os.Stat(filepath.Join(b.data(), "refused-logins.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the refused login is still remembered (%v)", err)
	}
}

// TestSessionIsReusedAndRenewed: one login for many polls, one more when the
// endpoint forgot the session.
func TestSessionIsReusedAndRenewed(t *testing.T) {
	b := newBench(t, cgitest.Options{Username: "api", Password: "pw"}, `username = "api"`, `password = "pw"`)
	b.run()
	b.waitSamples(b.sub, "room-1", 10, pollOK)
	if n := b.sim.Count("WEB_RequestCertificateAPI"); n != 1 {
		t.Errorf("%d logins for 10 polls, want 1", n)
	}
	b.sim.ExpireSessions()
	b.waitSamples(b.sub, "room-1", b.count(pollOK)+5, pollOK)
	if n := b.sim.Count("WEB_RequestCertificateAPI"); n != 2 {
		t.Errorf("%d logins after the endpoint forgot the session, want 2", n)
	}
	b.drained()
	b.consumed(b.sub)
	if n := b.sim.OpenSessions(); n != 0 {
		t.Errorf("after an orderly stop %d sessions are open at the endpoint", n)
	}
}
