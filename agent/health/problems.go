package health

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Bounds beyond which something counts as a problem.
const (
	// MissedIntervals is how many poll intervals an endpoint may be silent.
	MissedIntervals = 3
	// almostFullPct is how full the store may become with undelivered records, in
	// percent of max_bytes.
	almostFullPct = 90
	// SpaceMin is the free space in bytes below which a store cannot grow.
	SpaceMin = 1 << 20
	// stepShown is how long a jump of the clock is shown.
	stepShown = time.Hour
	// missedShown is how long polls that were missed are shown.
	missedShown = 24 * time.Hour
	// newEpochShown is how long a new epoch is shown.
	newEpochShown = 24 * time.Hour
)

// Problem is something that a person should know or do.
type Problem struct {
	Code     string   `json:"code"` // its entry in the table; stable
	Severity Severity `json:"severity"`
	// Since is when it began, zero = not known.
	Since time.Time `json:"since,omitzero"`
	What  string    `json:"what"`           // one sentence with numbers
	Hint  string    `json:"hint,omitempty"` // the next step
	// Detail is for those who look deeper: the error, the API, its ids. Show it small.
	Detail string `json:"detail,omitempty"`
	// Bad: the severity is critical, data is missing or at risk now.
	Bad bool `json:"bad"`
	// Device is the endpoint that it is about, "" = none.
	Device string `json:"device,omitempty"`
}

// severityOrder sorts problems, the worst first.
var severityOrder = map[Severity]int{Critical: 0, Warning: 1, Info: 2}

// last are what lasts for weeks on many machines: of its severity it comes at the end, so
// that the health message, which has room for one, does not hide a newer problem behind it.
var last = map[string]int{"clock_not_synchronized": 1, "warning": 2}

// Problems says in words what is wrong at now, the worst first. Empty means that all is
// well. Times are in the zone of now. The status page, `roomcall status` and the health
// message all show it.
func (l Lang) Problems(s Status, now time.Time) []Problem { return l.sorted(s, now, l.Clock) }

// ProblemsAbroad are Problems for who may be in another zone: with UTC beside the times.
func (l Lang) ProblemsAbroad(s Status, now time.Time) []Problem { return l.sorted(s, now, l.ClockUTC) }

func (l Lang) sorted(s Status, now time.Time, clock clockWords) []Problem {
	all := slices.DeleteFunc(l.problems(s, now, clock), func(p Problem) bool { return p.Code == "endpoint_not_polled" }) // it is only waited for
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(severityOrder[a.Severity]-severityOrder[b.Severity], last[a.Code]-last[b.Code])
	})
	return all
}

// Unready lists why the agent does not do its whole work at now, one sentence
// each; empty means ready. It asks whether the loops work, not whether the
// rooms are well: a poll that an endpoint refused is a poll.
func Unready(s Status, now time.Time) []string {
	var why []string
	for _, p := range English.problems(s, now, English.Clock) {
		if !english[p.Code].unready {
			continue
		}
		if p.Detail != "" {
			p.What += ": " + p.Detail
		}
		why = append(why, p.What)
	}
	return why
}

// NewProblem makes a problem of a table entry.
func (l Lang) NewProblem(code string, facts Facts) Problem {
	w := l.of(code)
	return Problem{Code: code, Severity: w.severity, What: say(w.what, facts), Hint: say(w.hint, facts), Bad: w.severity == Critical}
}

// RoomName is how people know an endpoint: its room with the device beside it.
func (e Endpoint) RoomName() string {
	if e.Room == "" {
		return e.Device
	}
	return e.Room + " (" + e.Device + ")"
}

// clockWords is a time in words.
type clockWords func(t, now time.Time) string

