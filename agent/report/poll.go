package report

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"roomcall/agent/health"
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

	streams [payload.Groups][]payload.Media // single streams in the endpoint's order
	sample  payload.Sample
	events  []payload.Event
	calls   []payload.Call
	ended   []view.Call // for views
}

// Poll turns the outcome of a poll into records. st is not changed. A poll of a
// device that is not in the settings has no records.
func (r *Reporter) Poll(st State, p Poll) (State, Output) {
	dev := r.devices[p.Device]
	if dev == nil || p.Device == AgentDevice {
		return st, Output{}
	}
	next := st.clone()
	t := &turn{r: r, dev: dev, p: &p, at: p.At.UnixMilli(), d: &next.d}
	if j := &p.Status.JoinMinutes; !(j.Value >= 0 && j.Value <= maxJoinMinutes) {
		*j = cgi.Reading{}
	}
	t.d.Gone = false
	if t.d.Over {
		t.closeOpen(storeReset)
		t.d.Over = false
	}
	t.readStreams()
	t.clock(st.at) // was the wall clock set?
	if t.d.Minute != nil && t.d.Minute.StartMs != minuteOf(t.at) {
		t.closeMinute()
	}
	t.rollVolc(t.at)
	t.endpoint()   // does the endpoint answer and let the agent in?
	t.track()      // does a call start, go on or end?
	t.fillSample() // what was measured, its grade, its part in call and incidents
	t.stand()
	t.addToMinute()
	t.d.LastMs, t.d.Boot, t.d.UpMs, next.at = t.at, bootPart(p.Boot.ID), p.Boot.Up.Milliseconds(), p.reading()
	t.emit() // number and write: sample, streams, events, calls
	return next, t.out
}

// maxJoinMinutes is the largest join timer that is believed: 1,900 years.
const maxJoinMinutes = 1e9

// readStreams reads what the endpoint said of its streams.
func (t *turn) readStreams() {
	if t.p.Err != nil {
		return
	}
	st := &t.p.Status
	for g, list := range [payload.Groups][]cgi.Stream{
		payload.AudioSend: {st.AudioSend}, payload.AudioRecv: {st.AudioRecv},
		payload.VideoSend: st.VideoSend, payload.VideoRecv: st.VideoRecv,
		payload.AuxSend: {st.AuxSend}, payload.AuxRecv: {st.AuxRecv},
	} {
		list = list[:min(len(list), payload.MaxStreams)]
		t.streams[g] = make([]payload.Media, 0, len(list))
		for i := range list {
			t.streams[g] = append(t.streams[g], payload.StreamMedia(&list[i]))
		}
	}
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
	s.ErrID, s.ErrCode, s.TextUnknown = st.ErrID, st.ErrCode, unknownText(st.NotUnderstood)
	s.PollOK, s.Model, s.SourceAPI = 1, payload.Clip(st.Model), payload.Clip(st.SourceAPI)
	t.fillCall(st)
	for g := range s.Media {
		s.Media[g] = payload.Combine(t.streams[g])
	}
	for _, g := range []int{payload.AudioSend, payload.AudioRecv} {
		s.Media[g].Values[payload.MOS] = estimateMOS(&s.Media[g])
	}
	v := t.dev.Limits.judge(&s.Media, t.streams[payload.VideoRecv])
	s.Grade, s.GradeCode, s.GradeReasons, s.GradeScope = v.grade.String(), int64(v.grade), v.reasons(), v.scope()
	if st.Call == cgi.CallActive {
		t.quality(&v, &s.Media)
		t.account(&v, &s.Media)
	}
}

// stand says how the device is over its last polls.
func (t *turn) stand() {
	if s := t.sample.EndpointState; s != "" && s != t.d.State {
		t.d.State, t.d.StateMs = s, t.at
	}
	st := &t.out.Standing
	st.StateSince = clockTime(t.d.StateMs)
	if c := t.d.Call; c != nil && c.Samples > 0 {
		st.CallGrade, st.GradeSince, st.CallSince = c.Shown.String(), clockTime(c.ShownMs), clockTime(c.StartMs)
	}
	if in := t.d.Poor; in != nil {
		st.Incident = &health.Incident{
			ID: in.ID, Since: clockTime(in.SinceMs), Scope: in.Scope, Streams: in.Streams, Bad: in.Bad,
			Metrics: join(t.beyond(), gaugeKey), Values: t.poorValues(),
		}
	}
	if t.d.ClockOff != nil {
		st.ClockAheadS, st.ClockSince = t.d.ClockAhead, clockTime(t.d.ClockOff.SinceMs)
	}
}

