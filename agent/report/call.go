package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
	"roomcall/cgi"
)

const (
	// An idle poll so many intervals before the first poll in the call makes the
	// start observed, but not one longer ago than a minute: the join timer is no
	// worse than that. The same holds for the end.
	seenIntervals = 2
	observedGap   = time.Minute
	// minGap is the least of these times: short intervals are not kept to the dot.
	minGap = 2 * time.Second
	// A join timer that says the call began this much later than it said before
	// belongs to another call.
	timerSlack = 2 * time.Minute
	// A call that no poll saw for this long has ended, in ms.
	maxUnseen = int64(24 * time.Hour / time.Millisecond)
)

// callState is the open call. Its four sums of milliseconds always add up to
// MarkMs - StartMs.
type callState struct {
	ID      string `json:"id,omitempty"`     // of a call that a state of version 1 or of another epoch brought; see turn.callID
	OpenMs  int64  `json:"open_ms,omitzero"` // time of the poll that opened it, 0 = not known
	StartMs int64  `json:"start_ms"`
	Source  string `json:"source"`
	// MarkMs is the time of the last sample of the call: up to there every
	// millisecond is accounted for.
	MarkMs int64 `json:"mark_ms"`
	Last   grade `json:"last,omitzero"` // grade of the last sample
	// Missed: a poll since MarkMs did not see the call.
	Missed bool `json:"missed,omitzero"`
	// EndingMs is the first idle poll since MarkMs while the next poll is to say
	// whether the call goes on, see turn.mayGoOn.
	EndingMs int64 `json:"ending_ms,omitzero"`
	// Join is the last join timer; Moved: it was seen to rise.
	Join  cgi.Reading `json:"join,omitzero"`
	Moved bool        `json:"moved,omitzero"`

	Samples   int64         `json:"samples,omitzero"`
	CoveredMs int64         `json:"covered_ms,omitzero"`
	GradeMs   [grades]int64 `json:"grade_ms"`

	Media payload.CallSums `json:"media,omitzero"`
	Poor  [gauges]uint32   `json:"poor,omitzero"` // samples by gauge
	Fair  [gauges]uint32   `json:"fair,omitzero"`
	// Sides counts, of received video, the samples in which a metric was at the grade of
	// the sample: fair and poor; some of several streams were bad, all were.
	Sides [2][2][metricFPS]uint32 `json:"sides,omitzero"`

	// Shown is the grade that is shown, since ShownMs; Next what the last NextN samples
	// had, since NextMs.
	Shown   grade `json:"shown,omitzero"`
	ShownMs int64 `json:"shown_ms,omitzero"`
	Next    grade `json:"next,omitzero"`
	NextMs  int64 `json:"next_ms,omitzero"`
	NextN   int   `json:"next_n,omitzero"`
}

// track follows the call: an active poll starts or goes on, an idle one ends,
// everything else leaves the call open and unseen. Where the join timer can tell,
// one idle poll alone does not end a call.
func (t *turn) track() {
	c := t.d.Call
	switch {
	case t.p.Err != nil || t.p.Status.Call == cgi.CallUnknown:
		if c == nil {
			return
		}
		if c.EndingMs == 0 {
			c.Missed = true
		}
		if t.at-c.MarkMs > maxUnseen || c.EndingMs != 0 && t.at-c.EndingMs > observedGap.Milliseconds() {
			t.endCall("")
		}
	case t.p.Status.Call == cgi.CallIdle:
		switch {
		case c == nil:
			t.d.IdleMs = t.at
		case c.EndingMs == 0 && c.mayGoOn():
			c.EndingMs = t.at
		default:
			t.endCall("")
			t.d.IdleMs = t.at
		}
	default:
		if c != nil && t.otherCall(c) {
			t.endCall("")
			c = nil
		}
		switch {
		case c == nil:
			t.startCall()
		case c.EndingMs != 0:
			c.EndingMs, c.Missed = 0, true
		}
		t.readTimer()
	}
}

// mayGoOn reports whether the join timer could tell, after an idle poll, that the
// call went on: one that begins anew begins at 0.
func (c *callState) mayGoOn() bool { return c.Join.Value >= 1 }

// otherCall reports whether, by the join timer, the open call ended unseen and
// another one began: the timer fell, or it moved before and now implies a later start.
// After a day without a sample it is another one unless the timer went along.
func (t *turn) otherCall(c *callState) bool {
	if t.at-c.MarkMs > maxUnseen && !t.timerAgrees() {
		return true
	}
	now := t.p.Status.JoinMinutes
	if !now.Known || !c.Join.Known {
		return c.EndingMs != 0 // it was idle, and nothing says that it is the same
	}
	if now.Value < c.Join.Value {
		return true
	}
	passed := float64(t.at-c.MarkMs) / 60_000
	behind := passed - (now.Value - c.Join.Value)
	return (c.Moved || now.Value > c.Join.Value) && behind > timerSlack.Minutes()
}

