package main

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"roomcall/cgi"
)

// day is the script of one room for a day, from midnight: what its endpoint says. It
// depends on the room's number alone.
type day struct {
	calls []call
	poor  []span // stretches in which the line is bad
	gone  []span // the endpoint does not answer
	noise *rand.Rand
}

// span is a part of the day, until without its end.
type span struct{ from, to time.Duration }

func (s span) has(t time.Duration) bool { return s.from <= t && t < s.to }

func within(list []span, t time.Duration) bool {
	for _, s := range list {
		if s.has(t) {
			return true
		}
	}
	return false
}

// call is a call with one picture of the conference, and for a third of its time with
// shared content.
type call struct{ span }

const (
	officeBegins = 8 * time.Hour
	officeEnds   = 18 * time.Hour
)

// officeDay books a room between 8 and 18 o'clock, so that about four rooms in ten are in
// a call at a time. One call in six has a poor stretch; in one room of twenty the endpoint
// is gone for ten minutes.
func officeDay(number int) *day {
	rng := rand.New(rand.NewPCG(20261126, uint64(number)))
	d := &day{noise: rng}
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	lengths := []int{15, 25, 30, 30, 45, 55, 60, 90}
	for at := officeBegins + minutes(rng.IntN(120)); at < officeEnds; {
		c := call{span{at, at + minutes(lengths[rng.IntN(len(lengths))])}}
		d.calls = append(d.calls, c)
		if rng.IntN(6) == 0 {
			third := (c.to - c.from) / 3
			d.poor = append(d.poor, span{c.from + third, c.to - third})
		}
		at = c.to + minutes(2+rng.IntN(118))
	}
	if rng.IntN(20) == 0 {
		at := officeBegins + minutes(rng.IntN(600))
		d.gone = append(d.gone, span{at, at + minutes(10)})
	}
	return d
}

// endpoint is a room's endpoint. It answers at once; what it says is the script's time,
// which may run faster than the clock: then the calls come faster, not the polls.
type endpoint struct {
	*day
	begins time.Time     // when the clock shows this,
	at     time.Duration // it is this time of the script's day
	speed  int           // seconds of the script in one of the clock
}

func (e *endpoint) time() time.Duration {
	return (e.at + time.Since(e.begins)*time.Duration(e.speed)) % (24 * time.Hour)
}

func (e *endpoint) KeepAlive(context.Context) error { return nil }
func (e *endpoint) Close(context.Context) error     { return nil }

// Poll is what the real endpoint's client returns.
func (e *endpoint) Poll(context.Context) (cgi.Status, error) {
	t := e.time()
	s := cgi.Status{SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Model: "HUAWEI IdeaHub", Call: cgi.CallIdle}
	if within(e.gone, t) {
		return cgi.Status{}, &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout"}
	}
	for _, c := range e.calls {
		if c.has(t) {
			e.inCall(&s, c, t)
		}
	}
	return s, nil
}

func (e *endpoint) inCall(s *cgi.Status, c call, t time.Duration) {
	s.Call = cgi.CallActive
	if e.speed == 1 { // else the timer would contradict the clock
		s.JoinMinutes = cgi.Known(math.Floor((t - c.from).Minutes()))
	}
	poor := within(e.poor, t)
	s.AudioSend = e.stream(cgi.Stream{Codec: "AAC-LD MONO"}, 64, poor)
	s.AudioRecv = e.stream(cgi.Stream{Codec: "AAC-LD MONO"}, 64, poor)
	s.VideoSend = []cgi.Stream{e.stream(picture(1280, 720), 980, poor)}
	s.VideoRecv = []cgi.Stream{e.stream(picture(1280, 720), 960, poor)}
	if t-c.from < (c.to-c.from)/3 {
		s.AuxRecv = e.stream(picture(1920, 1080), 640, poor)
	}
}

func picture(width, height int) cgi.Stream {
	return cgi.Stream{Codec: "H.264 EC", Width: width, Height: height, FPS: cgi.Known(30)}
}

// stream is one stream after a good line or a poor one.
func (e *endpoint) stream(s cgi.Stream, kbps float64, poor bool) cgi.Stream {
	loss, jitter, delay := 0.05, 4.0, 18.0
	if poor {
		kbps, loss, jitter, delay = kbps*0.5, 6.5, 55, 240
	}
	some := func(v float64) cgi.Reading { return cgi.Known(math.Round(v*(0.8+0.4*e.noise.Float64())*100) / 100) }
	whole := func(v float64) cgi.Reading { return cgi.Known(math.Round(v * (0.8 + 0.4*e.noise.Float64()))) }
	s.Active = true
	s.BitrateKbps, s.LossPct, s.JitterMs, s.DelayMs = some(kbps), some(loss), whole(jitter), whole(delay)
	return s
}
