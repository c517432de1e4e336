package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"roomcall/cgi"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// day is a fixed Monday noon.
var day = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func settings() Settings {
	return Settings{
		ClientID: "agent-1", Site: "Stuttgart", Version: "1.2.3", Epoch: 1772000000,
		Kinds:   []string{"sample", "stream", "event", "call", "minute"},
		PeerKey: []byte("a key of the site"),
		Devices: []Device{{
			Name: "room-1", Room: "会议室 1", PollInterval: 5 * time.Second,
			IdleInterval: 15 * time.Second, PeerNames: "plain",
		}},
	}
}

func reporter(t testing.TB, change func(*Settings)) *Reporter {
	t.Helper()
	s := settings()
	if change != nil {
		change(&s)
	}
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// documented is the vendor's own example of a call.
func documented() cgi.Status {
	return cgi.Status{
		SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Model: "HUAWEI Box 300",
		Call: cgi.CallActive, JoinMinutes: cgi.Known(0),
		AudioSend: cgi.Stream{Active: true, Codec: "AAC-LD MONO", BitrateKbps: cgi.Known(35.62),
			LossPct: cgi.Known(0), LossPackets: cgi.Known(0), JitterMs: cgi.Known(5), DelayMs: cgi.Known(5)},
		AudioRecv: cgi.Stream{Active: true, Codec: "AAC-LD MONO", BitrateKbps: cgi.Known(38.95),
			LossPct: cgi.Known(0), LossPackets: cgi.Known(0), JitterMs: cgi.Known(5), DelayMs: cgi.Known(5)},
		VideoSend: []cgi.Stream{{Active: true, Codec: "H.264 EC", Width: 320, Height: 180,
			BitrateKbps: cgi.Known(109.54), FPS: cgi.Known(15), JitterMs: cgi.Known(3), DelayMs: cgi.Known(5),
			LossPct: cgi.Known(0), LossPackets: cgi.Known(0)}},
		VideoRecv: []cgi.Stream{{Active: true, Name: "site1", Codec: "H.264 EC", Width: 1280, Height: 720,
			WidthAssumed: true, BitrateKbps: cgi.Known(962.76), FPS: cgi.Known(41), JitterMs: cgi.Known(2),
			DelayMs: cgi.Known(5), LossPct: cgi.Known(0), LossPackets: cgi.Known(0)}},
	}
}

func idle() cgi.Status { return cgi.Status{Call: cgi.CallIdle} }

// poll makes a poll s seconds into the day.
func poll(s float64, st cgi.Status) Poll {
	return Poll{Device: "room-1", At: day.Add(time.Duration(s * float64(time.Second))), Took: 42 * time.Millisecond, Status: st}
}

func failed(s float64, kind cgi.Kind, reason string) Poll {
	p := poll(s, cgi.Status{})
	p.Err = &cgi.Error{Kind: kind, Reason: reason}
	return p
}

// script runs polls and gives all records and the last state.
func script(t testing.TB, r *Reporter, polls ...Poll) ([]Record, State) {
	t.Helper()
	var st State
	var all []Record
	for _, p := range polls {
		var out Output
		st, out = r.Poll(st, p)
		all = append(all, out.Records...)
	}
	return all, st
}

// object decodes a payload.
func object(t testing.TB, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return m
}

// of gives the payloads of a kind, and of a type when the kind is event.
func of(t testing.TB, records []Record, kind string, types ...string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, r := range records {
		m := object(t, r.Payload)
		if r.Kind == kind && (len(types) == 0 || m["type"] == types[0]) {
			out = append(out, m)
		}
	}
	return out
}

// golden compares lines with a file below testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// lines joins the payloads of records, one a line.
func lines(records []Record) []byte {
	var b bytes.Buffer
	for _, r := range records {
		b.Write(r.Payload)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
