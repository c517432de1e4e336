package cli

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/publish"
)

const (
	// fleetMax bounds the rows and the agents that are remembered, whatever a broker sends.
	fleetMax = 10_000
	// nameMax is how many columns of a text that others chose are kept.
	nameMax = 120
	// payloadMax bounds the sample that is kept for the look at one room, in bytes; a
	// larger one is none of ours.
	payloadMax = 16 << 10
	// quietMin is how long a room may be silent before it is stale; a room that has
	// been seen to report less often may be silent for quietGaps of its longest pause.
	quietMin  = 2 * time.Minute
	quietGaps = 3
)

// rank is how much a row wants attention, the most first: the order of the table.
type rank uint8

const (
	rankLost rank = iota // the agent is lost: nothing is known of its rooms
	rankUnreachable
	rankRefused
	rankError
	rankBusy // or upgrading
	rankPoor
	rankFair
	rankStale   // no news, or the agent was stopped
	rankUnknown // in a call that cannot be graded
	rankGood
	rankIdle
	ranks // their number
)

// fleet is the newest state of the devices of many agents.
type fleet struct {
	mu       sync.Mutex // guards everything below, the rows too
	rows     map[string]*fleetRow
	gone     map[string]goneAgent // agents that are away
	devices  map[string]int       // rows with a device, by agent
	full     bool                 // there are more than fleetMax
	retained int                  // states that the broker had kept
	live     int                  // states that came while it was followed

	broker string    // "" = not connected yet
	up     time.Time // begin of the connection
	down   time.Time // when it was lost; zero = it is there
	why    string    // it was lost
}

func newFleet() *fleet {
	return &fleet{rows: map[string]*fleetRow{}, gone: map[string]goneAgent{}, devices: map[string]int{}}
}

// goneAgent is an agent that is away.
type goneAgent struct {
	lost bool // else it was stopped in good order
	at   time.Time
}

// fleetRow is one device, or an agent that is away and has shown no device (device "").
type fleetRow struct {
	client, device, room string
	state, grade, err    string  // as the sample says
	metric               string  // the one to look at, such as audio_send_loss; "" = none
	value                float64 // of metric
	heard                time.Time
	live                 bool          // heard while it was followed, so its clock is ours
	gap                  time.Duration // the longest pause between two live states
	sentMs               int64         // ts_ms
	sample               []byte        // the newest

	rank  rank
	since time.Time // of the rank; zero = since before it was first seen
	told  string    // what the last line about it said
	past  history
}

func (r *fleetRow) key() string { return r.client + "/" + r.device }

// name is what people call the row.
func (r *fleetRow) name() string {
	if r.device == "" {
		return r.client
	}
	return cmp.Or(r.room, r.key())
}

// add reads one message; nil when no row changed by it.
func (f *fleet) add(m publish.Received, now time.Time) (changed []*fleetRow) {
	levels := strings.Split(m.Topic, "/")
	n := len(levels)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n >= 2 && levels[n-1] == "availability":
		return f.addAvailability(levels[n-2], string(m.Payload), now)
	case n >= 3 && len(m.Payload) == 0 && levels[n-1] == "state":
		f.remove(levels[n-3] + "/" + levels[n-2])
	case len(m.Payload) <= payloadMax:
		if r := f.addState(m, now); r != nil {
			return []*fleetRow{r}
		}
	}
	return nil
}

// addState reads a sample.
func (f *fleet) addState(m publish.Received, now time.Time) *fleetRow {
	var sample map[string]any
	if json.Unmarshal(m.Payload, &sample) != nil {
		return nil
	}
	text := func(key string) string { s, _ := sample[key].(string); return ofOthers(s) }
	if !strings.HasPrefix(text("schema"), "roomcall.sample/") || text("client_id") == "" || text("device") == "" {
		return nil
	}
	key := text("client_id") + "/" + text("device")
	r := f.rows[key]
	sent, _ := sample["ts_ms"].(float64)
	switch {
	case r == nil && len(f.rows) >= fleetMax:
		f.full = true
		return nil
	case r == nil:
		r = &fleetRow{client: text("client_id"), device: text("device")}
		f.rows[key] = r
		f.devices[r.client]++
		f.remove(r.client + "/") // the agent's own row
	case int64(sent) < r.sentMs && (m.Retained || sample["replayed"] == 1.0):
		return nil // older than what is shown
	}
	first := r.heard.IsZero()
	heard := now
	if m.Retained {
		f.retained++
		if sent > 0 && int64(sent) < now.UnixMilli() {
			heard = time.UnixMilli(int64(sent))
		}
		if r.live && int64(sent) == r.sentMs {
			heard = r.heard // the same again, after a lost link
		}
	} else {
		f.live++
		if r.live {
			r.gap = max(r.gap, min(now.Sub(r.heard), time.Hour))
		}
		r.live = true
	}
	r.heard, r.sentMs = heard, int64(sent)
	r.room, r.state, r.grade = text("room"), text("endpoint_state"), text("grade")
	r.err = text("err")
	r.metric, r.value = worstOf(sample, text("grade_reasons"))
	r.sample = slices.Clone(m.Payload)
	f.judge(r, now)
	if first {
		r.since = time.Time{}
	}
	r.past.add(now, r.rank, sample)
	return r
}