func (t *turn) readTimer() {
	c, now := t.d.Call, t.p.Status.JoinMinutes
	if !now.Known {
		return
	}
	c.Moved = c.Moved || c.Join.Known && now.Value > c.Join.Value
	c.Join = now
}

// startCall opens a call. Its start is this poll when an idle poll was shortly
// before and the join timer does not contradict; otherwise it comes from the join
// timer, up to 60 s late, and is never before the last idle poll or the last call.
func (t *turn) startCall() {
	start, source := t.at, "observed"
	if join := t.p.Status.JoinMinutes; join.Known && join.Value < 1e6 {
		byTimer := t.at - int64(math.Floor(join.Value))*60_000
		gap := min(max(seenIntervals*t.dev.IdleInterval, minGap), observedGap)
		seen := t.d.IdleMs > 0 && t.at-t.d.IdleMs <= gap.Milliseconds()
		if !seen || byTimer < t.d.IdleMs-minuteMs {
			start, source = byTimer, "join_timer"
			for _, before := range []int64{t.d.IdleMs, t.d.EndMs} {
				if before > start && before <= t.at {
					start = before
				}
			}
		}
	}
	second := start / 1000
	if second <= t.d.LastCallS { // one id, one call, whatever the clock says
		second = t.d.LastCallS + 1
	}
	t.d.LastCallS = second
	t.d.Call = &callState{
		OpenMs: t.at, StartMs: start, Source: source, MarkMs: start,
	}
	if source == "join_timer" {
		t.d.Call.Missed = true // nobody saw the time until now
	}
	t.event(payload.Event{
		Type: "call.started", Code: "call_started", Severity: "info", CallID: t.callID(),
		SinceMs: start, Reason: source, Text: t.startText(start),
	})
}

// callID names the open call, for ever: no other call of any agent has this name.
func (t *turn) callID() string {
	if id := t.d.Call.ID; id != "" {
		return id
	}
	return fmt.Sprintf("%s.%d.%s.%d", t.r.set.ClientID, t.r.set.Epoch, t.dev.Name, t.d.LastCallS)
}

// account adds the sample of this poll to the open call.
func (t *turn) account(v *verdict, media *payload.GroupMedia) {
	c := t.d.Call
	c.Samples++
	c.spend(t.at, v.grade, t.dev.PollInterval)
	c.Last, c.Missed = v.grade, false
	c.Media = c.Media.Add(media)
	for i, g := range v.gauges {
		switch g {
		case gradePoor:
			c.Poor[i]++
		case gradeFair:
			c.Fair[i]++
		}
	}
	c.countSides(v)
	t.follow(v.grade)
}

// countSides counts what several received streams say of a sample's reasons.
func (c *callState) countSides(v *verdict) {
	if v.streams < 2 || v.bad == 0 {
		return
	}
	all := 0
	if v.bad == v.streams {
		all = 1
	}
	for k := range metricFPS {
		if v.gauges[payload.VideoRecv*metrics+k] == v.grade {
			c.Sides[v.grade-gradeFair][all][k]++
		}
	}
}

// side says what several received streams tell of a cause of the call's grade, "" =
// nothing: only the samples count in which it was a reason.
func (c *callState) side(gauge int, g grade) string {
	if !farEnd(gauge) {
		return ""
	}
	k := gauge % metrics
	far, own := c.Sides[1][0][k], c.Sides[1][1][k]
	if g == gradeFair {
		far, own = far+c.Sides[0][0][k], own+c.Sides[0][1][k]
	}
	switch {
	case far > own:
		return "far_end"
	case own > 0:
		return "own_access"
	}
	return ""
}

// follow moves the grade that is shown on by one sample: poor as long as an incident is
// open, otherwise what Leave samples in a row have.
func (t *turn) follow(g grade) {
	c := t.d.Call
	since := t.at
	switch {
	case t.d.Poor != nil:
		g, since = gradePoor, t.d.Poor.SinceMs
	case g == gradePoor:
		g = gradeFair // not yet an incident
	}
	switch {
	case c.Samples == 1:
		c.Shown, c.ShownMs = g, c.StartMs
	case c.ShownMs == 0, g != c.Shown && (g == gradePoor || c.Shown == gradePoor):
		c.Shown, c.ShownMs, c.NextN = g, since, 0
	case g == c.Shown:
		c.NextN = 0
	default:
		if c.NextN == 0 || c.Next != g {
			c.Next, c.NextMs, c.NextN = g, t.at, 0
		}
		if c.NextN++; c.NextN >= t.dev.Limits.Leave {
			c.Shown, c.ShownMs, c.NextN = g, c.NextMs, 0
		}
	}
}

// spend assigns the time since the mark to a grade. Of a gap, only the last poll
// interval belongs to the sample; the rest is unknown.
func (c *callState) spend(at int64, g grade, interval time.Duration) {
	passed := at - c.MarkMs
	own := passed
	if limit := interval.Milliseconds(); c.Missed {
		own = min(passed, limit)
	} else if passed > 3*limit {
		own = limit
	}
	c.GradeMs[g] += own
	c.GradeMs[gradeUnknown] += passed - own
	c.CoveredMs += own
	c.MarkMs = at
}

