package health

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is what the words about a call are made of. A sample payload and the limits of
// the device's profile are enough, see CallOf; what is not known is left out of the words.
type Call struct {
	Grade string // good, fair or poor; all else is unknown
	// Reasons are what is beyond a limit, the worst first, as a comma list: like
	// grade_reasons (audio_send_loss), or as keys of the sample (audio_send_loss_pct).
	Reasons string
	// Scope is where: uplink, downlink, both or far_end; "" = by the reasons.
	Scope string
	// Values are the readings by the keys of a sample: audio_send_loss_pct.
	Values map[string]float64
	// Limits are those of the profile by its keys: audio_loss_pct_poor.
	Limits map[string]float64
	// Streams are the received video streams, Bad of them beyond a limit; 0 = not known.
	Streams, Bad int
}

// flat are the maps into which samples are read: a page with many rooms reads all.
var flat = sync.Pool{New: func() any { return map[string]any{} }}

// CallOf reads a sample payload, or the newest state of a device. limits may be nil.
func CallOf(sample []byte, limits map[string]float64) Call {
	all := flat.Get().(map[string]any)
	defer func() { clear(all); flat.Put(all) }()
	err := json.Unmarshal(sample, &all)
	c := Call{Limits: limits, Values: make(map[string]float64, len(all))}
	if err != nil {
		return c
	}
	for key, x := range all {
		if n, ok := x.(float64); ok {
			c.Values[key] = n
		}
	}
	c.Grade, _ = all["grade"].(string)
	c.Reasons, _ = all["grade_reasons"].(string)
	if scope, _ := all["grade_scope"].(string); slices.Contains(scopes, scope) {
		c.Scope = scope
	}
	c.Streams = int(c.Values["video_recv_streams"])
	return c
}

// units of the values of a call, by metric.
var metricUnits = map[string][2]string{ // suffix of the key, unit in a text
	"loss": {"loss_pct", " %"}, "delay": {"delay_ms", " ms"}, "jitter": {"jitter_ms", " ms"}, "fps": {"fps", "/s"},
}

// metricOrder is the order in which what is beyond a limit explains a call.
var (
	metricOrder = []string{"loss", "delay", "jitter", "fps"}
	mediaOrder  = []string{"audio", "video", "aux"}
	ways        = []string{"send", "recv"}
	scopes      = []string{"uplink", "downlink", "both", "far_end"}
)

// reason is one reading that is beyond a limit.
type reason struct{ media, direction, metric string }

func (r reason) key() string {
	return r.media + "_" + r.direction + "_" + metricUnits[r.metric][0]
}

// reasons reads a comma list; what is not known is left out.
func reasons(list string) (out []reason) {
	for word := range strings.SplitSeq(list, ",") {
		parts := strings.Split(strings.TrimSpace(word), "_")
		if len(parts) < 3 {
			continue
		}
		r := reason{parts[0], parts[1], parts[2]}
		if slices.Contains(mediaOrder, r.media) && slices.Contains(ways, r.direction) && slices.Contains(metricOrder, r.metric) {
			out = append(out, r)
		}
	}
	return out
}

