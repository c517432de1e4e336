package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

// fleetMax bounds the rows, whatever a broker sends.
const fleetMax = 20_000

// fleet is what the states of many agents say.
type fleet struct {
	rows  map[string]*fleetRow
	agent map[string]string // client id -> availability
}

func newFleet() *fleet {
	return &fleet{rows: map[string]*fleetRow{}, agent: map[string]string{}}
}

// fleetRow is one device.
type fleetRow struct {
	client, device, room, state, grade, worst string
	code                                      float64 // grade_code
	at                                        time.Time
}

// take reads one message; nil when it is no state of a device.
func (f *fleet) take(topic string, payload []byte, now time.Time) *fleetRow {
	levels := strings.Split(topic, "/")
	if n := len(levels); n >= 2 && levels[n-1] == "availability" {
		f.agent[levels[n-2]] = host.Printable(string(payload[:min(len(payload), 16)]))
		return nil
	}
	var sample map[string]any
	if json.Unmarshal(payload, &sample) != nil {
		return nil
	}
	text := func(key string) string { s, _ := sample[key].(string); return host.Printable(s) }
	if !strings.HasPrefix(text("schema"), "roomcall.sample/") {
		return nil
	}
	row := &fleetRow{client: text("client_id"), device: text("device"), room: text("room"),
		state: text("endpoint_state"), grade: text("grade"), at: now}
	if ms, ok := sample["ts_ms"].(float64); ok {
		row.at = time.UnixMilli(int64(ms))
	}
	row.code, _ = sample["grade_code"].(float64)
	row.worst = worstOf(sample, text("grade_reasons"), text("err"))
	key := row.client + "/" + row.device
	if f.rows[key] == nil && len(f.rows) >= fleetMax {
		return nil
	}
	f.rows[key] = row
	return row
}

// worstOf is the metric that a person should look at: the first that is beyond a
// limit, else the highest loss.
func worstOf(sample map[string]any, reasons, failure string) string {
	if failure != "" {
		return failure
	}
	first, _, _ := strings.Cut(reasons, ",")
	if first != "" {
		key := reasonKey(first)
		v, ok := sample[key].(float64)
		if !ok {
			return first
		}
		return first + " " + number(v) + unitOf(key)
	}
	worst, key := -1.0, ""
	for k, v := range sample {
		if x, ok := v.(float64); ok && strings.HasSuffix(k, "_loss_pct") && (x > worst || x == worst && k < key) {
			worst, key = x, k
		}
	}
	if key == "" {
		return ""
	}
	return strings.TrimSuffix(key, "_pct") + " " + number(worst) + " %"
}

// reasonKey is the sample's key that a reason speaks of.
func reasonKey(reason string) string {
	for end, unit := range map[string]string{"_loss": "_pct", "_jitter": "_ms", "_delay": "_ms"} {
		if strings.HasSuffix(reason, end) {
			return reason + unit
		}
	}
	return reason
}

// unitOf is the unit in a key, as people write it.
func unitOf(key string) string {
	for end, unit := range map[string]string{"_pct": " %", "_ms": " ms", "_fps": " fps"} {
		if strings.HasSuffix(key, end) {
			return unit
		}
	}
	return ""
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (r *fleetRow) line() string {
	return strings.Join([]string{r.at.UTC().Format(time.RFC3339), r.client, r.device, dash(r.state), dash(r.grade), dash(r.worst), r.room}, "  ")
}

// table shows the fleet, the worst first.
func (f *fleet) table(now time.Time) string {
	rows := make([]*fleetRow, 0, len(f.rows))
	for _, r := range f.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *fleetRow) int {
		return cmp.Or(cmp.Compare(b.code, a.code), cmp.Compare(a.client, b.client), cmp.Compare(a.device, b.device))
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "AGENT\tDEVICE\tSTATE\tGRADE\tWORST\tAGE\tROOM")
	for _, r := range rows {
		agent := r.client
		if said := f.agent[r.client]; said != "" && said != "online" {
			agent += " (" + said + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", agent, r.device, dash(r.state), dash(r.grade), dash(r.worst), health.Age(now.Sub(r.at)), r.room)
	}
	_ = w.Flush()
	return b.String()
}
