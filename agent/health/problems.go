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
	// stepShown is how long a jump of the clock is shown.
	stepShown = time.Hour
	// missedShown is how long polls that were missed are shown.
	missedShown = 24 * time.Hour
	// newEpochShown is how long a new epoch is shown.
	newEpochShown = 24 * time.Hour
)

// Problem is something that a person should know or do.
type Problem struct {
	Code string `json:"-"` // its entry in the table
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
	// Bad means that data is missing or at risk now; otherwise it is a warning.
	Bad bool `json:"bad"`
	// Device is the endpoint that it is about, "" = none.
	Device string `json:"-"`
}

// Problems says in plain words what is wrong at now, the worst first. Empty
// means that all is well. The status page and `roomcall status` both show it.
func Problems(s Status, now time.Time) []Problem {
	all := slices.DeleteFunc(problems(s, now), func(p Problem) bool { return p.Code == "endpoint_not_polled" }) // it is only waited for
	slices.SortStableFunc(all, func(a, b Problem) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		default:
			return 1
		}
	})
	return all
}

// Unready lists why the agent does not do its whole work at now, one sentence
// each; empty means ready. It asks whether the loops work, not whether the
// rooms are well: a poll that an endpoint refused is a poll.
func Unready(s Status, now time.Time) []string {
	var why []string
	for _, p := range problems(s, now) {
		if english[p.Code].unready {
			why = append(why, p.What)
		}
	}
	return why
}

// NewProblem makes a problem of a table entry.
func NewProblem(code string, facts Facts) Problem {
	w := english[code]
	return Problem{Code: code, What: say(w.what, facts), Hint: say(w.hint, facts), Bad: !w.warn}
}

// problems finds everything that is wrong.
func problems(s Status, now time.Time) (all []Problem) {
	// add makes a problem of a table entry. hint is what the error itself advises,
	// "" = the table's.
	add := func(code, hint string, facts Facts) {
		p := NewProblem(code, facts)
		p.Hint = cmp.Or(hint, p.Hint)
		all = append(all, p)
	}

	if id := s.Identity; id.NewEpoch != "" && now.Sub(id.NewEpochAt) < newEpochShown {
		add("store_new_epoch", "", Facts{"reason": id.NewEpoch, "ago": Ago(id.NewEpochAt, now)})
	}
	switch b := s.Buffer; b.State {
	case "open":
	case "opening":
		add("store_opening", b.Hint, nil)
	default:
		add(StoreCode(b), b.Hint, Facts{"state": OrUnknown(b.State), "error": b.Error})
	}
	b := s.Buffer
	if b.MemoryHeld > 0 {
		add("store_memory", "", Facts{"records": Records(b.MemoryHeld)})
	}
	if polls, devices, last := missed(b.Missed); polls > 0 && now.Sub(last) < missedShown {
		add("store_missed", "", Facts{"polls": strconv.FormatUint(polls, 10), "devices": strconv.Itoa(devices), "ago": Ago(last, now)})
	}
	if b.Evicted > 0 {
		add("store_evicted", "", Facts{"records": Records(b.Evicted)})
	}
	if b.Quarantined > 0 {
		add("store_quarantined", "", Facts{"records": Records(b.Quarantined)})
	}
	if b.DamagedFiles > 0 {
		add("store_damaged_files", "", Facts{"files": strconv.Itoa(b.DamagedFiles)})
	}
	if b.MaxBytes > 0 && b.Waiting > 0 && b.DeliveredKept == 0 && b.BytesOnDisk > b.MaxBytes/100*almostFullPct {
		add("store_almost_full", "", nil)
	}

	k := s.Broker
	facts := Facts{"state": OrUnknown(k.State), "since": age(k.Since, now), "error": k.Error}
	if b.Waiting > 0 {
		facts["records"] = Records(b.Waiting)
	}
	switch {
	case k.State == "connecting" && k.Error == "":
		add("broker_connecting", k.Hint, facts)
	case k.State != "connected":
		add("broker_disconnected", k.Hint, facts)
	case k.Proof == "failed":
		add("broker_not_delivering", k.Hint, Facts{"error": k.ProofDetail})
	case k.Proof == "unproven":
		add("broker_unproven", k.Hint, Facts{"error": k.ProofDetail})
	}
	for _, l := range k.LeftOut {
		add("broker_left_out", "", Facts{"what": cmp.Or(leftOutWords[l.What], l.What), "since": age(l.Since, now)})
	}

	for _, e := range s.Endpoints {
		before := len(all)
		name := e.Device
		if e.Room != "" {
			name += " (" + e.Room + ")"
		}
		facts := Facts{"endpoint": name, "error": e.Err, "since": age(e.LastOK, now)}
		silent := now.Sub(e.LastPoll)
		switch {
		case e.LastPoll.IsZero():
			add("endpoint_not_polled", "", facts)
		case silent > time.Duration(MissedIntervals*e.IntervalS*float64(time.Second)):
			facts["ago"], facts["intervals"], facts["interval"] = Ago(e.LastPoll, now), strconv.Itoa(MissedIntervals), fmt.Sprintf("%gs", e.IntervalS)
			add("endpoint_overdue", "", facts)
		case e.State == "busy", e.State == "upgrading", e.State == "unreachable", e.State == "refused":
			add("endpoint_"+e.State, e.Hint, facts)
		case e.State != "" && e.State != "idle" && e.State != "in_call":
			add("endpoint_error", e.Hint, facts)
		default:
			if e.InCall && e.Grade == "poor" {
				add("endpoint_poor_call", "", Facts{"endpoint": name, "reasons": Words(e.GradeReasons)})
			}
			if e.Hint != "" {
				add("endpoint_attention", e.Hint, facts)
			}
			if e.NotUnderstood > 0 {
				add("endpoint_not_understood", "", Facts{"endpoint": name, "values": strconv.Itoa(e.NotUnderstood)})
			}
		}
		for i := before; i < len(all); i++ {
			all[i].Device = e.Device
		}
	}

	if c := s.Clock; c.Synchronized != nil && !*c.Synchronized {
		add("clock_not_synchronized", "", nil)
	} else if !c.LastStep.IsZero() && now.Sub(c.LastStep) < stepShown {
		add("clock_step", "", Facts{"seconds": fmt.Sprintf("%.0f", c.LastStepS), "ago": Ago(c.LastStep, now)})
	}
	if h := s.HTTP; h.Error != "" {
		add("page_unavailable", "", Facts{"since": age(h.Since, now), "error": h.Error})
	}
	if l := s.Log; l.Failing {
		add("log_failing", "", Facts{"error": l.Error, "lines": strconv.FormatUint(l.Lost, 10)})
	}
	if l := s.Log; l.Elsewhere != "" {
		add("log_elsewhere", "", Facts{"error": l.Elsewhere})
	}
	for _, w := range s.Warnings {
		all = append(all, Problem{Code: "warning", What: w})
	}
	return all
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
	}
	return "store_failed"
}

// age is the age of t in words, "" for a time that is not known.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Age(now.Sub(t))
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
