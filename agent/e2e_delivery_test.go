package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/agent/run"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// faster is a clock that lets a scenario pass quickly.
func faster(times int64) func() time.Time {
	start := time.Now()
	return func() time.Time { return start.Add(time.Since(start) * time.Duration(times)) }
}

// TestEveryValueArrivesAsTheEndpointServedIt plays a whole day of meetings in a
// few seconds over HTTPS (fingerprint) and compares each sample and each stream
// with what the simulator served for this very poll.
func TestEveryValueArrivesAsTheEndpointServedIt(t *testing.T) {
	r := newRig(t)
	family := simulatorFamily(t, "ideahub")
	secure, id, err := family.TLS(cgitest.TLSOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	sim := newSecureSimulator(t, cgitest.Options{Scenario: "meeting-day", Seed: 7, Now: faster(20)}, secure)
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	r.configure(
		endpointTable("room-1", sim.url(), fmt.Sprintf("fingerprint = %q", id.Fingerprint), `peer_names = "plain"`, `room = "会议室 1"`),
		mqttTable(broker.URL()))
	r.run()
	single := func(a arrival) bool { return a.text("source_api") == "WEB_GetCallStatusInfoAPI" }
	r.waitSamples(sub, "room-1", 20, func(a arrival) bool { return a.is("in_call", 1) && !single(a) })
	r.waitSamples(sub, "room-1", 1, single) // one may come as the first call begins
	r.drained()
	got := r.consumed(sub)
	compareWithServed(t, got, sim.Log())
	if room := got.lanes["room-1/sample"][0].text("room"); room != "会议室 1" {
		t.Errorf("room is %q", room)
	}
}

func simulatorFamily(t *testing.T, name string) cgitest.Family {
	t.Helper()
	ep, err := cgitest.New(cgitest.Options{Family: name})
	if err != nil {
		t.Fatal(err)
	}
	return ep.Family()
}

// compareWithServed pairs samples with the endpoint's answers: one poll, one
// answer of the sample's API, in the same order.
func compareWithServed(t *testing.T, got *delivered, log []cgitest.Served) {
	t.Helper()
	served := map[string][]cgitest.Snapshot{}
	for _, s := range log {
		served[s.Action] = append(served[s.Action], s.Snapshot)
	}
	streams := map[int64][]arrival{}
	for _, a := range got.lanes["room-1/stream"] {
		streams[a.tsMs] = append(streams[a.tsMs], a)
	}
	multi, inCall, compared := 0, 0, 0
	for _, a := range got.lanes["room-1/sample"] {
		if !pollOK(a) {
			t.Fatalf("a poll failed: %s", a.payload)
		}
		snap := served["WEB_GetMultiCallStatusInfoAPI"][multi]
		multi++ // every poll asks this first
		if a.text("source_api") == "WEB_GetCallStatusInfoAPI" {
			continue // the other reply is compared by the endpoint client's own tests
		}
		if snap.Call == cgitest.InCall && !snap.Single {
			inCall++
		}
		compared++
		compareSample(t, a, snap)
		compareStreams(t, a, streams[a.tsMs], snap)
	}
	if compared < 20 || inCall < 10 {
		t.Errorf("only %d samples were compared, %d of them in a call", compared, inCall)
	}
}

// directions gives a snapshot's streams by the payload's names.
func directions(s cgitest.Snapshot) map[string][]cgitest.Stream {
	return map[string][]cgitest.Stream{
		"audio_send": {s.AudioSend}, "audio_recv": {s.AudioRecv}, "aux_send": {s.AuxSend}, "aux_recv": {s.AuxRecv},
		"video_send": s.VideoSend, "video_recv": s.VideoRecv,
	}
}

func compareSample(t *testing.T, a arrival, snap cgitest.Snapshot) {
	t.Helper()
	for name, list := range directions(snap) {
		list = slices.DeleteFunc(slices.Clone(list), func(s cgitest.Stream) bool { return !s.Active })
		if snap.Single || len(list) == 0 {
			if key := anyKey(a, name+"_"); key != "" {
				t.Fatalf("second %d: %s is there, but the endpoint said nothing:\n%s", snap.Second, key, a.payload)
			}
			continue
		}
		want := map[string]float64{}
		for _, s := range list {
			want["bitrate_kbps"] += s.RateKbps
			want["loss_pct"] = max(want["loss_pct"], s.LossPct)
			want["loss_packets"] = max(want["loss_packets"], float64(s.LossPackets))
			want["jitter_ms"] = max(want["jitter_ms"], float64(s.JitterMs))
			want["delay_ms"] = max(want["delay_ms"], float64(s.DelayMs))
		}
		if !strings.HasPrefix(name, "audio") {
			want["fps"] = float64(list[0].FPS)
		}
		if len(list) > 1 {
			delete(want, "loss_packets") // the contract does not say how counters add up
		}
		for key, v := range want {
			n, ok := a.number(name + "_" + key)
			if !ok || math.Abs(n-v) > 1e-9*max(1, v) {
				t.Fatalf("second %d: %s_%s is %v, the endpoint served %v:\n%s", snap.Second, name, key, a.body[name+"_"+key], v, a.payload)
			}
		}
		if codec := a.text(name + "_codec"); codec != list[0].Codec {
			t.Fatalf("%s_codec is %q, the endpoint served %q", name, codec, list[0].Codec)
		}
	}
}

// anyKey gives a key of the payload that begins with prefix.
func anyKey(a arrival, prefix string) string {
	for key := range a.body {
		if strings.HasPrefix(key, prefix) {
			return key
		}
	}
	return ""
}

func compareStreams(t *testing.T, sample arrival, rows []arrival, snap cgitest.Snapshot) {
	t.Helper()
	want := 0
	for name, list := range directions(snap) {
		for i, s := range list {
			if !s.Active || snap.Single {
				continue
			}
			want++
			compareStream(t, rows, name, i, s)
		}
	}
	if len(rows) != want {
		t.Fatalf("second %d: %d stream records, the endpoint served %d streams; sample: %s", snap.Second, len(rows), want, sample.payload)
	}
}

func compareStream(t *testing.T, rows []arrival, name string, index int, s cgitest.Stream) {
	t.Helper()
	media, direction, _ := strings.Cut(name, "_")
	i := slices.IndexFunc(rows, func(a arrival) bool {
		return a.text("media") == media && a.text("direction") == direction && a.is("stream", float64(index))
	})
	if i < 0 {
		t.Fatalf("no record of stream %s %d", name, index)
	}
	row := rows[i]
	for key, v := range map[string]float64{
		"bitrate_kbps": s.RateKbps, "loss_pct": s.LossPct, "loss_packets": float64(s.LossPackets),
		"jitter_ms": float64(s.JitterMs), "delay_ms": float64(s.DelayMs),
	} {
		if !row.is(key, v) {
			t.Fatalf("stream %s %d: %s is %v, the endpoint served %v", name, index, key, row.body[key], v)
		}
	}
	if row.text("codec") != s.Codec || row.text("peer") != s.Name {
		t.Fatalf("stream %s %d: codec %q and peer %q, the endpoint served %q and %q", name, index, row.text("codec"), row.text("peer"), s.Codec, s.Name)
	}
}

// TestEveryKindIsDelivered lets an older poll wait in the store, so that a
// minute and a call are over when the agent starts.
func TestEveryKindIsDelivered(t *testing.T) {
	r := newRig(t)
	family := simulatorFamily(t, "ideahub")
	secure, id, err := family.TLS(cgitest.TLSOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	sim := newSecureSimulator(t, cgitest.Options{Scenario: "idle", Username: "api", Password: "pw"}, secure)
	ca := brokertest.NewCA(t)
	pair := ca.Client(t, r.client)
	plain := freeAddr(t) // a second port without TLS, for the consumer
	broker := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, ClientCerts: true, Extra: append([]string{
		"listener " + strings.TrimPrefix(plain, "127.0.0.1:") + " 127.0.0.1"}, lossless...)})
	r.configure(
		endpointTable("room-1", sim.url(), `username = "api"`, `password_file = "pw.txt"`, fmt.Sprintf("ca_file = %q", r.file("ca.pem", string(id.CAPEM)))),
		mqttTable(broker.URL(), fmt.Sprintf("ca_file = %q", ca.File), fmt.Sprintf("cert_file = %q", pair.CertFile), fmt.Sprintf("key_file = %q", pair.KeyFile)),
		"[publish]\nviews = [\"zoom\", \"agora\", \"volc\", \"trtc\"]")
	r.file("pw.txt", "pw\n")
	seedCall(t, r)
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: "tcp://" + plain, Filter: "roomcall/v1/" + r.client + "/#"})
	r.run()
	for _, lane := range []string{"sample", "stream", "event", "call", "minute", "state", "view/zoom", "view/agora", "view/volc", "view/trtc"} {
		sub.WaitFor("roomcall/v1/"+r.client+"/room-1/"+lane, "")
	}
	sub.WaitFor("roomcall/v1/"+r.client+"/agent/event", "")
	r.drained()
	got := r.consumed(sub)
	checkKinds(t, got)
	if sim.OpenSessions() != 0 {
		t.Errorf("after an orderly stop %d sessions are open at the endpoint", sim.OpenSessions())
	}
}