// addAvailability notes whether an agent is there.
func (f *fleet) addAvailability(client, said string, now time.Time) (changed []*fleetRow) {
	if client == "" || len(client) > 63 || strings.Trim(client, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil // no agent has such a name
	}
	before, was := f.gone[client]
	switch {
	case said != "lost" && said != "offline":
		delete(f.gone, client)
		f.remove(client + "/")
	case len(f.gone) >= fleetMax && !was:
		f.full = true
		return nil
	case was && before.lost == (said == "lost"):
		return nil
	default:
		f.gone[client] = goneAgent{lost: said == "lost", at: now}
		if f.devices[client] == 0 && f.rows[client+"/"] == nil {
			if len(f.rows) >= fleetMax {
				f.full = true
				return nil
			}
			f.rows[client+"/"] = &fleetRow{client: client, heard: now, live: true}
		}
	}
	if _, is := f.gone[client]; !was && !is {
		return nil
	}
	for _, r := range f.rows {
		if r.client == client && f.judge(r, now) {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(changed, func(a, b *fleetRow) int { return cmp.Compare(a.device, b.device) })
	return changed
}

// remove forgets a row: its device left the config, or somebody cleared its topic.
func (f *fleet) remove(key string) {
	r := f.rows[key]
	if r == nil {
		return
	}
	delete(f.rows, key)
	if r.device != "" {
		if f.devices[r.client]--; f.devices[r.client] == 0 {
			delete(f.devices, r.client)
		}
	}
}

// connected notes that the subscription is granted.
func (f *fleet) connected(broker string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broker, f.up, f.down, f.why = broker, now, time.Time{}, ""
}

// lastWords is how long before its end a broker that is stopped says that it loses its
// agents.
const lastWords = 3 * time.Second

// disconnected notes that the connection is lost, and why. Agents that the broker lost just
// before are not: it is the broker that is away.
func (f *fleet) disconnected(err error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why = host.Printable(err.Error())
	if !f.down.IsZero() {
		return
	}
	f.down = now
	for client, away := range f.gone {
		if away.lost && now.Sub(away.at) < lastWords {
			delete(f.gone, client)
			f.remove(client + "/")
		}
	}
}

// judgeAll ranks all rows anew and returns those whose rank has changed.
func (f *fleet) judgeAll(now time.Time) (changed []*fleetRow) {
	for _, r := range f.rows {
		if f.judge(r, now) {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(changed, func(a, b *fleetRow) int { return cmp.Compare(a.key(), b.key()) })
	return changed
}

// judge ranks a row and reports whether that changed its rank.
func (f *fleet) judge(r *fleetRow, now time.Time) bool {
	was := r.rank
	r.rank = f.rankOf(r, now)
	if r.rank != was {
		r.since = now
	}
	return r.rank != was
}

func (f *fleet) rankOf(r *fleetRow, now time.Time) rank {
	away, gone := f.gone[r.client]
	switch {
	case gone && away.lost:
		return rankLost
	case gone || r.device == "":
		return rankStale
	}
	return rankOf(r.state, r.grade, f.stale(r, now))
}

// rankOf is the rank of an endpoint by its state and grade; stale: there is no news.
func rankOf(state, grade string, stale bool) rank {
	switch {
	case state == "unreachable":
		return rankUnreachable
	case state == "refused":
		return rankRefused
	case state == "busy", state == "upgrading":
		return rankBusy
	case state != "idle" && state != "in_call" && state != "":
		return rankError
	case stale || state == "":
		return rankStale
	case state == "idle":
		return rankIdle
	case grade == "poor":
		return rankPoor
	case grade == "fair":
		return rankFair
	case grade == "good":
		return rankGood
	}
	return rankUnknown
}

// stale: there is no news of a row. A time without a connection does not count: then
// nobody could hear any.
func (f *fleet) stale(r *fleetRow, now time.Time) bool {
	from := r.heard
	if r.live && f.up.After(from) {
		from = f.up
	}
	if !f.down.IsZero() && f.down.Before(now) {
		now = f.down
	}
	return now.Sub(from) > max(quietMin, quietGaps*r.gap)
}

// fleetOrder is a way to sort the table.
type fleetOrder int

const (
	byWorst fleetOrder = iota
	byName
	byAge
	fleetOrders // their number
)

// list are the rows that match a filter, in order.
func (f *fleet) list(filter string, order fleetOrder) []*fleetRow {
	filter = strings.ToLower(strings.TrimSpace(filter))
	rows := make([]*fleetRow, 0, len(f.rows))
	for _, r := range f.rows {
		if r.matches(filter) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *fleetRow) int {
		first := 0
		switch order {
		case byWorst:
			first = cmp.Compare(a.rank, b.rank)
		case byAge:
			first = a.heard.Compare(b.heard)
		}
		return cmp.Or(first, cmp.Compare(a.name(), b.name()), cmp.Compare(a.key(), b.key()))
	})
	return rows
}

func (r *fleetRow) matches(filter string) bool {
	if filter == "" {
		return true
	}
	for _, text := range [...]string{r.room, r.key(), r.state, r.grade, rankWords[r.rank], r.worst(health.English)} {
		if strings.Contains(strings.ToLower(text), filter) {
			return true
		}
	}
	return false
}

// count is how many rows have each rank.
func (f *fleet) count() (n [ranks]int) {
	for _, r := range f.rows {
		n[r.rank]++
	}
	return n
}

// ofOthers is a text that others chose, safe to show and not too long.
func ofOthers(s string) string {
	return host.Cut(host.Printable(s[:min(len(s), 4*nameMax)]), nameMax, "~")
}

// metricKeys are the ends of a sample's keys, and the units, of the metrics of a reason.
var metricKeys = map[string][2]string{"loss": {"_pct", " %"}, "jitter": {"_ms", " ms"}, "delay": {"_ms", " ms"}, "fps": {"", ""}}

// worstOf is the metric that a person should look at, and its value: the first that is
// beyond a limit, else the highest loss; "" = there is none.
func worstOf(sample map[string]any, reasons string) (metric string, value float64) {
	first, _, _ := strings.Cut(reasons, ",")
	if v, ok := sample[first+metricKeys[first[strings.LastIndexByte(first, '_')+1:]][0]].(float64); ok {
		return first, v
	}
	value = -1
	for key, v := range sample {
		name, isLoss := strings.CutSuffix(key, "_loss_pct")
		if x, ok := v.(float64); ok && isLoss && (x > value || x == value && name+"_loss" < metric) {
			metric, value = name+"_loss", x
		}
	}
	return metric, max(value, 0)
}

// worst is the worst metric in words, or the failure that leaves none, while there is
// news: "loss 12 % audio send".
func (r *fleetRow) worst(lang health.Lang) string {
	if r.rank == rankLost || r.rank == rankStale {
		return ""
	}
	if r.err != "" {
		return r.err
	}
	parts := strings.Split(r.metric, "_")
	if len(parts) != 3 {
		return r.metric
	}
	w := watchWords[lang].media
	word := func(s string) string { return cmp.Or(w[s], s) }
	return word(parts[2]) + " " + number(r.value) + metricKeys[parts[2]][1] + " " + word(parts[0]) + " " + word(parts[1])
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// historyMax is how many points a history has at most.
const historyMax = 60

// history is what was seen of a row since it is followed, at even steps. When it is
// full, two steps become one: it always covers all of the time.
type history struct {
	began  time.Time
	step   time.Duration
	points []point
}

// point is the worst of one step.
type point struct {
	seen                bool
	rank                rank
	loss, jitter, delay float32 // of all media and directions; NaN = not said
}

// firstStep is the length of a step in the beginning.
const firstStep = 5 * time.Second

func (h *history) add(now time.Time, r rank, sample map[string]any) {
	if h.began.IsZero() {
		h.began, h.step = now, firstStep
	}
	at := int(max(now.Sub(h.began), 0) / h.step)
	for at >= historyMax {
		h.halve()
		at = int(now.Sub(h.began) / h.step)
	}
	for len(h.points) <= at {
		h.points = append(h.points, point{})
	}
	nan := float32(math.NaN())
	p := point{seen: true, rank: r, loss: nan, jitter: nan, delay: nan}
	for key, v := range sample {
		x, ok := v.(float64)
		switch {
		case !ok:
		case strings.HasSuffix(key, "_loss_pct"):
			p.loss = larger(p.loss, float32(x))
		case strings.HasSuffix(key, "_jitter_ms"):
			p.jitter = larger(p.jitter, float32(x))
		case strings.HasSuffix(key, "_delay_ms"):
			p.delay = larger(p.delay, float32(x))
		}
	}
	h.points[at] = h.points[at].with(p)
}

// halve makes one step of two.
func (h *history) halve() {
	half := h.points[:0]
	for i := 0; i < len(h.points); i += 2 {
		p := h.points[i]
		if i+1 < len(h.points) {
			p = p.with(h.points[i+1])
		}
		half = append(half, p)
	}
	h.points, h.step = half, 2*h.step
}

// with is the worst of two points.
func (p point) with(q point) point {
	switch {
	case !p.seen:
		return q
	case !q.seen:
		return p
	}
	return point{seen: true, rank: min(p.rank, q.rank),
		loss: larger(p.loss, q.loss), jitter: larger(p.jitter, q.jitter), delay: larger(p.delay, q.delay)}
}

// larger is the larger number; one that is not said does not count.
func larger(a, b float32) float32 {
	if a != a || b > a {
		return b
	}
	return a
}
