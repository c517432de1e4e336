package report

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// Bounds of what a status may carry into a payload.
const (
	maxStreams = 64  // streams read from one list
	maxText    = 256 // bytes of a text
)

// most is the largest number that counts as a reading.
const most = 1e12

// readStreams copies the streams of a status by group, in the endpoint's order,
// without readings that are no measurement.
func readStreams(st *cgi.Status) (out [payload.Groups][]cgi.Stream) {
	vs, vr := st.VideoSend[:min(len(st.VideoSend), maxStreams)], st.VideoRecv[:min(len(st.VideoRecv), maxStreams)]
	all := make([]cgi.Stream, 0, 4+len(vs)+len(vr))
	for g, list := range [payload.Groups][]cgi.Stream{
		payload.AudioSend: {st.AudioSend}, payload.AudioRecv: {st.AudioRecv},
		payload.VideoSend: vs, payload.VideoRecv: vr,
		payload.AuxSend: {st.AuxSend}, payload.AuxRecv: {st.AuxRecv},
	} {
		from := len(all)
		all = append(all, list...)
		out[g] = all[from:]
	}
	for i := range all {
		s := &all[i]
		s.Codec = clip(s.Codec)
		for _, x := range []*cgi.Reading{&s.BitrateKbps, &s.LossPct, &s.LossPackets, &s.JitterMs, &s.DelayMs, &s.FPS} {
			*x = sane(*x)
		}
		if s.LossPct.Value > 100 {
			s.LossPct = cgi.Reading{}
		}
	}
	return out
}

// sane drops what cannot be a measurement: negative, infinite, not a number.
func sane(x cgi.Reading) cgi.Reading {
	if !(x.Value >= 0 && x.Value <= most) {
		return cgi.Reading{}
	}
	return x
}

// combine takes the active streams of a group together: bit rate is the sum,
// loss, jitter and delay the worst; codec, frame rate and size are those of
// stream 0. Lost packets are the worst too: streams may count over different
// windows, so a sum would say nothing.
func combine(list []cgi.Stream) payload.Media {
	var m payload.Media
	n := 0
	decimals := 0
	for i := range list {
		s := &list[i]
		if !s.Active {
			continue
		}
		n++
		if s.BitrateKbps.Known {
			m.BitrateKbps = cgi.Known(m.BitrateKbps.Value + s.BitrateKbps.Value)
			if len(list) > 1 {
				decimals = max(decimals, decimalsOf(s.BitrateKbps.Value))
			}
		}
		worst(&m.LossPct, s.LossPct)
		worst(&m.LossPackets, s.LossPackets)
		worst(&m.JitterMs, s.JitterMs)
		worst(&m.DelayMs, s.DelayMs)
		if s.FPS.Known && (!m.FPSMin.Known || s.FPS.Value < m.FPSMin.Value) {
			m.FPSMin = s.FPS
		}
	}
	if n == 0 {
		return payload.Media{}
	}
	m.Active = true
	m.Streams = cgi.Known(float64(n))
	if n > 1 { // 0.1 + 0.2 is 0.3
		m.BitrateKbps.Value = round(m.BitrateKbps.Value, decimals)
	}
	if first := &list[0]; first.Active {
		m.Codec = first.Codec
		m.FPS = first.FPS
		m.Width, m.Height, m.WidthAssumed = size(first)
	}
	return m
}

func worst(to *cgi.Reading, x cgi.Reading) {
	if x.Known && (!to.Known || x.Value > to.Value) {
		*to = x
	}
}

// size gives the picture size of a stream as readings.
func size(s *cgi.Stream) (w, h, assumed cgi.Reading) {
	if s.Width > 0 {
		w = cgi.Known(float64(s.Width))
		if s.WidthAssumed {
			assumed = cgi.Known(1)
		}
	}
	if s.Height > 0 {
		h = cgi.Known(float64(s.Height))
	}
	return w, h, assumed
}

// decimalsOf counts the decimals of a number, 6 at most.
func decimalsOf(x float64) int {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return min(len(s)-i-1, 6)
	}
	return 0
}

// clip bounds a text without cutting a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
