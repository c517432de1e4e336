package payload

import "fmt"

// Sample is what one poll found: one record a poll, failed polls too.
type Sample struct {
	Head
	Vendor            string     `json:"vendor" enum:"huawei" doc:"Maker of the endpoint."`
	Model             string     `json:"model,omitempty" doc:"The endpoint's own name of its type."`
	SourceAPI         string     `json:"source_api,omitempty" doc:"The action that gave the media values."`
	PollOK            int64      `json:"poll_ok" enum:"0|1" doc:"1 when the endpoint gave a status."`
	PollMs            int64      `json:"poll_ms" min:"0" doc:"How long the poll took, milliseconds."`
	EndpointState     string     `json:"endpoint_state,omitempty" enum:"idle|in_call|unreachable|refused|busy|upgrading|error" doc:"State of the endpoint; absent when its statements contradict each other."`
	EndpointStateCode *int64     `json:"endpoint_state_code,omitempty" min:"0" max:"6" doc:"endpoint_state as a number: idle 0, in_call 1, unreachable 2, refused 3, busy 4, upgrading 5, error 6."`
	Err               string     `json:"err,omitempty" doc:"Why the poll failed, one short word."`
	ErrID             int64      `json:"err_id,omitzero" doc:"The endpoint's own error id, also when only a part of the poll was refused."`
	ErrCode           int64      `json:"err_code,omitzero" doc:"The endpoint's own error code, also when only a part of the poll was refused."`
	TextUnknown       string     `json:"text_unknown,omitempty" doc:"What the endpoint said and the agent did not understand: key = \"text\", shortened; names are hidden."`
	InCall            *int64     `json:"in_call,omitempty" enum:"0|1" doc:"1 in a call, 0 idle; absent when not known."`
	CallID            string     `json:"call_id,omitempty" doc:"The call, only in a call."`
	CallMinutes       *int64     `json:"call_minutes,omitempty" min:"0" doc:"The endpoint's join timer, whole minutes."`
	Grade             string     `json:"grade" enum:"unknown|good|fair|poor" doc:"Grade by the device's limits; unknown when there is nothing to grade."`
	GradeCode         int64      `json:"grade_code" min:"0" max:"3" doc:"grade as a number: unknown 0, good 1, fair 2, poor 3."`
	GradeReasons      string     `json:"grade_reasons,omitempty" doc:"What is beyond a limit at the sample's grade, comma list, the worst first."`
	GradeScope        string     `json:"grade_scope,omitempty" enum:"uplink|downlink|both|far_end" doc:"Where: what the room sends, what it receives, both; far_end = only some of several received video streams."`
	Media             GroupMedia `json:"-"`
}

// Stream is one active media stream in one poll.
type Stream struct {
	Head
	CallID    string `json:"call_id,omitempty" doc:"The call, only in a call."`
	Media     string `json:"media" enum:"audio|video|aux" doc:"Medium; aux is the content share."`
	Direction string `json:"direction" enum:"send|recv" doc:"send is from the room to the server."`
	Stream    int64  `json:"stream" min:"0" doc:"Index in the endpoint's list; 0 for audio and aux."`
	Peer      string `json:"peer,omitempty" doc:"The remote site, as peer_names allows: absent, hashed or plain."`
	Measured  Media  `json:"-"`
}

// Event is something that happened.
type Event struct {
	Head
	Type       string   `json:"type" doc:"What happened." enum:"call.started|call.ended|quality.degraded|quality.changed|quality.recovered|endpoint.offline|endpoint.online|endpoint.refused|endpoint.busy|endpoint.error|endpoint.clock_off|agent.started|agent.gap|agent.missed|agent.quarantined|agent.store_damaged|agent.store_reset|agent.store_failing|agent.store_working|agent.undelivered|agent.same_client_id|agent.clock_step"`
	Severity   string   `json:"severity" enum:"info|warning|critical" doc:"How much it matters."`
	Code       string   `json:"code" doc:"Stable word of the problem, as in the codes of the health message; on a closing event that of the problem that is over."`
	IncidentID string   `json:"incident_id,omitempty" doc:"The same on the opening and the closing event."`
	Metric     string   `json:"metric,omitempty" doc:"The sample's key that is beyond its limit, the worst of metrics."`
	Metrics    string   `json:"metrics,omitempty" doc:"All keys of the sample that are beyond their limits, comma list, the worst first."`
	Scope      string   `json:"scope,omitempty" enum:"uplink|downlink|both|far_end" doc:"Where the trouble of the call is: what the room sends, what it receives, both; far_end = only some of several received video streams."`
	Value      *float64 `json:"value,omitempty" doc:"Value of the metric, or seconds for agent.clock_step and endpoint.clock_off."`
	Limit      *float64 `json:"limit,omitempty" doc:"The limit that was crossed."`
	SinceMs    int64    `json:"since_ms,omitzero" doc:"When it began, Unix milliseconds."`
	CallID     string   `json:"call_id,omitempty" doc:"The call it belongs to."`
	EndMs      int64    `json:"end_ms,omitzero" doc:"End of the call, Unix milliseconds."`
	EndSource  string   `json:"end_source,omitempty" enum:"observed|last_sample|device_removed|store_reset" doc:"How the end of the call is known, as in the call record."`
	OfDevice   string   `json:"of_device,omitempty" doc:"The device whose records an agent event speaks of."`
	Kind       string   `json:"kind,omitempty" doc:"The kind of the records an agent event speaks of."`
	FirstSeq   uint64   `json:"first_seq,omitzero" min:"1" doc:"First record."`
	LastSeq    uint64   `json:"last_seq,omitzero" min:"1" doc:"Last record."`
	Count      uint64   `json:"count,omitzero" min:"0" doc:"Number of records; of polls, or of events, for agent.missed."`
	Reason     string   `json:"reason,omitempty" doc:"Why, one short word."`
	Suppressed int64    `json:"suppressed,omitzero" min:"1" doc:"Incidents of this type and metric that were held back since the last one sent."`
	Text       string   `json:"text" doc:"For people, in the configured language: what happened, with numbers and limits, and what to do."`
}

