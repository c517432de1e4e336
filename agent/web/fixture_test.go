package web

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the time of every test that shows a time.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fake is a Source whose answers a test sets.
type fake struct {
	status  Status
	samples []json.RawMessage
	export  func(ctx context.Context, w io.Writer, f Filter) error
	verify  func(ctx context.Context) (json.RawMessage, error)
	asked   []Filter
}

func (f *fake) Status() Status { return f.status }

func (f *fake) Samples(device string, since time.Time, max int) []json.RawMessage {
	f.asked = append(f.asked, Filter{Device: device, Since: since})
	return f.samples[:min(max, len(f.samples))]
}

func (f *fake) Buffer(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"waiting":3}`), nil
}

func (f *fake) Export(ctx context.Context, w io.Writer, filter Filter) error {
	f.asked = append(f.asked, filter)
	return f.export(ctx, w, filter)
}

func (f *fake) Verify(ctx context.Context) (json.RawMessage, error) { return f.verify(ctx) }

const goodSample = `{"v":1,"poll_ok":1,"in_call":1,"audio_send_bitrate_kbps":64,"audio_send_loss_pct":0,` +
	`"audio_recv_loss_pct":1.5,"audio_recv_mos_est":4.2,"video_recv_bitrate_kbps":1920.5,"video_recv_jitter_ms":12,` +
	`"video_recv_delay_ms":40,"video_recv_fps":30,"video_recv_height":720,"audio_send_codec":"AAC-LD"}`

// well is an agent with one room in a call, where all is well.
func well() Status {
	free := int64(5 << 30)
	return Status{
		Version: "1.2.3", ClientID: "lobby", Site: "Head office", Started: noon.Add(-26 * time.Hour), UptimeS: 26 * 3600,
		StartReason: "boot", ConfigPath: "/etc/roomcall/agent.toml", ConfigHash: "9f2c",
		Endpoints: []Endpoint{{
			Device: "room-1", Room: "Großer Saal", URL: "https://10.0.0.5", Model: "IdeaHub", State: "in_call", InCall: true,
			CallID: "c1", Grade: "good", SourceAPI: "WEB_GetMultiCallStatusInfoAPI", LastPoll: noon.Add(-2 * time.Second),
			LastOK: noon.Add(-2 * time.Second), NextPoll: noon.Add(3 * time.Second), IntervalS: 5, PollMs: 31.5,
			Polls: 1000, Failures: 2, Skipped: 1, Sample: json.RawMessage(goodSample),
		}},
		Broker: Broker{URL: "tls://mqtt.example.org:8883", State: "connected", Since: noon.Add(-time.Hour), Proof: "proven",
			Connects: 2, Losses: 1, Published: 5010, Acked: 5000, InFlight: 3, LastAck: noon.Add(-time.Second)},
		Buffer: Buffer{State: "open", Waiting: 3, Oldest: noon.Add(-2 * time.Second), DeliveredKept: 4000, BytesOnDisk: 24 << 20,
			MaxBytes: 256 << 20, Segments: 3, Appended: 5003, Acked: 5000, DiskFree: &free,
			AppendedByKind: map[string]uint64{"sample": 1000, "stream": 4003}, AckedByKind: map[string]uint64{"sample": 999, "stream": 4001}},
	}
}

// ill is the same agent with everything wrong at once.
func ill() Status {
	s, no := well(), false
	s.Endpoints[0] = Endpoint{Device: "room-1", Room: `<script>alert("x")</script>`, URL: "https://10.0.0.5", State: "refused",
		Err: "login refused & locked", Hint: "check the user name", LastPoll: noon.Add(-5 * time.Second), LastOK: noon.Add(-90 * time.Minute),
		IntervalS: 15, Polls: 50, Failures: 40, Sample: json.RawMessage(`{"v":1,"poll_ok":0,"err":"login refused"}`)}
	s.Endpoints = append(s.Endpoints, Endpoint{Device: "room-2", URL: "http://10.0.0.6", IntervalS: 15})
	s.Broker = Broker{URL: "tcp://10.0.0.1:1883", State: "refused", Since: noon.Add(-3 * time.Minute), Error: "not authorized",
		Class: "login", Hint: "check [mqtt] username and password_file", Proof: "pending", Losses: 4}
	s.Buffer = Buffer{State: "full", Waiting: 120, Error: "no space left on device", Hint: "free space", MaxBytes: 1 << 20, MemoryHeld: 7, Evicted: 9, Quarantined: 1, DamagedFiles: 2}
	s.Clock = Clock{Synchronized: &no, Steps: 1, LastStep: noon.Add(-time.Minute), LastStepS: -30}
	s.Warnings = []string{"agent.toml can be read by others"}
	return s
}

// ask sends one request through the whole handler, guard included.
func ask(src Source, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:9478"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h := newHandler(src, Options{Now: func() time.Time { return noon }})
	guard{next: h, hosts: hostRule{port: "9478", host: "127.0.0.1"}}.ServeHTTP(w, r)
	return w
}

// askHandler sends one request to a handler that several requests share.
func askHandler(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// golden compares got with testdata/name; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