// problems finds everything that is wrong.
func (l Lang) problems(s Status, now time.Time, clock clockWords) (all []Problem) {
	// add makes a problem of a table entry that began at since. The error behind it is
	// its detail.
	add := func(code string, since time.Time, detail string, facts Facts) *Problem {
		if facts == nil {
			facts = Facts{}
		}
		facts["for"], facts["since"] = l.forSince(since, now), clock(since, now)
		p := l.NewProblem(code, facts)
		p.Since, p.Detail = since, detail
		all = append(all, p)
		return &all[len(all)-1]
	}

	if id := s.Identity; id.NewEpoch != "" && now.Sub(id.NewEpochAt) < newEpochShown {
		add("store_new_epoch", id.NewEpochAt, "", Facts{"reason": l.Why(id.NewEpoch), "ago": l.Ago(id.NewEpochAt, now)})
	}
	b := s.Buffer
	switch b.State {
	case "open":
	case "opening":
		add("store_opening", time.Time{}, "", nil)
	default:
		add(StoreCode(b), b.Since, b.Error, nil)
	}
	if b.State == "open" && b.DiskFree != nil && *b.DiskFree < SpaceMin {
		add("disk_full", time.Time{}, "", Facts{"free": Bytes(*b.DiskFree)})
	}
	if b.MemoryHeld > 0 {
		add("store_memory", b.Since, "", Facts{"polls": strconv.Itoa(b.MemoryHeld)})
	}
	if polls, devices, last := missed(b.Missed); polls > 0 && now.Sub(last) < missedShown {
		add("store_missed", time.Time{}, "", Facts{"polls": strconv.FormatUint(polls, 10), "devices": strconv.Itoa(devices), "ago": l.Ago(last, now)})
	}
	if b.Evicted > 0 {
		add("store_evicted", time.Time{}, "", Facts{"records": l.records(b.Evicted)})
	}
	if b.Quarantined > 0 {
		add("store_quarantined", time.Time{}, "", Facts{"records": l.records(b.Quarantined)})
	}
	if b.DamagedFiles > 0 {
		add("store_damaged_files", time.Time{}, "", Facts{"files": strconv.Itoa(b.DamagedFiles)})
	}
	if b.MaxBytes > 0 && b.Waiting > 0 && b.DeliveredKept == 0 && b.BytesOnDisk > b.MaxBytes/100*almostFullPct {
		add("store_almost_full", time.Time{}, "", nil)
	}

	k := s.Broker
	facts := Facts{}
	if b.Waiting > 0 {
		facts["records"] = l.records(b.Waiting)
	}
	switch {
	case !k.SameIDSince.IsZero(): // between two connections and during one
		facts["client_id"] = s.ClientID
		add("broker_same_client_id", k.SameIDSince, k.Error, facts)
	case k.State == "connecting" && k.Error == "":
		add("broker_connecting", k.Since, "", facts)
	case k.State != "connected":
		add("broker_disconnected", k.Since, k.Error, facts).Hint = l.advice(k.Advice, k.Hint)
	case k.Proof == "failed":
		p := add("broker_not_delivering", k.ProofSince, k.ProofDetail, nil)
		p.Hint = cmp.Or(l.advice(k.Advice, k.Hint), p.Hint)
	case k.Proof == "unproven":
		p := add("broker_unproven", k.ProofSince, k.ProofDetail, nil)
		p.Hint = cmp.Or(l.advice(k.Advice, k.Hint), p.Hint)
	}
	for _, x := range k.LeftOut {
		add("broker_left_out", x.Since, "", Facts{"what": cmp.Or(leftOutWords[l.orEnglish()][x.What], x.What)})
	}

	for _, e := range s.Endpoints {
		before := len(all)
		facts := Facts{"endpoint": e.RoomName()}
		silent := now.Sub(e.LastPoll)
		switch {
		case e.LastPoll.IsZero():
			add("endpoint_not_polled", time.Time{}, "", facts)
		case silent > time.Duration(MissedIntervals*e.IntervalS*float64(time.Second)):
			facts["ago"], facts["intervals"], facts["interval"] = l.Ago(e.LastPoll, now), strconv.Itoa(MissedIntervals), fmt.Sprintf("%g s", e.IntervalS)
			add("endpoint_overdue", e.LastPoll, "", facts)
		case e.State != "" && e.State != "idle" && e.State != "in_call":
			code := "endpoint_" + e.State
			if _, known := english[code]; !known {
				code = "endpoint_error"
			}
			p := add(code, e.StateSince, e.Err, facts)
			p.Hint = cmp.Or(l.advice(e.Advice, e.Hint), p.Hint)
		default:
			if e.InCall && cmp.Or(e.CallGrade, e.Grade) == "poor" {
				facts["call"], _ = l.Call(s.Call(e))
				p := add("endpoint_poor_call", e.GradeSince, "", facts)
				_, p.Hint = l.Call(s.Call(e))
			}
			if e.Hint != "" {
				add("endpoint_attention", e.AdviceSince, "", facts).Hint = l.advice(e.Advice, e.Hint)
			}
			if e.ClockAheadS != 0 {
				add("endpoint_clock_off", e.ClockSince, "", Facts{"endpoint": e.RoomName(), "off": l.Ahead(e.ClockAheadS)})
			}
			if e.NotUnderstood > 0 {
				add("endpoint_not_understood", time.Time{}, "", Facts{"endpoint": e.RoomName(), "values": strconv.Itoa(e.NotUnderstood)})
			}
		}
		for i := before; i < len(all); i++ {
			all[i].Device = e.Device
		}
	}

	if c := s.Clock; c.Synchronized != nil && !*c.Synchronized {
		add("clock_not_synchronized", time.Time{}, "", nil)
	} else if !c.LastStep.IsZero() && now.Sub(c.LastStep) < stepShown {
		add("clock_step", c.LastStep, "", Facts{"jump": l.Jump(c.LastStepS), "ago": l.Ago(c.LastStep, now)})
	}
	if h := s.HTTP; h.Error != "" {
		add("page_unavailable", h.Since, h.Error, nil)
	}
	if g := s.Log; g.Failing {
		add("log_failing", time.Time{}, g.Error, Facts{"lines": strconv.FormatUint(g.Lost, 10)})
	}
	if g := s.Log; g.Elsewhere != "" {
		add("log_elsewhere", time.Time{}, g.Elsewhere, nil)
	}
	if r := s.Refused; r != nil {
		add("reload_refused", r.At, r.Error, nil)
	}
	for _, w := range s.Warnings {
		all = append(all, Problem{Code: "warning", Severity: Warning, What: w})
	}
	return all
}

// advice is a next step in the language; hint is the one in English, of an agent that
// does not say which it is.
func (l Lang) advice(a Advice, hint string) string {
	return cmp.Or(l.HintFor(a.Code, a.Facts), hint)
}

// StoreCode is the entry in the table for a store that accepts nothing.
func StoreCode(b Buffer) string {
	switch {
	case b.Cause == "full", b.State == "full":
		return "store_full"
	case b.Cause == "read_only":
		return "store_read_only"
	case b.Cause == "io_error":
		return "store_io_error"
	case b.Cause == "not_writable":
		return "store_not_writable"
	case b.Cause == "missing":
		return "store_missing"
	case b.Cause == "no_answer":
		return "store_no_answer"
	}
	return "store_failed"
}

// MissedPolls is how many polls were missed together.
func MissedPolls(list []Missed) uint64 {
	polls, _, _ := missed(list)
	return polls
}

// missed adds up what was missed: how much, of how many devices, and when last.
func missed(list []Missed) (polls uint64, devices int, last time.Time) {
	names := map[string]bool{}
	for _, m := range list {
		polls += m.Count
		names[m.Device] = true
		if m.Last.After(last) {
			last = m.Last
		}
	}
	return polls, len(names), last
}