// fillCall says whether the room is in a call. When the endpoint's statements
// contradict each other, neither endpoint_state nor in_call is there.
func (t *turn) fillCall(st *cgi.Status) {
	s := &t.sample
	if st.JoinMinutes.Known && st.Call != cgi.CallIdle {
		s.CallMinutes = new(int64(st.JoinMinutes.Value))
	}
	switch st.Call {
	case cgi.CallIdle:
		s.EndpointState, s.EndpointStateCode, s.InCall = "idle", new(int64(0)), new(int64(0))
	case cgi.CallActive:
		s.EndpointState, s.EndpointStateCode, s.InCall = "in_call", new(int64(1)), new(int64(1))
		s.CallID = t.callID()
	}
}

// stateCodes are the values of endpoint_state_code for failed polls.
var stateCodes = map[cgi.Kind]int64{
	cgi.KindUnreachable: 2, cgi.KindRefused: 3, cgi.KindBusy: 4, cgi.KindUpgrading: 5, cgi.KindError: 6,
}

func (t *turn) fillError() {
	s := &t.sample
	kind, _ := t.failure()
	code, ok := stateCodes[kind]
	if !ok {
		kind, code = cgi.KindError, stateCodes[cgi.KindError]
	}
	s.EndpointState, s.EndpointStateCode = kind.String(), &code
	s.Err = errWord(t.p.Err)
	var e *cgi.Error
	if errors.As(t.p.Err, &e) {
		s.ErrID, s.ErrCode, s.TextUnknown = e.ID, e.Code, unknownText(e.NotUnderstood)
	}
}

// maxUnknown bounds text_unknown in bytes.
const maxUnknown = 240

// unknownText lists what was not understood, as much as fits.
func unknownText(list []cgi.Quirk) string {
	var b strings.Builder
	for i, q := range list {
		one := fmt.Sprintf("%s = %q", q.Key, q.Text)
		if i > 0 {
			one = "; " + one
		}
		if b.Len()+len(one) > maxUnknown {
			return b.String() + "; ..."
		}
		b.WriteString(one)
	}
	return b.String()
}

// failure returns what kind of failure the poll was, if it was one.
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
		return payload.Clip(e.Reason)
	default:
		return "error"
	}
}

// emit writes the turn's records: sample, streams, events, calls.
func (t *turn) emit() {
	t.out.Interval = t.interval()
	t.out.Shows = strings.Join([]string{t.sample.EndpointState, t.sample.CallID, t.sample.Grade}, " ")
	if t.r.kinds["sample"] {
		t.out.Sample = t.write("sample", t.at, &t.sample)
	} else { // the numbers of the sample topic must not go on unseen
		t.sample.Head = t.head("state", t.at)
		t.sample.Schema = payload.SchemaName("sample")
		t.out.Sample = payload.Encode(&t.sample)
	}
	if t.r.kinds["stream"] {
		t.emitStreams()
	}
	t.emitEvents()
}

// emitEvents writes the events and the calls that have ended.
func (t *turn) emitEvents() {
	if t.r.kinds["event"] {
		for i := range t.events {
			t.write("event", t.at, &t.events[i])
		}
	}
	if t.r.kinds["call"] {
		for i := range t.calls {
			t.write("call", t.at, &t.calls[i])
		}
	}
}

func (t *turn) head(kind string, tsMs int64) payload.Head {
	return t.dev.place.Head(kind, t.d.next(kind), tsMs)
}

// write numbers a record and puts it out.
func (t *turn) write(kind string, tsMs int64, r payload.Record) []byte {
	*r.Header() = t.head(kind, tsMs)
	b := payload.Encode(r)
	t.put(kind, r.Header(), b)
	return b
}

func (t *turn) put(kind string, h *payload.Head, b []byte) {
	t.out.Records = append(t.out.Records, Record{
		Device: t.dev.Name, Kind: kind, Seq: h.Seq, TimeMs: h.TsMs,
		Fresh: fresh(t.interval()), Payload: b,
	})
}

// event keeps an event until the sample is written.
func (t *turn) event(ev payload.Event) { t.events = append(t.events, ev) }

// emitStreams writes one row for each active stream.
func (t *turn) emitStreams() {
	s := payload.Stream{CallID: t.sample.CallID}
	for g, group := range payload.GroupNames {
		s.Media, s.Direction = group.Media, group.Direction
		for i, m := range t.streams[g] {
			if m.Active {
				s.Stream, s.Peer, s.Measured = int64(i), t.peer(m.Name), m
				t.write("stream", t.at, &s)
			}
		}
	}
}

// peer is the remote site's name as the device's setting allows. The hash is the
// first 16 hex digits of HMAC-SHA-256 under the site's key: the same name has
// the same hash wherever the key is the same.
func (t *turn) peer(name string) string {
	switch {
	case name == "":
		return ""
	case t.dev.PeerNames == "plain":
		return payload.Clip(name)
	case t.dev.PeerNames == "hash":
		m := hmac.New(sha256.New, t.r.set.PeerKey)
		m.Write([]byte(name))
		return hex.EncodeToString(m.Sum(nil)[:8])
	default:
		return ""
	}
}
