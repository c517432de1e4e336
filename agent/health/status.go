// Package health says what is wrong, in words: one table of everything that can be
// wrong, pure over a snapshot of the agent.
//
// Promise: check, status, the page, the log's hints and readiness all speak from it,
// so that the same trouble has the same words everywhere.
package health

import (
	"encoding/json"
	"slices"
	"time"
)

// Status is the answer of /api/v1/status and of `roomcall status --json`.
// Times are RFC 3339 in UTC, to the millisecond; a time that is not known is an
// absent key. Durations carry their unit in the key. No field holds a secret.
type Status struct {
	Version     string    `json:"version"`
	ClientID    string    `json:"client_id"`
	Site        string    `json:"site,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	UptimeS     int64     `json:"uptime_s"`
	StartReason string    `json:"start_reason,omitempty"` // boot, start, upgrade, crash, watchdog
	ConfigPath  string    `json:"config_path,omitempty"`
	ConfigHash  string    `json:"config_hash,omitempty"`
	WrittenHash string    `json:"config_written_hash,omitempty"` // of the config with its variables as they are written

	Endpoints []Endpoint `json:"endpoints"`
	// Limits are the profiles that grade, by name: their limits by the keys of a table
	// [limits.NAME], such as audio_loss_pct_poor.
	Limits   map[string]map[string]float64 `json:"limits,omitempty"`
	Broker   Broker                        `json:"broker"`
	Buffer   Buffer                        `json:"buffer"`
	Identity Identity                      `json:"identity"`
	Clock    Clock                         `json:"clock"`
	HTTP     HTTP                          `json:"http"`
	Log      Log                           `json:"log"`
	// Refused is the newest reload, when its config was refused.
	Refused *RefusedReload `json:"reload_refused,omitempty"`
	// Warnings are sentences for the operator that belong to no other field.
	Warnings []string `json:"warnings"`
	// Problems say in plain words what is wrong, the worst first; empty = all
	// is well. The agent fills them in when it is asked.
	Problems []Problem `json:"problems"`
}

// Endpoint is one polled device.
type Endpoint struct {
	Device string `json:"device"`
	Room   string `json:"room,omitempty"`
	URL    string `json:"url"` // without user and password
	Model  string `json:"model,omitempty"`
	// State is idle, in_call, unreachable, refused, busy, upgrading or error;
	// "" before the first poll.
	State        string `json:"state,omitempty"`
	InCall       bool   `json:"in_call"`
	CallID       string `json:"call_id,omitempty"`
	Grade        string `json:"grade,omitempty"` // unknown, good, fair, poor
	GradeReasons string `json:"grade_reasons,omitempty"`
	SourceAPI    string `json:"source_api,omitempty"`
	// Limits names the profile that grades, see Status.Limits.
	Limits string `json:"limits,omitempty"`
	Err    string `json:"err,omitempty"`
	Hint   string `json:"hint,omitempty"` // in English; Advice is for other languages
	Advice Advice `json:"advice,omitzero"`
	// AdviceSince is since when there is that advice without an Err.
	AdviceSince time.Time `json:"advice_since,omitzero"`

	Standing

	// LastPoll is the end of the newest poll, whatever its result; LastOK that
	// of the newest good one. Keep the monotonic reading of time.Now in both,
	// so that a step of the wall clock does not make an age wrong.
	LastPoll time.Time `json:"last_poll,omitzero"`
	LastOK   time.Time `json:"last_ok,omitzero"`
	NextPoll time.Time `json:"next_poll,omitzero"`
	// IntervalS is the interval in force now, in seconds.
	IntervalS float64 `json:"interval_s"`
	PollMs    float64 `json:"poll_ms"` // how long the newest poll took

	Polls    uint64 `json:"polls"`
	Failures uint64 `json:"failures"`
	Skipped  uint64 `json:"skipped"` // polls left out because one was still running
	// NotUnderstood counts the values of the newest poll that were there but
	// could not be read.
	NotUnderstood int `json:"not_understood"`

	// Sample is the newest sample payload as it was published.
	Sample json.RawMessage `json:"sample,omitempty"`
}

// Standing is how a room is over its last polls, without the flicker of single ones.
type Standing struct {
	// StateSince is when the endpoint's state began, as far as this agent and the runs
	// before it saw.
	StateSince time.Time `json:"state_since,omitzero"`
	// CallGrade is the grade of the running call: poor as long as Incident is open, else
	// what several samples in a row had. GradeSince is since when, CallSince the start of
	// the call.
	CallGrade  string    `json:"call_grade,omitempty"`
	GradeSince time.Time `json:"grade_since,omitzero"`
	CallSince  time.Time `json:"call_since,omitzero"`
	Incident   *Incident `json:"incident,omitempty"`
	// ClockAheadS is how far the endpoint's clock is ahead of this machine's, in seconds,
	// while that is too far; 0 = it is right, or not known. ClockSince is since when.
	ClockAheadS float64   `json:"clock_ahead_s,omitempty"`
	ClockSince  time.Time `json:"clock_since,omitzero"`
}

// Incident is a poor call: from the event quality.degraded to quality.recovered.
type Incident struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	Scope string    `json:"scope,omitempty"` // uplink, downlink, both, far_end
	// Metrics are the keys of what is beyond its limit, a comma list, the worst first;
	// Values the readings when they last were.
	Metrics string             `json:"metrics"`
	Values  map[string]float64 `json:"values,omitempty"`
	// Streams and Bad are the received video streams, and how many of them are beyond a limit.
	Streams int `json:"streams,omitempty"`
	Bad     int `json:"bad_streams,omitempty"`
}

// Broker is the way to the MQTT broker.
type Broker struct {
	URL string `json:"url"` // without user and password
	// State is connecting, connected, waiting or refused.
	State  string    `json:"state"`
	Since  time.Time `json:"since,omitzero"`
	Error  string    `json:"error,omitempty"`
	Class  string    `json:"class,omitempty"` // unreachable, certificate, login, acl, protocol, ...
	Hint   string    `json:"hint,omitempty"`  // in English; Advice is for other languages
	Advice Advice    `json:"advice,omitzero"`
	// Proof is the result of the delivery proof over the echo topic: pending,
	// proven, unproven (not allowed to read it back) or failed.
	Proof       string `json:"proof,omitempty"`
	ProofDetail string `json:"proof_detail,omitempty"`
	// ProofSince is since when the proof has this result.
	ProofSince time.Time `json:"proof_since,omitzero"`
	// SameIDSince is since when another client seems to use the same client id, so that
	// the broker ends each connection soon; zero = it does not.
	SameIDSince time.Time `json:"same_client_id_since,omitzero"`
	Connects    uint64    `json:"connects"`
	Losses      uint64    `json:"losses"`
	Failures    uint64    `json:"failures"` // tries to connect that failed
	// Skipped messages of the broker were too large, Ignored answers belonged to no
	// question; both over the connection of the moment.
	Skipped uint64 `json:"skipped"`
	Ignored uint64 `json:"ignored"`
	// HealthFailures counts the health messages that were not confirmed.
	HealthFailures uint64    `json:"health_failures"`
	Published      uint64    `json:"published"`
	Acked          uint64    `json:"acked"`
	InFlight       int       `json:"in_flight"`
	LastAck        time.Time `json:"last_ack,omitzero"`
	// LeftOut is what is not done at this broker, because it ends the connection
	// over it; found out at, and tried again after.
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// RefusedReload is a config that was not accepted while the agent ran.
type RefusedReload struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"` // the first error of the new config
}

