package health

import (
	"fmt"
	"strings"
	"time"
)

// Problem is something that a person should know or do.
type Problem struct {
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
	// Bad means that data is missing or at risk now; else it is a warning.
	Bad bool `json:"bad"`
}

// Problems says in plain words what is wrong at now, the worst first. Empty
// means that all is well. The status page and `roomcall status` both show it.
func Problems(s Status, now time.Time) []Problem {
	var all []Problem
	all = append(all, bufferProblems(s.Buffer)...)
	all = append(all, brokerProblems(s.Broker, s.Buffer, now)...)
	for _, e := range s.Endpoints {
		all = append(all, endpointProblems(e, now)...)
	}
	all = append(all, clockProblems(s.Clock, now)...)
	for _, w := range s.Warnings {
		all = append(all, Problem{What: w})
	}
	return worstFirst(all)
}

func worstFirst(all []Problem) []Problem {
	var out []Problem
	for _, bad := range []bool{true, false} {
		for _, p := range all {
			if p.Bad == bad {
				out = append(out, p)
			}
		}
	}
	return out
}

func bufferProblems(b Buffer) []Problem {
	var out []Problem
	if b.State != "open" {
		out = append(out, Problem{What: Sentence("The store is "+OrUnknown(b.State), b.Error), Hint: b.Hint, Bad: b.State != "opening"})
	}
	if b.MemoryHeld > 0 {
		out = append(out, Problem{What: "Held in memory, for the disk does not take them: " + Records(b.MemoryHeld),
			Hint: "free space where the store lies; a restart before that loses them", Bad: true})
	}
	if b.Evicted > 0 {
		out = append(out, Problem{What: "Thrown away undelivered, by a limit: " + Records(b.Evicted),
			Hint: "raise [buffer] max_bytes or max_age, or bring the broker back sooner"})
	}
	if b.Quarantined > 0 {
		out = append(out, Problem{What: "Set aside, for the broker will not take them: " + Records(b.Quarantined),
			Hint: "`roomcall buffer info` shows them"})
	}
	if b.DamagedFiles > 0 {
		out = append(out, Problem{What: fmt.Sprintf("Damaged files of the store, kept aside: %d", b.DamagedFiles),
			Hint: "look at the disk; what could be saved is in the store; the files *.corrupt-* in data_dir may be removed"})
	}
	if n := b.MaxBytes; n > 0 && b.Waiting > 0 && b.DeliveredKept == 0 && b.BytesOnDisk > n/10*9 {
		out = append(out, Problem{What: "The store is almost full; soon the oldest undelivered records go", Hint: "bring the broker back"})
	}
	return out
}

func brokerProblems(b Broker, buf Buffer, now time.Time) []Problem {
	if b.State != "connected" {
		what := "The broker is not connected (" + OrUnknown(b.State) + since(" for ", b.Since, now) + ")"
		p := Problem{What: Sentence(what, b.Error), Hint: b.Hint, Bad: b.State != "connecting" || b.Error != ""}
		if buf.Waiting > 0 {
			p.What += "; waiting in the store: " + Records(buf.Waiting)
		}
		return []Problem{p}
	}
	switch b.Proof {
	case "failed":
		return []Problem{{What: Sentence("The broker acknowledges records but does not deliver them", b.ProofDetail), Bad: true,
			Hint: "check the broker's access rules for this client id and topic; nothing is removed meanwhile"}}
	case "unproven":
		return []Problem{{What: Sentence("Delivery is not proven: this client may not read its own echo topic", b.ProofDetail),
			Hint: "allow it to read the topic .../echo to have delivery proven"}}
	}
	return nil
}

func endpointProblems(e Endpoint, now time.Time) []Problem {
	name := e.Device
	if e.Room != "" {
		name += " (" + e.Room + ")"
	}
	if late := overdue(e, now); late != "" && !e.LastPoll.IsZero() {
		return []Problem{{What: late, Hint: "the poll loop does not move: restart the service and report this", Bad: true}}
	}
	switch e.State {
	case "", "idle", "in_call":
	case "busy", "upgrading":
		return []Problem{{What: Sentence(name+" is "+e.State, e.Err), Hint: e.Hint}}
	default:
		return []Problem{{What: Sentence(name+" does not answer as it should ("+e.State+since(", no good poll for ", e.LastOK, now)+")", e.Err), Hint: e.Hint, Bad: true}}
	}
	var out []Problem
	if e.InCall && e.Grade == "poor" {
		out = append(out, Problem{What: Sentence(name+" has a poor call", Words(e.GradeReasons))})
	}
	if e.NotUnderstood > 0 {
		out = append(out, Problem{What: fmt.Sprintf("%s: %d values could not be understood", name, e.NotUnderstood),
			Hint: "`roomcall check` lists them"})
	}
	return out
}

func clockProblems(c Clock, now time.Time) []Problem {
	if c.Synchronized != nil && !*c.Synchronized {
		return []Problem{{What: "The clock of this machine is not synchronized", Hint: "switch time synchronization on; record times may be wrong"}}
	}
	if !c.LastStep.IsZero() && now.Sub(c.LastStep) < time.Hour {
		return []Problem{{What: fmt.Sprintf("The clock of this machine jumped by %.0f s %s", c.LastStepS, Ago(c.LastStep, now))}}
	}
	return nil
}

// Sentence joins what is wrong and why.
func Sentence(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// since is lead and the age of t, and nothing for a time that is not known.
func since(lead string, t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return lead + Age(now.Sub(t))
}

// Words makes a comma list of keys readable: "video_recv_loss" = "video recv loss".
func Words(keys string) string {
	return strings.ReplaceAll(strings.ReplaceAll(keys, ",", ", "), "_", " ")
}
