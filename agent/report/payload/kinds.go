package payload

import "roomcall/cgi"

// Sample is what one poll told: one record a poll, failed polls too.
type Sample struct {
	Head
	Vendor            string        `key:"vendor" enum:"huawei" doc:"Maker of the endpoint."`
	Model             string        `key:"model" opt:"1" doc:"The endpoint's own name of its type."`
	SourceAPI         string        `key:"source_api" opt:"1" doc:"The action that gave the media values."`
	PollOK            int64         `key:"poll_ok" type:"flag" doc:"1 when the endpoint gave a status."`
	PollMs            int64         `key:"poll_ms" min:"0" doc:"How long the poll took, milliseconds."`
	EndpointState     string        `key:"endpoint_state" opt:"1" enum:"idle|in_call|unreachable|refused|busy|upgrading|error" doc:"State of the endpoint; absent when its statements contradict each other."`
	EndpointStateCode cgi.Reading   `key:"endpoint_state_code" type:"int" min:"0" max:"6" doc:"endpoint_state as a number: idle 0, in_call 1, unreachable 2, refused 3, busy 4, upgrading 5, error 6."`
	Err               string        `key:"err" opt:"1" doc:"Why the poll failed, one short word."`
	ErrID             cgi.Reading   `key:"err_id" type:"int" doc:"The endpoint's own error id."`
	ErrCode           cgi.Reading   `key:"err_code" type:"int" doc:"The endpoint's own error code."`
	InCall            cgi.Reading   `key:"in_call" type:"flag" doc:"1 in a call, 0 idle; absent when not known."`
	CallID            string        `key:"call_id" opt:"1" doc:"The call, only in a call."`
	CallMinutes       cgi.Reading   `key:"call_minutes" type:"int" min:"0" doc:"The endpoint's join timer, whole minutes."`
	Grade             string        `key:"grade" enum:"unknown|good|fair|poor" doc:"Grade by the device's limits; unknown when there is nothing to grade."`
	GradeCode         int64         `key:"grade_code" min:"0" max:"3" doc:"grade as a number: unknown 0, good 1, fair 2, poor 3."`
	GradeReasons      string        `key:"grade_reasons" opt:"1" doc:"What is beyond a limit, comma list, the worst first."`
	Media             [Groups]Media `group:"media"`
}

// Media is one group of a sample: all active streams of a medium in one
// direction taken together.
type Media struct {
	Active       bool        // the group has an active stream; else it has no keys
	BitrateKbps  cgi.Reading `key:"bitrate_kbps" min:"0" doc:"Bit rate, kbit/s; the sum of the streams."`
	LossPct      cgi.Reading `key:"loss_pct" min:"0" max:"100" doc:"Packet loss, percent, a window of about 6 s; the worst stream."`
	LossPackets  cgi.Reading `key:"loss_packets" type:"int" min:"0" doc:"Lost packets as the endpoint counts them (window or total is not documented); the worst stream."`
	JitterMs     cgi.Reading `key:"jitter_ms" min:"0" doc:"Jitter, milliseconds; the worst stream."`
	DelayMs      cgi.Reading `key:"delay_ms" min:"0" doc:"Network delay, milliseconds (one way or round trip is not documented); the worst stream."`
	Codec        string      `key:"codec" opt:"1" doc:"Codec, the vendor's text; of stream 0."`
	MOSEst       cgi.Reading `key:"mos_est" for:"audio" min:"1" max:"4.5" doc:"Estimated network MOS (G.107, narrow band)."`
	FPS          cgi.Reading `key:"fps" for:"video aux" min:"0" doc:"Frames a second of stream 0."`
	Width        cgi.Reading `key:"width" for:"video aux" type:"int" min:"1" doc:"Picture width of stream 0, pixels."`
	Height       cgi.Reading `key:"height" for:"video aux" type:"int" min:"1" doc:"Picture height of stream 0, pixels."`
	WidthAssumed cgi.Reading `key:"width_assumed" for:"video aux" type:"flag" doc:"1 when the endpoint gave the height alone and 16:9 is assumed; else absent."`
	Streams      cgi.Reading `key:"streams" for:"video" type:"int" min:"1" doc:"Number of active streams."`
	FPSMin       cgi.Reading `key:"fps_min" for:"video" min:"0" doc:"Lowest frame rate over the active streams."`
}

