package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"roomcall/agent/host"
)

// stateVersion is the version of the marshalled state.
const stateVersion = 2

// maxState bounds the bytes that UnmarshalState reads.
const maxState = 4 << 20

// ErrStateVersion: the state was written by another, newer version.
var ErrStateVersion = errors.New("the state has an unknown version")

// State is what the reporter remembers of one device, or of the agent. It is
// plain data: the zero value is a device never seen. A State is never changed;
// Poll, Tick and AgentEvent return a new one.
type State struct {
	d stateData
	// at is what the clocks said at the last poll. It distinguishes a step of the wall
	// clock from time that went by, and is not marshalled.
	at host.Reading
}

// stateData is the marshalled form. Times are Unix milliseconds.
type stateData struct {
	V int `json:"v"`
	// Gone: the device left the config, and this is only what its ids need.
	Gone bool `json:"gone,omitzero"`
	// Over: what is open began in an epoch that is over; see Carry.
	Over bool              `json:"over,omitzero"`
	Seq  map[string]uint64 `json:"seq,omitempty"`
	// LastMs is the time of the last poll, IdleMs that of the last idle one, EndMs the
	// end of the last call.
	LastMs int64 `json:"last_ms,omitzero"`
	IdleMs int64 `json:"idle_ms,omitzero"`
	EndMs  int64 `json:"end_ms,omitzero"`
	// Boot and UpMs are the boot clock at LastMs, see host.Boot; a part of the id is
	// enough.
	Boot string `json:"boot,omitempty"`
	UpMs int64  `json:"up_ms,omitzero"`
	// LastCallS is the second in the last call's id.
	LastCallS int64        `json:"last_call_s,omitzero"`
	Call      *callState   `json:"call,omitempty"`
	Minute    *minuteState `json:"minute,omitempty"`

	// Fails counts consecutive polls without an answer, since FailMs.
	Fails   int       `json:"fails,omitzero"`
	FailMs  int64     `json:"fail_ms,omitzero"`
	Offline *incident `json:"offline,omitempty"`
	Refused *incident `json:"refused,omitempty"`
	// StuckMs is since when the endpoint answers without its status.
	StuckMs int64     `json:"stuck_ms,omitzero"`
	Stuck   *incident `json:"stuck,omitempty"`
	// ClockPolls counts consecutive polls with a clock that was off.
	ClockPolls int       `json:"clock_polls,omitzero"`
	ClockOff   *incident `json:"clock_off,omitempty"`
	// ClockAhead is the difference as it was seen last while ClockOff is open, seconds.
	ClockAhead float64 `json:"clock_ahead,omitzero"`
	// Quality holds the metrics that are, or lately were, beyond their limit; Poor is
	// the incident of those that are.
	Quality map[int]metricState `json:"quality,omitempty"`
	Poor    *poorCall           `json:"poor,omitempty"`
	// State is the endpoint's, since StateMs.
	State     string          `json:"state,omitempty"`
	StateMs   int64           `json:"state_ms,omitzero"`
	Incidents uint64          `json:"incidents,omitzero"` // ids given
	Rates     map[string]rate `json:"rates,omitempty"`
	Volc      *volcState      `json:"volc,omitempty"`
}

// Marshal writes the state as JSON with its version. Equal states have equal
// bytes.
func (s State) Marshal() ([]byte, error) {
	s.d.V = stateVersion
	b, err := json.Marshal(s.d)
	if err != nil {
		return nil, fmt.Errorf("marshal state: %w", err)
	}
	return b, nil
}

// UnmarshalState reads what Marshal wrote, now or in version 1; no bytes are a
// device never seen. The error is ErrStateVersion for a newer state.
func UnmarshalState(b []byte) (State, error) {
	var s State
	if len(b) == 0 {
		return s, nil
	}
	if len(b) > maxState {
		return s, fmt.Errorf("unmarshal state: %d bytes are too many", len(b))
	}
	var head struct{ V int }
	if err := json.Unmarshal(b, &head); err != nil {
		return s, fmt.Errorf("unmarshal state: %w", err)
	}
	var err error
	switch head.V {
	case 1:
		b, err = upgradeV1(b)
	case stateVersion:
	default:
		err = fmt.Errorf("version %d, this program knows %d: %w", head.V, stateVersion, ErrStateVersion)
	}
	if err == nil {
		err = json.Unmarshal(b, &s.d)
	}
	if err != nil {
		return State{}, fmt.Errorf("unmarshal state: %w", err)
	}
	if err := s.d.check(); err != nil {
		return State{}, fmt.Errorf("unmarshal state: %w", err)
	}
	return s, nil
}

// check refuses what would make later work go wrong.
func (d *stateData) check() error {
	if m := d.Minute; m != nil {
		for _, p := range m.Points {
			if p.Call < 0 || p.Call >= len(m.Calls) {
				return fmt.Errorf("a point of call %d, there are %d", p.Call, len(m.Calls))
			}
		}
	}
	if d.Call == nil {
		return nil
	}
	if d.Call.Last < gradeUnknown || d.Call.Last >= grades {
		return fmt.Errorf("a sample with grade %d", d.Call.Last)
	}
	return nil
}

// clone returns a copy that can be changed without changing s. The sums of
// readings are replaced, never changed.
func (s State) clone() State {
	c := s
	c.d.Seq = maps.Clone(s.d.Seq)
	c.d.Quality = maps.Clone(s.d.Quality)
	c.d.Rates = maps.Clone(s.d.Rates)
	c.d.Call = copyOf(s.d.Call)
	c.d.Minute = copyOf(s.d.Minute)
	c.d.Offline = copyOf(s.d.Offline)
	c.d.Refused = copyOf(s.d.Refused)
	c.d.Stuck = copyOf(s.d.Stuck)
	c.d.ClockOff = copyOf(s.d.ClockOff)
	c.d.Poor = copyOf(s.d.Poor)
	c.d.Volc = copyOf(s.d.Volc)
	return c
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// next returns the next number of a kind, from 1.
func (d *stateData) next(kind string) uint64 {
	if d.Seq == nil {
		d.Seq = map[string]uint64{}
	}
	d.Seq[kind]++
	return d.Seq[kind]
}
