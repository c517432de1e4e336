package exampleday

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"roomcall/cgi"
)

// The simulated site: 5 floors with 10 rooms each, one agent per floor. Everything
// that happens depends only on the seed and the time.
const (
	floors        = 5
	roomsOfAFloor = 10
	seed          = 20260302
)

var midnight = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// clock returns a time of the day.
func clock(hour, minute int) time.Time {
	return midnight.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// span is from until to, without to.
type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// The day's problems.
var (
	congestedFloor = 2 // the uplink of the floor is full
	congestion     = span{clock(10, 5), clock(10, 25)}
	weakRoom       = "4.03" // bad access: two minutes of loss in every ten
	farRoom        = "1.07" // a detour: 180 ms all day
	rebootRoom     = "3.05"
	reboot         = span{clock(11, 40), clock(11, 44)}
	refusedRoom    = "5.02" // somebody changed the password
	refused        = span{clock(13, 0), clock(13, 45)}
	darkRoom       = "5.09" // switched on late
	dark           = span{midnight, clock(9, 30)}
	quietRoom      = "3.10" // nobody meets here
	restartFloor   = 4      // the agent is updated
	restart        = span{clock(14, 30), clock(14, 31).Add(30 * time.Second)}
)

type meeting struct {
	span
	sites   int
	content bool
	farBad  bool // one far end has a bad line
}

type simRoom struct {
	number   string // "2.07"
	floor    int
	id       uint64
	meetings []meeting
}

func (r *simRoom) device() string { return "room-" + r.number[2:] }

// site creates the rooms with their meetings.
func site() []*simRoom {
	var rooms []*simRoom
	for f := 1; f <= floors; f++ {
		for n := 1; n <= roomsOfAFloor; n++ {
			r := &simRoom{number: fmt.Sprintf("%d.%02d", f, n), floor: f, id: uint64(f*100 + n)}
			if r.number != quietRoom {
				r.book(rand.New(rand.NewPCG(seed, r.id)))
			}
			rooms = append(rooms, r)
		}
	}
	return rooms
}

// book fills the room's day with meetings between 8 and 18 o'clock.
func (r *simRoom) book(rng *rand.Rand) {
	at := clock(8, 0).Add(time.Duration(rng.IntN(90)) * time.Minute)
	lengths := []int{15, 25, 30, 30, 45, 55, 60, 90}
	for at.Before(clock(18, 0)) {
		end := at.Add(time.Duration(lengths[rng.IntN(len(lengths))]*60-rng.IntN(240)) * time.Second)
		r.meetings = append(r.meetings, meeting{
			span: span{at, end}, sites: 1 + rng.IntN(4), content: rng.IntN(3) == 0, farBad: rng.IntN(14) == 0,
		})
		at = end.Add(time.Duration(2+rng.IntN(60)) * time.Minute)
	}
}

func (r *simRoom) now(t time.Time) *meeting {
	for i := range r.meetings {
		if r.meetings[i].has(t) {
			return &r.meetings[i]
		}
	}
	return nil
}

// poll is what the endpoint of the room answers at t.
func (r *simRoom) poll(t time.Time) (cgi.Status, error) {
	switch {
	case r.number == darkRoom && dark.has(t), r.number == rebootRoom && reboot.has(t):
		return cgi.Status{}, &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout"}
	case r.number == refusedRoom && refused.has(t):
		return cgi.Status{}, &cgi.Error{Kind: cgi.KindRefused, Reason: "auth_failed", ID: 100666780, Code: 16781315}
	}
	m := r.now(t)
	if m == nil {
		return cgi.Status{SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Model: "HUAWEI IdeaHub", Call: cgi.CallIdle}, nil
	}
	return r.inCall(m, t), nil
}

// inCall returns the status of a meeting with its media.
func (r *simRoom) inCall(m *meeting, t time.Time) cgi.Status {
	joined := m.from
	if r.number == rebootRoom && m.has(reboot.from) && t.After(reboot.to) {
		joined = reboot.to
	}
	send, recv := r.line(t)
	s := cgi.Status{
		SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Model: "HUAWEI IdeaHub", Call: cgi.CallActive,
		JoinMinutes: cgi.Known(math.Floor(t.Sub(joined).Minutes())),
		AudioSend:   r.stream(0, t, send, cgi.Stream{Codec: "AAC-LD MONO"}, 64),
		AudioRecv:   r.stream(1, t, recv, cgi.Stream{Codec: "AAC-LD MONO"}, 64),
		VideoSend:   []cgi.Stream{r.stream(2, t, send, video("", 1280, 720), 980)},
	}
	if m.content && t.Sub(m.from) > 5*time.Minute && m.to.Sub(t) > 5*time.Minute {
		s.AuxSend = r.stream(3, t, send, video("", 1920, 1080), 640)
	}
	for i := range m.sites {
		line := recv
		if m.farBad && i == 0 && t.Sub(m.from) < m.to.Sub(m.from)/3 {
			line = badLine
		}
		s.VideoRecv = append(s.VideoRecv, r.stream(10+i, t, line, video(fmt.Sprintf("site %d", i+1), 1280, 720), 960))
	}
	return s
}

func video(name string, width, height int) cgi.Stream {
	return cgi.Stream{Name: name, Codec: "H.264 EC", Width: width, Height: height, FPS: cgi.Known(30)}
}

// line is the state of the network in one direction.
type line struct{ loss, jitter, delay, share float64 }

var (
	goodLine = line{loss: 0.05, jitter: 4, delay: 18, share: 1}
	longLine = line{loss: 0.1, jitter: 8, delay: 180, share: 1}
	weakLine = line{loss: 4.5, jitter: 35, delay: 40, share: 0.7}
	badLine  = line{loss: 6.5, jitter: 55, delay: 240, share: 0.45}
	fullLine = line{loss: 9, jitter: 70, delay: 310, share: 0.35}
)

func (r *simRoom) line(t time.Time) (send, recv line) {
	send, recv = goodLine, goodLine
	switch {
	case r.floor == congestedFloor && congestion.has(t):
		return fullLine, fullLine
	case r.number == weakRoom && t.Minute()%10 < 2:
		send = weakLine
	case r.number == farRoom:
		send, recv = longLine, longLine
	}
	return send, recv
}

// stream returns one stream as it is after a line, with the noise of that second.
func (r *simRoom) stream(channel int, t time.Time, on line, s cgi.Stream, kbps float64) cgi.Stream {
	n := func(what int) float64 { return r.noise(channel, what, t.Unix()) }
	s.Active = true
	s.BitrateKbps = cgi.Known(cents(kbps * on.share * (1 + 0.06*n(0))))
	s.LossPct = cgi.Known(cents(max(0, on.loss*(1+0.6*n(1)))))
	s.JitterMs = cgi.Known(math.Round(on.jitter * (1 + 0.3*n(2))))
	s.DelayMs = cgi.Known(math.Round(on.delay * (1 + 0.15*n(3))))
	return s
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

// noise returns a repeatable value between -1 and 1.
func (r *simRoom) noise(channel, what int, second int64) float64 {
	x := seed + r.id*0x9e3779b97f4a7c15 + uint64(second)*0xbf58476d1ce4e5b9 + uint64(channel*8+what)*0x94d049bb133111eb
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<52) - 1
}