// Stream is one active media stream in one poll.
type Stream struct {
	Head
	CallID       string      `key:"call_id" opt:"1" doc:"The call, only in a call."`
	Media        string      `key:"media" enum:"audio|video|aux" doc:"Medium; aux is the content share."`
	Direction    string      `key:"direction" enum:"send|recv" doc:"send is from the room to the server."`
	Stream       int64       `key:"stream" min:"0" doc:"Index in the endpoint's list; 0 for audio and aux."`
	Peer         string      `key:"peer" opt:"1" doc:"The remote site, as peer_names allows: absent, hashed or plain."`
	BitrateKbps  cgi.Reading `key:"bitrate_kbps" min:"0" doc:"Bit rate, kbit/s."`
	LossPct      cgi.Reading `key:"loss_pct" min:"0" max:"100" doc:"Packet loss, percent, a window of about 6 s."`
	LossPackets  cgi.Reading `key:"loss_packets" type:"int" min:"0" doc:"Lost packets as the endpoint counts them."`
	JitterMs     cgi.Reading `key:"jitter_ms" min:"0" doc:"Jitter, milliseconds."`
	DelayMs      cgi.Reading `key:"delay_ms" min:"0" doc:"Network delay, milliseconds."`
	Codec        string      `key:"codec" opt:"1" doc:"Codec, the vendor's text."`
	FPS          cgi.Reading `key:"fps" min:"0" doc:"Frames a second."`
	Width        cgi.Reading `key:"width" type:"int" min:"1" doc:"Picture width, pixels."`
	Height       cgi.Reading `key:"height" type:"int" min:"1" doc:"Picture height, pixels."`
	WidthAssumed cgi.Reading `key:"width_assumed" type:"flag" doc:"1 when 16:9 is assumed; else absent."`
}

// Event is something that happened.
type Event struct {
	Head
	Type       string      `key:"type" doc:"What happened." enum:"call.started|call.ended|quality.degraded|quality.recovered|endpoint.offline|endpoint.online|endpoint.refused|agent.started|agent.gap|agent.quarantined|agent.store_damaged|agent.store_reset|agent.undelivered|agent.clock_step"`
	Severity   string      `key:"severity" enum:"info|warning|critical" doc:"How much it matters."`
	IncidentID string      `key:"incident_id" opt:"1" doc:"The same on the opening and the closing event."`
	Metric     string      `key:"metric" opt:"1" doc:"The sample's key that crossed its limit."`
	Value      cgi.Reading `key:"value" doc:"Value of the metric, or seconds for agent.clock_step."`
	Limit      cgi.Reading `key:"limit" doc:"The limit that was crossed."`
	SinceMs    cgi.Reading `key:"since_ms" type:"int" doc:"When it began, Unix milliseconds."`
	CallID     string      `key:"call_id" opt:"1" doc:"The call it belongs to."`
	OfDevice   string      `key:"of_device" opt:"1" doc:"The device whose records an agent event speaks of."`
	Kind       string      `key:"kind" opt:"1" doc:"The kind of the records an agent event speaks of."`
	FirstSeq   cgi.Reading `key:"first_seq" type:"int" min:"1" doc:"First record."`
	LastSeq    cgi.Reading `key:"last_seq" type:"int" min:"1" doc:"Last record."`
	Count      cgi.Reading `key:"count" type:"int" min:"0" doc:"Number of records."`
	Reason     string      `key:"reason" opt:"1" doc:"Why, one short word."`
	Suppressed cgi.Reading `key:"suppressed" type:"int" min:"1" doc:"Incidents of this type and metric that were held back since the last one sent."`
	Text       string      `key:"text" opt:"1" doc:"For people."`
}
