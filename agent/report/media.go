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

// streamsOf lists the streams of a group in the endpoint's order.
func streamsOf(st *cgi.Status, group int) []cgi.Stream {
	switch group {
	case payload.AudioSend:
		return []cgi.Stream{st.AudioSend}
	case payload.AudioRecv:
		return []cgi.Stream{st.AudioRecv}
	case payload.VideoSend:
		return st.VideoSend[:min(len(st.VideoSend), maxStreams)]
	case payload.VideoRecv:
		return st.VideoRecv[:min(len(st.VideoRecv), maxStreams)]
	case payload.AuxSend:
		return []cgi.Stream{st.AuxSend}
	default:
		return []cgi.Stream{st.AuxRecv}
	}
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
		m.Codec = clip(first.Codec)
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
