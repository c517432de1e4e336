package view

import (
	"strings"

	"roomcall/agent/report/payload"
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
		sums[k].n++
		sums[k].media = sums[k].media.Add(s.media)
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
	media payload.MinuteSums
}

func (s *minuteSum) minute() *payload.Minute {
	return &payload.Minute{CallID: s.call, Samples: s.n, SamplesOK: s.n, Media: s.media.Summaries()}
}
