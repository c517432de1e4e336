package view

import (
	"math"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// missingMinutes makes the minutes that have samples but no minute record; the
// samples are sorted by time.
func (c *collector) missingMinutes() {
	sums := map[minuteKey]*minuteSum{}
	for i := range c.samples {
		s := &c.samples[i]
		k := minuteKey{s.place, s.TsMs / minuteMs * minuteMs}
		if c.minutes[k] != nil {
			continue
		}
		if sums[k] == nil {
			sums[k] = &minuteSum{}
		}
		sums[k].call = s.call
		sums[k].add(s.media)
	}
	for k, s := range sums {
		m := s.minute()
		m.MinuteMs = k.ms
		m.ClientID, m.Device, _ = strings.Cut(k.place, "/")
		c.minutes[k] = m
	}
}

// minuteSum sums the samples of a minute.
type minuteSum struct {
	call  string
	n     int64
	media [payload.Groups]struct {
		last         *payload.Media
		lossN        int
		lossSum, max float64
	}
}

func (s *minuteSum) add(media *[payload.Groups]payload.Media) {
	s.n++
	for g := range media {
		m, to := &media[g], &s.media[g]
		if !m.Active {
			continue
		}
		to.last = m
		if m.LossPct.Known {
			to.lossN++
			to.lossSum += m.LossPct.Value
			to.max = max(to.max, m.LossPct.Value)
		}
	}
}

func (s *minuteSum) minute() *payload.Minute {
	m := &payload.Minute{CallID: s.call, Samples: s.n, SamplesOK: s.n}
	for g := range s.media {
		from, to := &s.media[g], &m.Media[g]
		if from.last == nil {
			continue
		}
		to.Active = true
		to.BitrateLast, to.JitterLast, to.DelayLast = from.last.BitrateKbps, from.last.JitterMs, from.last.DelayMs
		to.FPSLast, to.WidthLast, to.HeightLast = from.last.FPS, from.last.Width, from.last.Height
		if from.lossN > 0 {
			to.LossAvg = cgi.Known(math.Round(from.lossSum/float64(from.lossN)*1000) / 1000)
			to.LossMax = cgi.Known(from.max)
		}
	}
	return m
}
