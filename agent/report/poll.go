package report

import (
	"errors"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
	"roomcall/cgi"
)

// turn is the work on one poll.
type turn struct {
	r   *Reporter
	dev *device
	p   *Poll
	at  int64 // Unix ms of the poll
	d   *stateData
	out Output

	streams [payload.Groups][]cgi.Stream
	sample  payload.Sample
	events  []payload.Event
	calls   []payload.Call
	ended   []view.Call // for views
}

// Poll turns the outcome of a poll into records. st is not changed. A poll of a
// device that is not in the settings gives nothing.
func (r *Reporter) Poll(st State, p Poll) (State, Output) {
	dev := r.devices[p.Device]
	if dev == nil || p.Device == AgentDevice {
		return st, Output{}
	}
	next := st.clone()
	t := &turn{r: r, dev: dev, p: &p, at: p.At.UnixMilli(), d: &next.d}
	p.Status.JoinMinutes = sane(p.Status.JoinMinutes)
	if p.Err == nil {
		t.streams = readStreams(&p.Status)
	}
	t.clock(st.at)
	if t.d.Minute != nil && t.d.Minute.StartMs != minuteOf(t.at) {
		t.closeMinute()
	}
	t.rollVolc(t.at)
	t.endpoint()
	t.track()
	t.fillSample()
	t.addToMinute()
	t.d.LastMs, next.at = t.at, p.At
	t.emit()
	return next, t.out
}

// interval is the time between polls that holds now.
func (t *turn) interval() time.Duration {
	if t.d.Call != nil {
		return t.dev.PollInterval
	}
	return t.dev.IdleInterval
}

// fillSample makes the sample and, in a call, lets it count.
func (t *turn) fillSample() {
	s := &t.sample
	s.Vendor, s.PollMs = "huawei", max(t.p.Took.Milliseconds(), 0)
	s.Grade = gradeUnknown.String()
	if t.p.Err != nil {
		t.fillError()
		return
	}
	st := &t.p.Status
	s.PollOK, s.Model, s.SourceAPI = 1, clip(st.Model), clip(st.SourceAPI)
	t.fillCall(st)
	for g := range s.Media {
		s.Media[g] = combine(t.streams[g])
	}
	for _, g := range []int{payload.AudioSend, payload.AudioRecv} {
		s.Media[g].MOSEst = estimateMOS(&s.Media[g])
	}
	v := t.dev.Limits.judge(&s.Media)
	s.Grade, s.GradeCode, s.GradeReasons = v.grade.String(), int64(v.grade), v.reasons()
	if st.Call == cgi.CallActive {
		t.quality(&v, &s.Media)
		t.account(&v, &s.Media)
	}
}

// fillCall says whether the room is in a call. When the endpoint's statements
// contradict each other, neither endpoint_state nor in_call is there.
func (t *turn) fillCall(st *cgi.Status) {
	s := &t.sample
	if st.JoinMinutes.Known && st.Call != cgi.CallIdle {
		s.CallMinutes = st.JoinMinutes
	}
	switch st.Call {
	case cgi.CallIdle:
		s.EndpointState, s.EndpointStateCode, s.InCall = "idle", cgi.Known(0), cgi.Known(0)
	case cgi.CallActive:
		s.EndpointState, s.EndpointStateCode, s.InCall = "in_call", cgi.Known(1), cgi.Known(1)
		s.CallID = t.d.Call.ID
	}
}

// stateCodes are the values of endpoint_state_code for failed polls.
var stateCodes = map[cgi.Kind]float64{
	cgi.KindUnreachable: 2, cgi.KindRefused: 3, cgi.KindBusy: 4, cgi.KindUpgrading: 5, cgi.KindError: 6,
}

func (t *turn) fillError() {
	s := &t.sample
	kind, _ := t.failure()
	code, ok := stateCodes[kind]
	if !ok {
		kind, code = cgi.KindError, stateCodes[cgi.KindError]
	}
	s.EndpointState, s.EndpointStateCode = kind.String(), cgi.Known(code)
	s.Err = errWord(t.p.Err)
	var e *cgi.Error
	if errors.As(t.p.Err, &e) {
		s.ErrID = cgi.Reading{Value: float64(e.ID), Known: e.ID != 0}
		s.ErrCode = cgi.Reading{Value: float64(e.Code), Known: e.Code != 0}
	}
}

// failure tells what kind of failure the poll was, if it was one.
func (t *turn) failure() (cgi.Kind, bool) {
	var e *cgi.Error
	switch {
	case t.p.Err == nil:
		return 0, false
	case errors.As(t.p.Err, &e):
		return e.Kind, true
	default:
		return cgi.KindError, true
	}
}

// errWord is the short word of a failure.
func errWord(err error) string {
	var e *cgi.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Reason != "":
		return clip(e.Reason)
	default:
		return "error"
	}
}