// seedCall puts a call of some minutes ago into the store, as an agent that was
// killed in that call would have left it.
func seedCall(t *testing.T, r *rig) {
	t.Helper()
	cfg, _, err := config.Load(r.configFile(), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := buffer.Open(buffer.Options{Dir: r.data()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	reporter, err := run.NewReporter("test", cfg, q.Epoch(), nil)
	if err != nil {
		t.Fatal(err)
	}
	stream := cgi.Stream{Active: true, Codec: "AAC", BitrateKbps: cgi.Known(64), LossPct: cgi.Known(0), JitterMs: cgi.Known(3), DelayMs: cgi.Known(20)}
	status := cgi.Status{Call: cgi.CallActive, SourceAPI: "WEB_GetMultiCallStatusInfoAPI", AudioSend: stream, AudioRecv: stream}
	at := time.Now().Add(-5 * time.Minute)
	var state report.State
	for range 20 {
		next, out := reporter.Poll(state, report.Poll{Device: "room-1", At: at, Took: time.Millisecond, Status: status})
		state = next
		blob, err := state.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		batch := buffer.Batch{State: map[string][]byte{"room-1": blob}}
		for _, rec := range out.Records {
			batch.Records = append(batch.Records, buffer.Record{
				Lane: rec.Device + "/" + rec.Kind, Num: rec.Seq, Time: time.UnixMilli(rec.TimeMs), Fresh: rec.Fresh, Payload: rec.Payload,
			})
		}
		if err := q.Append(batch); err != nil {
			t.Fatal(err)
		}
		at = at.Add(5 * time.Second)
	}
}

func checkKinds(t *testing.T, got *delivered) {
	t.Helper()
	if list := got.lanes["room-1/call"]; len(list) != 1 || !list[0].replayed && list[0].text("call_id") == "" {
		t.Errorf("%d call records, want the one that was open", len(list))
	}
	for _, want := range []string{"call.started", "call.ended"} {
		if n := len(got.events("room-1/event", want)); n != 1 {
			t.Errorf("%d events %s, want 1", n, want)
		}
	}
	if n := len(got.events("agent/event", "agent.started")); n < 1 {
		t.Error("no event agent.started")
	}
	if n := len(got.lanes["room-1/minute"]); n < 1 {
		t.Error("no minute record")
	}
	// the old records are replayed, those of the run are not
	for i, a := range got.lanes["room-1/sample"] {
		if old := i < 20; old != a.replayed && old {
			t.Errorf("sample %d is five minutes old and not marked as replayed", a.seq)
		}
	}
	if n := len(got.states["room-1"]); n == 0 || got.states["room-1"][0].seq <= 20 {
		t.Errorf("%d states; the first is of a sample from before the start", n)
	}
}

// TestRetainedTopicsTellHowTheAgentIs looks as a consumer that comes late: birth,
// state and availability "online"; "lost" after kill -9, "offline" after SIGTERM.
func TestRetainedTopicsTellHowTheAgentIs(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url(), `room = "Room 1"`), mqttTable(broker.URL()), "[publish]\nkinds = [\"sample\"]")
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)

	late := brokertest.Subscribe(t, brokertest.Subscription{URL: broker.URL(), Filter: "roomcall/v1/" + r.client + "/#"})
	root := "roomcall/v1/" + r.client + "/"
	if m := late.WaitFor(root+"availability", "online"); !m.Retain {
		t.Error("availability is not retained")
	}
	if m := late.WaitFor(root+"room-1/state", ""); !m.Retain {
		t.Error("the state is not retained")
	}
	birth := late.WaitFor(root+"birth", "")
	if !birth.Retain {
		t.Error("the birth is not retained")
	}
	checkBirth(t, birth.Payload)
	if m := late.WaitFor(root+"health", ""); !strings.Contains(string(m.Payload), `"schema":"roomcall.health/1.0"`) {
		t.Errorf("the health message: %s", m.Payload)
	}

	r.kill()
	sub.WaitFor(root+"availability", "lost")
	seen := len(sub.Messages())
	r.run()
	sub.Wait(func(got []brokertest.Message) bool { return has(got[seen:], root+"availability", "online") })
	r.waitSamples(sub, "room-1", 3, pollOK)
	seen = len(sub.Messages())
	r.drained()
	sub.Wait(func(got []brokertest.Message) bool { return has(got[seen:], root+"availability", "offline") })
	r.consumed(sub)
	if n := sub.Messages(); has(n[seen:], root+"availability", "lost") {
		t.Error("an orderly stop also gave the will")
	}
}