// inOrder are the reasons of a metric in the order in which people read them: audio
// first, sent before received.
func inOrder(list []reason, metric string) (out []reason) {
	for _, media := range mediaOrder {
		for _, way := range ways {
			if r := (reason{media, way, metric}); slices.Contains(list, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// Code is the entry of the table that explains the call: call_uplink_loss.
func (c Call) Code() string {
	switch c.Grade {
	case "good":
		return "call_good"
	case "fair", "poor":
	default:
		return "call_unknown"
	}
	list := reasons(c.Reasons)
	if c.Scope == "far_end" {
		if c.Bad > 1 && c.Streams > c.Bad {
			return "call_far_ends"
		}
		return "call_far_end"
	}
	if len(list) == 0 {
		return "call_other"
	}
	return "call_" + c.scope(list) + "_" + lead(list)
}

// scope is where the reasons are.
func (c Call) scope(list []reason) string {
	if c.Scope != "" {
		return c.Scope
	}
	sent := slices.ContainsFunc(list, func(r reason) bool { return r.direction == "send" })
	received := slices.ContainsFunc(list, func(r reason) bool { return r.direction == "recv" })
	switch {
	case sent && received:
		return "both"
	case sent:
		return "uplink"
	default:
		return "downlink"
	}
}

// lead is the metric that explains most.
func lead(list []reason) string {
	for _, metric := range metricOrder {
		if slices.ContainsFunc(list, func(r reason) bool { return r.metric == metric }) {
			return metric
		}
	}
	return ""
}

// Call says in words what is wrong with a call and what to do about it.
func (l Lang) Call(c Call) (what, hint string) {
	code := c.Code()
	facts := Facts{"values": l.callValues(c)}
	if c.Streams > 0 && c.Bad > 0 {
		facts["streams"], facts["bad"] = strconv.Itoa(c.Streams), strconv.Itoa(c.Bad)
	}
	words := mediaWords[l.orEnglish()]
	switch {
	case strings.HasPrefix(code, "call_uplink_") && c.fine("recv"):
		facts["fine"] = words["fine_recv"]
	case strings.HasPrefix(code, "call_downlink_") && c.fine("send"):
		facts["fine"] = words["fine_send"]
	}
	return strings.TrimSpace(l.What(code, facts)), l.HintFor(code, facts)
}

// fine reports whether everything that is known of a direction is within its limits,
// and some loss is known.
func (c Call) fine(direction string) bool {
	known := false
	for _, media := range mediaOrder {
		for _, metric := range metricOrder {
			r := reason{media, direction, metric}
			value, ok := c.Values[r.key()]
			if !ok {
				continue
			}
			known = known || metric == "loss"
			for _, grade := range []string{"fair", "poor"} {
				limit, ok := c.Limits[media+"_"+metricUnits[metric][0]+"_"+grade]
				if ok && (metric == "fps" && value < limit || metric != "fps" && value >= limit) {
					return false
				}
			}
		}
	}
	return known && len(c.Limits) > 0
}

// callValues are the readings behind the reasons with their limits, those of the
// leading metric first: "audio 12 %, video 8 % (limit 10 / 3)".
func (l Lang) callValues(c Call) string {
	words := mediaWords[l.orEnglish()]
	list := reasons(c.Reasons)
	both := c.scope(list) == "both"
	first := lead(list)
	var out strings.Builder
	for _, metric := range metricOrder {
		var values, limits []string
		for _, r := range inOrder(list, metric) {
			value, known := c.Values[r.key()]
			if !known {
				continue
			}
			name := words[r.media]
			if both {
				name = fmt.Sprintf(words[r.direction], name)
			}
			if metric != first || strings.HasPrefix(c.Code(), "call_far_") {
				name = fmt.Sprintf(words["named"], name, words[metric])
			}
			values = append(values, name+" "+figure(value)+metricUnits[metric][1])
			if limit, ok := c.Limits[r.media+"_"+metricUnits[metric][0]+"_"+c.Grade]; ok {
				limits = append(limits, figure(limit))
			}
		}
		if len(values) == 0 {
			continue
		}
		text := strings.Join(values, l.comma())
		if all := slices.Compact(slices.Clone(limits)); len(limits) == len(values) {
			if len(all) == 1 {
				limits = all
			}
			text += fmt.Sprintf(words["limit"], strings.Join(limits, " / "))
		}
		if out.Len() > 0 {
			text = fmt.Sprintf(words["also"], text)
		}
		out.WriteString(text)
	}
	return out.String()
}

func (l Lang) comma() string {
	if l == Chinese {
		return "、"
	}
	return ", "
}

// figure is a reading as people write it: 12, 1.5, 0.3.
func figure(x float64) string {
	decimals := 1
	if x >= 10 {
		decimals = 0
	}
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', decimals, 64), ".0")
}

// Grade is a grade in words.
func (l Lang) Grade(grade string) string {
	if word := gradeWords[l.orEnglish()][grade]; word != "" {
		return word
	}
	return grade
}

// Reason is one of grade_reasons, or a key of a sample, in words: "sent video: loss"; ""
// for what is not known.
func (l Lang) Reason(word string) string {
	list := reasons(word)
	if len(list) == 0 {
		return ""
	}
	words, r := mediaWords[l.orEnglish()], list[0]
	return fmt.Sprintf(words["named"], fmt.Sprintf(words[r.direction], words[r.media]), words[r.metric])
}

// Why is the reason of an event in words; one that has none is itself.
func (l Lang) Why(reason string) string {
	if text := whyWords[l.orEnglish()][reason]; text != "" {
		return text
	}
	return reason
}

// Ahead is the difference of a clock in words, seconds, positive = ahead.
func (l Lang) Ahead(seconds float64) string {
	way := "ahead"
	if seconds < 0 {
		way = "behind"
	}
	return fmt.Sprintf(mediaWords[l.orEnglish()][way], l.For(time.Duration(math.Abs(seconds)*float64(time.Second))))
}

// Jump is a step of a clock in words, seconds, positive = forward.
func (l Lang) Jump(seconds float64) string {
	way := "forward"
	if seconds < 0 {
		way = "back"
	}
	return fmt.Sprintf(mediaWords[l.orEnglish()][way], l.For(time.Duration(math.Abs(seconds)*float64(time.Second))))
}

// HeadlineCode is the entry of the table that says how a room is, in a few words: room_poor.
// state and grade are those of a sample; "" = not known.
func HeadlineCode(state, grade string) string {
	switch state {
	case "idle", "unreachable", "refused", "error", "busy", "upgrading":
		return "room_" + state
	case "in_call":
		switch grade {
		case "good", "fair", "poor":
			return "room_" + grade
		}
		return "room_in_call"
	}
	return "room_unclear"
}

// Headline says how a room is, in a few words: "Good call for 12 min", "Ready",
// "Endpoint does not answer since 09:12". since is when that began, zero = not known;
// times are in the zone of now.
func (l Lang) Headline(state, grade string, since, now time.Time) string {
	return l.What(HeadlineCode(state, grade), Facts{"for": l.forSince(since, now), "since": l.Clock(since, now)})
}

// Headline says how the room of an endpoint is, see Lang.Headline.
func (e Endpoint) Headline(l Lang, now time.Time) string {
	switch {
	case e.LastPoll.IsZero():
		return l.What("room_not_polled", nil)
	case e.State == "in_call":
		return l.Headline(e.State, e.CallGrade, e.GradeSince, now)
	}
	return l.Headline(e.State, "", e.StateSince, now)
}

// Call is the running call of an endpoint for its words: the newest sample, and over it
// what made the call poor, as long as it is.
func (s Status) Call(e Endpoint) Call {
	c := CallOf(e.Sample, s.Limits[e.Limits])
	if e.Grade != "" {
		c.Grade, c.Reasons = e.Grade, e.GradeReasons
	}
	if e.CallGrade != "poor" || e.Incident == nil {
		return c
	}
	c.Grade, c.Reasons, c.Scope = "poor", e.Incident.Metrics, e.Incident.Scope
	c.Streams, c.Bad = e.Incident.Streams, e.Incident.Bad
	for key, value := range e.Incident.Values {
		c.Values[key] = value
	}
	return c
}