// endCall closes the call. It ended at the first idle poll, if the poll before that
// one saw it; otherwise all that is known is the last sample, and that is the end.
// reason is "" when it is over and not only out of sight.
func (t *turn) endCall(reason string) {
	c := t.d.Call
	idle, source := c.EndingMs, "last_sample"
	if idle == 0 && t.sees(cgi.CallIdle) {
		idle = t.at
	}
	longest := min(max(seenIntervals*t.dev.PollInterval, minGap), max(observedGap, t.dev.PollInterval*5/4))
	switch {
	case reason != "":
		source = reason
	case idle != 0 && !c.Missed && idle-c.MarkMs <= longest.Milliseconds():
		c.spend(idle, c.Last, t.dev.PollInterval)
		source = "observed"
	}
	t.closeQuality(cmp.Or(reason, "call_ended"))
	summary := c.summary(t.callID(), source)
	t.event(payload.Event{
		Type: "call.ended", Code: "call_ended", Severity: "info", CallID: t.callID(),
		SinceMs: c.StartMs, EndMs: c.MarkMs, EndSource: source, Reason: reason, Text: t.endText(&summary),
	})
	t.calls = append(t.calls, summary)
	if len(t.r.views) > 0 {
		v := t.viewCall(c)
		v.Finished = true
		t.ended = append(t.ended, v)
	}
	t.d.IdleMs = max(t.d.IdleMs, idle)
	t.d.EndMs = c.MarkMs // the next call starts after this one
	t.d.Call = nil
}

// sees reports whether the poll has a status with this verdict.
func (t *turn) sees(s cgi.CallState) bool { return t.p.Err == nil && t.p.Status.Call == s }

// Shares that decide over a whole call.
const (
	gradeShare   = 0.05 // a grade that holds this share of the graded time is the call's
	coveredShare = 0.5  // good needs this share of the duration graded
)

// seconds turns milliseconds into seconds without rounding.
func seconds(ms int64) float64 { return float64(ms) / 1000 }

// summary makes the payload of the finished call, without its head.
func (c *callState) summary(id, endSource string) payload.Call {
	g := c.grade()
	p := payload.Call{
		CallID: id, StartMs: c.StartMs, StartSource: c.Source, EndMs: c.MarkMs, EndSource: endSource,
		DurationS: seconds(c.MarkMs - c.StartMs), Samples: c.Samples,
		CoveragePct: c.coverage(),
		SecondsGood: seconds(c.GradeMs[gradeGood]), SecondsFair: seconds(c.GradeMs[gradeFair]),
		SecondsPoor: seconds(c.GradeMs[gradePoor]), SecondsUnknown: seconds(c.GradeMs[gradeUnknown]),
		Grade: g.String(), GradeCode: int64(g),
		Media: c.Media.Summaries(),
	}
	if g >= gradeFair {
		var worst int
		if worst, p.CauseIDs = c.cause(g); worst >= 0 {
			p.Cause = gaugeWord(worst)
		}
		if worst >= 0 {
			p.CauseScope = c.side(worst, g)
		}
	}
	return p
}

// coverage is the share of the duration that samples stand for.
func (c *callState) coverage() float64 {
	d := c.MarkMs - c.StartMs
	if d <= 0 {
		return 100
	}
	return payload.Round(100*float64(c.CoveredMs)/float64(d), 2)
}

// grade is the worst grade that holds at least 5 % of the graded time; good
// needs half of the duration graded.
func (c *callState) grade() grade {
	known := c.GradeMs[gradeGood] + c.GradeMs[gradeFair] + c.GradeMs[gradePoor]
	switch {
	case known == 0:
		return gradeUnknown
	case float64(c.GradeMs[gradePoor]) >= gradeShare*float64(known):
		return gradePoor
	case float64(c.GradeMs[gradePoor]+c.GradeMs[gradeFair]) >= gradeShare*float64(known):
		return gradeFair
	case float64(known) < coveredShare*float64(known+c.GradeMs[gradeUnknown]):
		return gradeUnknown
	default:
		return gradeGood
	}
}

// maxCauses is the number of cause ids, as in Agora's cause_tags.
const maxCauses = 3

// cause ranks the gauges by the samples in which they were at the call's grade
// or worse; -1 = there is none.
func (c *callState) cause(g grade) (worst int, ids string) {
	count := c.Poor
	if g == gradeFair {
		for i := range count {
			count[i] += c.Fair[i]
		}
	}
	var order []int
	for i := range count {
		if count[i] > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(worstFirst(order, func(i int) float64 { return float64(count[i]) }),
		func(a, b int) int { return cmp.Compare(count[b], count[a]) })
	if len(order) == 0 {
		return -1, ""
	}
	var list []string
	for _, i := range order {
		if id := view.FactorID(gaugeWord(i)); id != 0 && len(list) < maxCauses {
			list = append(list, strconv.Itoa(id))
		}
	}
	return order[0], strings.Join(list, ",")
}
