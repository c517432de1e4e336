package payload

import "roomcall/cgi"

// Call is the summary of a finished call.
type Call struct {
	Head
	CallID         string            `key:"call_id" doc:"The call: client_id.device.start in Unix seconds."`
	StartMs        int64             `key:"start_ms" doc:"Start, Unix milliseconds."`
	StartSource    string            `key:"start_source" enum:"observed|join_timer" doc:"How the start is known; join_timer is up to 60 s late."`
	EndMs          int64             `key:"end_ms" doc:"End, Unix milliseconds."`
	DurationS      cgi.Reading       `key:"duration_s" min:"0" doc:"end_ms - start_ms in seconds; the four seconds_ keys add up to it."`
	Samples        int64             `key:"samples" min:"0" doc:"Polls that saw the call."`
	CoveragePct    cgi.Reading       `key:"coverage_pct" min:"0" max:"100" doc:"Share of the duration that samples cover, percent."`
	SecondsGood    cgi.Reading       `key:"seconds_good" min:"0" doc:"Seconds graded good."`
	SecondsFair    cgi.Reading       `key:"seconds_fair" min:"0" doc:"Seconds graded fair."`
	SecondsPoor    cgi.Reading       `key:"seconds_poor" min:"0" doc:"Seconds graded poor."`
	SecondsUnknown cgi.Reading       `key:"seconds_unknown" min:"0" doc:"Seconds without a grade."`
	Grade          string            `key:"grade" enum:"unknown|good|fair|poor" doc:"Grade of the whole call."`
	GradeCode      int64             `key:"grade_code" min:"0" max:"3" doc:"grade as a number: unknown 0, good 1, fair 2, poor 3."`
	Cause          string            `key:"cause" opt:"1" doc:"The metric that was beyond its limit in most samples."`
	CauseIDs       string            `key:"cause_ids" opt:"1" doc:"Agora factor ids, comma list, the most frequent first, 3 at most."`
	CauseScope     string            `key:"cause_scope" opt:"1" enum:"far_end|own_access" doc:"What several received streams say: some bad = far end, all bad = own access."`
	Media          [Groups]CallMedia `group:"media"`
}

// CallMedia is one group of a call.
type CallMedia struct {
	Active     bool
	BitrateAvg cgi.Reading `key:"bitrate_kbps_avg" min:"0" doc:"Mean bit rate, kbit/s."`
	LossAvg    cgi.Reading `key:"loss_pct_avg" min:"0" max:"100" doc:"Mean packet loss, percent."`
	LossMax    cgi.Reading `key:"loss_pct_max" min:"0" max:"100" doc:"Highest packet loss, percent."`
	LossP95    cgi.Reading `key:"loss_pct_p95" min:"0" max:"100" doc:"95th percentile of packet loss, percent, within 5 % of the value."`
	JitterAvg  cgi.Reading `key:"jitter_ms_avg" min:"0" doc:"Mean jitter, milliseconds."`
	JitterMax  cgi.Reading `key:"jitter_ms_max" min:"0" doc:"Highest jitter, milliseconds."`
	JitterP95  cgi.Reading `key:"jitter_ms_p95" min:"0" doc:"95th percentile of jitter, milliseconds, within 5 % of the value."`
	DelayAvg   cgi.Reading `key:"delay_ms_avg" min:"0" doc:"Mean delay, milliseconds."`
	DelayMax   cgi.Reading `key:"delay_ms_max" min:"0" doc:"Highest delay, milliseconds."`
	DelayP95   cgi.Reading `key:"delay_ms_p95" min:"0" doc:"95th percentile of delay, milliseconds, within 5 % of the value."`
	FPSMin     cgi.Reading `key:"fps_min" for:"video aux" min:"0" doc:"Lowest frame rate of stream 0."`
	MOSEstAvg  cgi.Reading `key:"mos_est_avg" for:"audio" min:"1" max:"4.5" doc:"Mean of the estimated network MOS."`
	MOSEstMin  cgi.Reading `key:"mos_est_min" for:"audio" min:"1" max:"4.5" doc:"Lowest estimated network MOS."`
}

// Minute is one UTC minute that has a poll.
type Minute struct {
	Head
	MinuteMs    int64               `key:"minute_ms" doc:"Start of the minute, Unix milliseconds."`
	Samples     int64               `key:"samples" min:"1" doc:"Samples of the minute, failed polls too."`
	SamplesOK   int64               `key:"samples_ok" min:"0" doc:"Samples with poll_ok 1."`
	CoveragePct cgi.Reading         `key:"coverage_pct" min:"0" max:"100" doc:"Share of the minute that answered polls cover, percent."`
	CallID      string              `key:"call_id" opt:"1" doc:"The last call of the minute."`
	Media       [Groups]MinuteMedia `group:"media"`
}

// MinuteMedia is one group of a minute.
type MinuteMedia struct {
	Active      bool
	BitrateAvg  cgi.Reading `key:"bitrate_kbps_avg" min:"0" doc:"Mean bit rate, kbit/s."`
	BitrateLast cgi.Reading `key:"bitrate_kbps_last" min:"0" doc:"Last bit rate, kbit/s."`
	LossAvg     cgi.Reading `key:"loss_pct_avg" min:"0" max:"100" doc:"Mean packet loss, percent."`
	LossMax     cgi.Reading `key:"loss_pct_max" min:"0" max:"100" doc:"Highest packet loss, percent."`
	JitterAvg   cgi.Reading `key:"jitter_ms_avg" min:"0" doc:"Mean jitter, milliseconds."`
	JitterMax   cgi.Reading `key:"jitter_ms_max" min:"0" doc:"Highest jitter, milliseconds."`
	JitterLast  cgi.Reading `key:"jitter_ms_last" min:"0" doc:"Last jitter, milliseconds."`
	DelayAvg    cgi.Reading `key:"delay_ms_avg" min:"0" doc:"Mean delay, milliseconds."`
	DelayMax    cgi.Reading `key:"delay_ms_max" min:"0" doc:"Highest delay, milliseconds."`
	DelayLast   cgi.Reading `key:"delay_ms_last" min:"0" doc:"Last delay, milliseconds."`
	FPSLast     cgi.Reading `key:"fps_last" for:"video aux" min:"0" doc:"Last frame rate."`
	MOSEstAvg   cgi.Reading `key:"mos_est_avg" for:"audio" min:"1" max:"4.5" doc:"Mean of the estimated network MOS."`
	WidthLast   cgi.Reading `key:"width_last" for:"video aux" type:"int" min:"1" doc:"Last picture width, pixels."`
	HeightLast  cgi.Reading `key:"height_last" for:"video aux" type:"int" min:"1" doc:"Last picture height, pixels."`
}
