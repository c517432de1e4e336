package report

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

const examplesHead = `# One message of each kind

Whole messages of a room whose uplink is poor, as they are sent: each is one line without
blanks; here they are broken for reading. [payloads.md](payloads.md) explains every key, and
` + "`roomcall schema KIND`" + ` has the same message as an example.

<!-- ` + "`go test ./agent/report -update`" + ` writes this page. -->
`

// exampleTopics are the topics of the page, in its order.
var exampleTopics = []struct{ kind, topic string }{
	{"sample", "roomcall/v1/agent-1/room-1/sample"}, {"stream", "roomcall/v1/agent-1/room-1/stream"},
	{"event", "roomcall/v1/agent-1/room-1/event"}, {"call", "roomcall/v1/agent-1/room-1/call"},
	{"minute", "roomcall/v1/agent-1/room-1/minute"}, {"health", "roomcall/v1/agent-1/health"},
	{"birth", "roomcall/v1/agent-1/birth"},
}

// The examples are what the agent sends: a call whose sent audio and video are lost, the
// poor poll in it, its incident, its minute. They match their schemas, and the page shows
// them.
func TestExamplesAreRealMessages(t *testing.T) {
	r := reporter(t, nil)
	poor := documented()
	poor.AudioSend.LossPct, poor.AudioSend.LossPackets, poor.AudioSend.JitterMs = cgi.Known(12.4), cgi.Known(186), cgi.Known(38)
	poor.VideoSend[0].LossPct, poor.VideoSend[0].LossPackets, poor.VideoSend[0].FPS = cgi.Known(8.25), cgi.Known(240), cgi.Known(11)
	polls := []Poll{poll(0, idle()), poll(15, documented())}
	for s := 20.0; s < 120; s += 5 {
		polls = append(polls, poll(s, poor))
	}
	records, _ := script(t, r, append(polls, poll(120, idle()))...)
	free := int64(5 << 30)
	all := map[string][]byte{
		"birth": r.Birth(BirthInfo{Started: day, ConfigHash: "d41f3b0c9a7e5512", StartReason: "boot"}),
		"health": r.Health(HealthInfo{At: day, Status: "warn", Problems: 1, Codes: "endpoint_poor_call",
			Text: "room-1 (会议室 1) has a poor call", StoreOK: true, DiskFree: &free, Endpoints: 1}),
	}
	for _, rec := range records {
		m := object(t, rec.Payload)
		if m["type"] == "quality.degraded" || m["media"] == "audio" && m["loss_pct"] == 12.4 || m["grade"] == "poor" || rec.Kind == "minute" {
			if all[rec.Kind] == nil {
				all[rec.Kind] = rec.Payload
			}
		}
	}
	var file, page bytes.Buffer
	page.WriteString(examplesHead)
	for _, e := range exampleTopics {
		if all[e.kind] == nil {
			t.Fatalf("no %s", e.kind)
		}
		file.Write(all[e.kind])
		file.WriteByte('\n')
		page.WriteString("\n## " + e.kind + "\n\n`" + e.topic + "`\n\n```json\n" + fold(t, all[e.kind]) + "```\n")
	}
	if *update {
		examples = file.Bytes() // the schemas, which are written later, have these
	}
	golden(t, "../examples.jsonl", file.Bytes())
	golden(t, "../../../docs/examples.md", page.Bytes())
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		path := "../../" + name
		readme, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, _ := strings.Cut(strings.ReplaceAll(string(readme), "\r\n", "\n"), "```json\n")
		shown, after, ok := strings.Cut(rest, "```")
		want := fold(t, all["event"])
		if *update {
			if err := os.WriteFile(path, []byte(before+"```json\n"+want+"```"+after), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !ok || shown != want {
			t.Errorf("%s shows another event than docs/examples.md; -update writes it", name)
		}
	}
	if len(payload.Kinds())+2 != len(exampleTopics) {
		t.Errorf("%d examples for the kinds %v, birth and health", len(exampleTopics), payload.Kinds())
	}
	for kind, b := range all {
		validate(t, kind, b)
		if s, err := Schema(kind); err != nil || !strings.Contains(string(s), `"examples": [`) {
			t.Errorf("the schema of %s has no example: %v", kind, err)
		}
	}
}

// fold breaks an object into lines of at most 96 characters where it can.
func fold(t *testing.T, b []byte) string {
	t.Helper()
	const width = 96
	var out, line strings.Builder
	start, quoted := 0, false
	put := func(end int) {
		part := string(b[start:end])
		start = end
		if utf8.RuneCountInString(line.String()+part) > width {
			out.WriteString(strings.TrimSpace(line.String()) + "\n  ")
			line.Reset()
		}
		line.WriteString(part + " ")
	}
	for i, c := range b {
		if c == '"' && b[max(i-1, 0)] != '\\' {
			quoted = !quoted
		}
		if c == ',' && !quoted {
			put(i + 1)
		}
	}
	put(len(b))
	out.WriteString(strings.TrimSpace(line.String()) + "\n")
	if !json.Valid([]byte(out.String())) {
		t.Fatalf("not JSON:\n%s", out.String())
	}
	return out.String()
}
