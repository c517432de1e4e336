package health

import (
	"fmt"
	"time"
)

// missedIntervals is how many poll intervals an endpoint may be silent before
// the agent counts as not ready.
const missedIntervals = 3

// Unready lists why the agent does not do its whole work at now, one sentence
// each; empty means ready. It asks whether the loops work, not whether the
// rooms are well: a poll that an endpoint refused is a poll.
func Unready(s Status, now time.Time) []string {
	var why []string
	if s.Buffer.State != "open" {
		why = append(why, "store is "+OrUnknown(s.Buffer.State)+because(s.Buffer.Error))
	}
	if s.Broker.State != "connected" {
		why = append(why, "broker is not connected: "+OrUnknown(s.Broker.State)+because(s.Broker.Error))
	}
	for _, e := range s.Endpoints {
		if r := overdue(e, now); r != "" {
			why = append(why, r)
		}
	}
	return why
}

// overdue says that an endpoint was not polled within three intervals.
func overdue(e Endpoint, now time.Time) string {
	if e.LastPoll.IsZero() {
		return fmt.Sprintf("endpoint %s: not polled yet", e.Device)
	}
	limit := time.Duration(missedIntervals * e.IntervalS * float64(time.Second))
	age := now.Sub(e.LastPoll)
	if age <= limit {
		return ""
	}
	return fmt.Sprintf("endpoint %s: last polled %s ago, more than %d intervals of %gs",
		e.Device, age.Round(time.Second), missedIntervals, e.IntervalS)
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

// OrUnknown is s, or "unknown" for "".
func OrUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
