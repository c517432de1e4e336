package cgi

import "github.com/valyala/fastjson"

// Ranges of the join time. The vendor's table gives 0 to 59 for joinHour too.
const (
	maxJoinDays = 3650
	maxJoinPart = 59
)

// joinTime collects joinDay, joinHour and joinMin.
type joinTime struct {
	days, hours, minutes Reading
	bad                  bool // a part came twice
}

// set takes one part.
func (j *joinTime) set(d *decoder, k multiKey, at place, v *fastjson.Value) {
	to, limit := &j.minutes, float64(maxJoinPart)
	switch k {
	case keyJoinDay:
		to, limit = &j.days, maxJoinDays
	case keyJoinHour:
		to = &j.hours
	}
	what := odd
	var n float64
	if text, ok := d.scalar(v); ok {
		n, what = readCount(text, limit)
	}
	switch what {
	case known:
		*to = Known(n)
	case odd:
		d.note(at, v)
	}
}

// total is the time in minutes; absent unless all three parts are there.
func (j *joinTime) total() Reading {
	if j.bad || !j.days.Known || !j.hours.Known || !j.minutes.Known {
		return Reading{}
	}
	return Known((j.days.Value*24+j.hours.Value)*60 + j.minutes.Value)
}

// finish completes a status: the join time, the verdict from the media, the
// oddities and the reply itself. A join time of zero without any active stream
// is a placeholder.
func (j *joinTime) finish(d *decoder, st Status, raw []byte) Status {
	st.JoinMinutes = j.total()
	if st.hasMedia() {
		st.Call = CallActive
	} else if st.JoinMinutes.Value == 0 {
		st.JoinMinutes = Reading{}
	}
	st.NotUnderstood = d.odd.result()
	st.Raw = raw
	return st
}
