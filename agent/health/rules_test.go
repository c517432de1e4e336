package health

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that are made of the table")

const rulesHead = `# Alerts on the agents, for Prometheus: something does not work, or people have a bad
# call right now. There is one alert for each problem of the agent's own table, with the
# words of its status page; ` + "`go test ./agent/health -update`" + ` writes this file. The records
# are the better source for the quality of past calls.
groups:
  - name: roomcall
    rules:
      - alert: RoomcallAgentDown
        expr: up{job="roomcall"} == 0
        for: 5m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }}: the agent does not answer"}
      - alert: RoomcallStoreFillsUp
        expr: roomcall_buffer_bytes / roomcall_buffer_limit_bytes > 0.8 and on (instance) roomcall_buffer_waiting_records > 0
        for: 10m
        labels: {severity: warning}
        annotations: {summary: "{{ $labels.instance }}: the store is 80 % full"}
      - alert: RoomcallRecordsLost
        expr: increase(roomcall_records_evicted_total[1h]) > 0
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }}: a limit removed undelivered records"}
      - alert: RoomcallPollsMissed
        expr: increase(roomcall_polls_missed_total[1h]) > 0
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }}: polls of {{ $labels.device }} could not be recorded ({{ $labels.reason }})"}
`

// noAlert are the problems without an alert of their own, with the reason.
var noAlert = map[string]string{
	"store_evicted":       "RoomcallRecordsLost: the problem stays until the agent is started again",
	"store_missed":        "RoomcallPollsMissed",
	"store_opening":       "seconds at a start",
	"broker_connecting":   "seconds at a start",
	"endpoint_not_polled": "seconds at a start",
	"page_unavailable":    "RoomcallAgentDown: nothing can be scraped then",
	"clock_in_past":       "only `roomcall check` sees it",
	"other_agent":         "only a command sees it",
	"other_config":        "only a command sees it",
}

// patience is how long a problem lasts before it alerts, where that is not 5 minutes.
var patience = map[string]string{
	"endpoint_poor_call": "1m", "broker_not_delivering": "1m", "broker_disconnected": "10m", "endpoint_upgrading": "30m", "endpoint_busy": "10m",
}

func TestEveryProblemHasItsAlert(t *testing.T) {
	const file = "../../packaging/consumers/prometheus/roomcall-rules.yml"
	var b strings.Builder
	b.WriteString(rulesHead)
	quoted := func(text string) string {
		out, _ := json.Marshal(text)
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(out))
	}
	for _, code := range Codes() {
		if kind, _, _ := strings.Cut(code, "_"); noAlert[code] != "" || kind == "agent" {
			continue
		}
		facts := Facts{"endpoint": "{{ $labels.device }}"}
		name := ""
		for word := range strings.SplitSeq(code, "_") {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		wait := patience[code]
		if wait == "" {
			wait = "5m"
		}
		p := English.NewProblem(code, facts)
		fmt.Fprintf(&b, "      - alert: Roomcall%s\n        expr: roomcall_problem{code=%q} == 1\n        for: %s\n        labels: {severity: %s}\n        annotations:\n          summary: %s\n",
			name, code, wait, p.Severity, quoted("{{ $labels.instance }}: "+p.What))
		if p.What == "" {
			t.Errorf("%s says nothing when no fact is known", code)
		}
		if p.Hint != "" {
			fmt.Fprintf(&b, "          description: %s\n", quoted(p.Hint))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != b.String() {
		t.Errorf("%s is not what the table says (%v); run: go test ./agent/health -update", file, err)
	}
	for code := range maps.Keys(noAlert) {
		if !slices.Contains(Codes(), code) {
			t.Errorf("%s is no problem", code)
		}
	}
}