// LeftOut is one such thing: will, retain, birth, short_birth, subscribe_echo,
// subscribe_state, unsubscribe or health.
type LeftOut struct {
	What  string    `json:"what"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Identity says how sure it is that an id stands for one content.
type Identity struct {
	Epoch int64 `json:"epoch"` // the life of the store
	// ComparedWith is how many retained messages of the broker the store was compared
	// with at the last connect, ComparedAll that the broker showed all it holds.
	ComparedWith int       `json:"compared_with"`
	ComparedAll  bool      `json:"compared_all"`
	Compared     time.Time `json:"compared,omitzero"`
	// NewEpoch is why this process began a new epoch: reverted, copied or
	// same_client_id; "" = it did not.
	NewEpoch   string    `json:"new_epoch,omitempty"`
	NewEpochAt time.Time `json:"new_epoch_at,omitzero"`
}

// Buffer is the store on disk.
type Buffer struct {
	// State is open, opening, full (no space left on the disk) or failed.
	State         string    `json:"state"`
	Waiting       uint64    `json:"waiting"` // records not delivered yet
	Oldest        time.Time `json:"oldest,omitzero"`
	DeliveredKept uint64    `json:"delivered_kept"`
	BytesOnDisk   int64     `json:"bytes_on_disk"`
	MaxBytes      int64     `json:"max_bytes"`
	Segments      int       `json:"segments"`
	Appended      uint64    `json:"appended"`
	Acked         uint64    `json:"acked"`
	Evicted       uint64    `json:"evicted"`       // thrown away undelivered by a limit
	Quarantined   uint64    `json:"quarantined"`   // the broker rejects them
	DamagedFiles  int       `json:"damaged_files"` // *.corrupt-* in data_dir, kept for examination
	// Missed are the polls that were thrown away before they had a number, since the
	// start of this process, by device and reason; device "agent" stands for its events.
	Missed     []Missed `json:"missed,omitempty"`
	MemoryHeld int      `json:"memory_held"` // polls in memory until the disk has space
	// Collected are the polls in memory until they are stored together, each
	// CommitIntervalS seconds; a kill loses them. Both are absent without commit_interval.
	Collected       int     `json:"collected,omitempty"`
	CommitIntervalS float64 `json:"commit_interval_s,omitempty"`
	DiskFree        *int64  `json:"disk_free,omitempty"`
	Error           string  `json:"error,omitempty"`
	// Cause is why the store accepts nothing: full, read_only, io_error,
	// not_writable, missing, no_answer or failed; "" = it accepts.
	Cause string    `json:"cause,omitempty"`
	Since time.Time `json:"failing_since,omitzero"` // since when it accepts nothing
	Hint  string    `json:"hint,omitempty"`
	// Since the start of this process, by record kind.
	AppendedByKind map[string]uint64 `json:"appended_by_kind,omitempty"`
	AckedByKind    map[string]uint64 `json:"acked_by_kind,omitempty"`
}

// Missed counts the polls of a device that were never recorded, for one reason:
// store_failing, store_busy, store_rejected or stopped.
type Missed struct {
	Device string    `json:"device"`
	Reason string    `json:"reason"`
	Count  uint64    `json:"count"`
	Last   time.Time `json:"last,omitzero"`
}

// HTTP is the agent's own local HTTP: status page, metrics and API.
type HTTP struct {
	Listen string    `json:"listen"` // as it really is, port included; "" = off
	Error  string    `json:"error,omitempty"`
	Since  time.Time `json:"since,omitzero"` // when it failed first
	Fails  uint64    `json:"failures"`       // since the start
}

// Log is the way of the log lines to whoever keeps them.
type Log struct {
	Lost    uint64 `json:"lines_lost"` // since the start
	Failing bool   `json:"failing"`
	Error   string `json:"error,omitempty"`
	// Elsewhere is why the log is not where it should be, "" = it is.
	Elsewhere string `json:"elsewhere,omitempty"`
}

// Clock is how far the wall clock can be trusted.
type Clock struct {
	Synchronized *bool     `json:"synchronized,omitempty"` // as the system says; absent = it does not say
	Steps        uint64    `json:"steps"`                  // jumps since the start
	LastStep     time.Time `json:"last_step,omitzero"`
	LastStepS    float64   `json:"last_step_s,omitempty"` // seconds, positive = forward
}

// JSON is the status as /api/v1/status sends it: UTC, milliseconds, empty
// lists as [] and one trailing newline.
func (s Status) JSON() ([]byte, error) {
	s.Endpoints = append([]Endpoint{}, s.Endpoints...)
	s.Warnings = append([]string{}, s.Warnings...)
	s.Problems = append([]Problem{}, s.Problems...)
	times := []*time.Time{&s.Identity.Compared, &s.Identity.NewEpochAt, &s.Started, &s.Broker.Since, &s.Broker.ProofSince, &s.Broker.SameIDSince, &s.Broker.LastAck, &s.Buffer.Oldest, &s.Buffer.Since, &s.Clock.LastStep, &s.HTTP.Since}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		times = append(times, &e.LastPoll, &e.LastOK, &e.NextPoll, &e.StateSince, &e.GradeSince, &e.CallSince, &e.ClockSince, &e.AdviceSince)
		if e.Incident != nil {
			in := *e.Incident
			e.Incident = &in
			times = append(times, &in.Since)
		}
	}
	for i := range s.Problems {
		times = append(times, &s.Problems[i].Since)
	}
	if s.Refused != nil {
		refused := *s.Refused
		s.Refused = &refused
		times = append(times, &refused.At)
	}
	s.Buffer.Missed = slices.Clone(s.Buffer.Missed)
	for i := range s.Buffer.Missed {
		times = append(times, &s.Buffer.Missed[i].Last)
	}
	s.Broker.LeftOut = slices.Clone(s.Broker.LeftOut)
	for i := range s.Broker.LeftOut {
		times = append(times, &s.Broker.LeftOut[i].Since, &s.Broker.LeftOut[i].Until)
	}
	for _, t := range times {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Millisecond)
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}