// TestAKillWithACommitIntervalIsToldAtTheNextStart: what was collected is gone without a
// hole in the numbers, so the event of the start has to say it.
func TestAKillWithACommitIntervalIsToldAtTheNextStart(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()), "[buffer]\ncommit_interval = \"1s\"")
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	r.kill()
	r.run()
	own := "roomcall/v1/" + r.client + "/agent/event"
	sub.Wait(func(got []brokertest.Message) bool { return said(got, own, `"reason":"crash"`, "were not stored") })
	for _, m := range sub.Messages() {
		if m.Topic == own && strings.Contains(string(m.Payload), `"reason":"first"`) && strings.Contains(string(m.Payload), "were not stored") {
			t.Errorf("said at the first start, too: %s", m.Payload)
		}
	}
}

func has(got []brokertest.Message, topic, payload string) bool {
	return slices.ContainsFunc(got, func(m brokertest.Message) bool {
		return m.Topic == topic && (payload == "" || string(m.Payload) == payload)
	})
}

func checkBirth(t *testing.T, payload []byte) {
	t.Helper()
	var birth map[string]any
	if err := json.Unmarshal(payload, &birth); err != nil {
		t.Fatalf("birth: %v\n%s", err, payload)
	}
	for _, key := range []string{"version", "started", "site", "devices", "kinds", "schemas", "config_hash"} {
		if _, ok := birth[key]; !ok {
			t.Errorf("the birth has no %q:\n%s", key, payload)
		}
	}
}