// Call is the summary of a finished call.
type Call struct {
	Head
	CallID         string         `json:"call_id" doc:"The call: client_id.epoch.device.start in Unix seconds."`
	StartMs        int64          `json:"start_ms" doc:"Start, Unix milliseconds."`
	StartSource    string         `json:"start_source" enum:"observed|join_timer" doc:"How the start is known; join_timer is up to 60 s late."`
	EndMs          int64          `json:"end_ms" doc:"End, Unix milliseconds."`
	EndSource      string         `json:"end_source,omitempty" enum:"observed|last_sample|device_removed|store_reset" doc:"How the end is known: observed = by the next poll; last_sample = it went on until end_ms at least and was not seen afterwards; device_removed = the device left the config; store_reset = a new epoch began."`
	DurationS      float64        `json:"duration_s" min:"0" doc:"end_ms - start_ms in seconds; the four seconds_ keys add up to it."`
	Samples        int64          `json:"samples" min:"0" doc:"Polls that saw the call."`
	CoveragePct    float64        `json:"coverage_pct" min:"0" max:"100" doc:"Share of the duration that samples cover, percent."`
	SecondsGood    float64        `json:"seconds_good" min:"0" doc:"Seconds graded good."`
	SecondsFair    float64        `json:"seconds_fair" min:"0" doc:"Seconds graded fair."`
	SecondsPoor    float64        `json:"seconds_poor" min:"0" doc:"Seconds graded poor."`
	SecondsUnknown float64        `json:"seconds_unknown" min:"0" doc:"Seconds without a grade."`
	Grade          string         `json:"grade" enum:"unknown|good|fair|poor" doc:"Grade of the whole call."`
	GradeCode      int64          `json:"grade_code" min:"0" max:"3" doc:"grade as a number: unknown 0, good 1, fair 2, poor 3."`
	Cause          string         `json:"cause,omitempty" doc:"The metric that was beyond its limit in most samples."`
	CauseIDs       string         `json:"cause_ids,omitempty" doc:"Agora factor ids, comma list, the most frequent first, 3 at most."`
	CauseScope     string         `json:"cause_scope,omitempty" enum:"far_end|own_access" doc:"What several received streams say: some bad = far end, all bad = own access."`
	Media          GroupSummaries `json:"-"`
}

// Minute is one UTC minute that has a poll.
type Minute struct {
	Head
	MinuteMs    int64          `json:"minute_ms" doc:"Start of the minute, Unix milliseconds."`
	Samples     int64          `json:"samples" min:"1" doc:"Samples of the minute, failed polls too."`
	SamplesOK   int64          `json:"samples_ok" min:"0" doc:"Samples with poll_ok 1."`
	CoveragePct float64        `json:"coverage_pct" min:"0" max:"100" doc:"Share of the minute that answered polls cover, percent."`
	CallID      string         `json:"call_id,omitempty" doc:"The last call of the minute."`
	Media       GroupSummaries `json:"-"`
}

// GroupMedia has a sample's measures by group, GroupSummaries the statistics of
// a call or minute.
type (
	GroupMedia     [Groups]Media
	GroupSummaries [Groups]Summary
)

func (s *Sample) media() (measured, []column) { return &s.Media, sampleColumns }
func (s *Stream) media() (measured, []column) { return &s.Measured, streamColumns }
func (*Event) media() (measured, []column)    { return nil, nil }
func (c *Call) media() (measured, []column)   { return &c.Media, callColumns }
func (m *Minute) media() (measured, []column) { return &m.Media, minuteColumns }

func (m *Media) get(c *column) any          { return m.value(c.measure) }
func (m *Media) set(c *column, x any) error { return m.setValue(c.measure, x) }

func (m *GroupMedia) get(c *column) any          { return m[c.group].value(c.measure) }
func (m *GroupMedia) set(c *column, x any) error { return m[c.group].setValue(c.measure, x) }

func (s *GroupSummaries) get(c *column) any {
	if x, ok := s[c.group][c.inGroup]; ok {
		return x
	}
	return nil
}

func (s *GroupSummaries) set(c *column, x any) error {
	n, ok := x.(float64)
	if !ok {
		return fmt.Errorf("%v is not a number", x)
	}
	if s[c.group] == nil {
		s[c.group] = Summary{}
	}
	s[c.group][c.inGroup] = n
	return nil
}
