package stricttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"roomcall/agent/report"
	"roomcall/cgi"
)

// The scripted day: two agents, three rooms, the device "hub" at both agents, 40 calls.
// It begins at midnight UTC and ends 90 minutes after the next one, so that calls last
// over midnight in UTC and in +08:00 (16:00 UTC). Everything depends on the script and
// the time alone.
var (
	DayStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	DayEnd   = DayStart.Add(25*time.Hour + 30*time.Minute)
)

// A Room is one device of the day.
type Room struct {
	Agent, Device, Name string
	poll, idle          time.Duration
	calls               []scripted
	gone                []span // no answer
}

// Place names the room among several agents.
func (r *Room) Place() string { return r.Agent + "/" + r.Device }

// Channel is the name under which systems know the room.
func (r *Room) Channel() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Device
}

type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// scripted is one call; bad is what is wrong in its middle third.
type scripted struct {
	span
	bad     string // "", uplink, downlink, far, jitter, delay
	sites   int
	content string // "", send, recv
	silent  bool   // the endpoint gives neither jitter nor delay of audio
	short   bool   // sizes as "720p"
}

// at is a time of the day, "hh:mm:ss"; hours from 24 on are the next day's.
func at(clock string) time.Time {
	var h, m, s int
	if _, err := fmt.Sscanf(clock, "%d:%d:%d", &h, &m, &s); err != nil {
		panic(err)
	}
	return DayStart.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second)
}

func during(from, to string, change ...func(*scripted)) scripted {
	c := scripted{span: span{at(from), at(to)}, sites: 1}
	for _, f := range change {
		f(&c)
	}
	return c
}

func bad(what string) func(*scripted)    { return func(c *scripted) { c.bad = what } }
func sites(n int) func(*scripted)        { return func(c *scripted) { c.sites = n } }
func content(way string) func(*scripted) { return func(c *scripted) { c.content = way } }
func silent(c *scripted)                 { c.silent = true }
func short(c *scripted)                  { c.short = true }
func away(from, to string) span          { return span{at(from), at(to)} }
func many(list ...scripted) []scripted   { return list }

// kills are the times in which an agent is away.
var kills = map[string][]span{
	// In mid-call, twice; over the end of a call.
	"east": {away("08:10:02", "08:11:31"), away("11:08:00", "11:08:07"), away("15:04:00", "15:09:00")},
	// In a long call; over the begin of a call; right at midnight.
	"west": {away("10:30:12", "10:36:40"), away("18:00:30", "18:02:20"), away("23:59:58", "24:00:09")},
}

// Rooms are the three rooms with their 40 calls.
func Rooms() []*Room {
	return []*Room{
		{Agent: "east", Device: "hub", Name: "会议室 1", poll: 5 * time.Second, idle: 30 * time.Second,
			gone: []span{away("09:02:10", "09:02:50"), away("20:00:00", "20:03:00")},
			calls: many(
				during("00:03:20", "00:07:00"),
				during("07:10:01", "07:14:30", sites(2)),
				during("08:00:00", "08:20:00", sites(3)),
				during("08:20:00", "08:26:00", sites(2)), // back to back
				during("09:00:00", "09:06:00", short),
				during("11:00:00", "11:15:00", bad("uplink"), sites(2)),
				during("12:00:07", "12:05:00", silent),
				during("13:00:00", "13:12:00", bad("far"), sites(3)),
				during("14:00:00", "14:16:00", content("send"), sites(2)),
				during("15:00:00", "15:06:00"), // ends while the agent is away
				during("17:30:00", "17:34:00", bad("jitter")),
				during("19:00:00", "19:08:00", bad("delay")),
				during("21:15:45", "21:20:00"),
				during("23:50:00", "24:12:00", sites(2)), // over midnight UTC
				during("24:40:00", "24:52:00", bad("downlink"), sites(2)),
			)},
		{Agent: "west", Device: "hub", poll: 5 * time.Second, idle: 30 * time.Second,
			calls: many(
				during("01:30:00", "01:35:00", bad("jitter")),
				during("08:00:00", "08:07:00", sites(2)), // as in the other agent's hub
				during("08:07:04", "08:12:00"),           // no idle poll in between
				during("10:00:00", "11:05:00", content("recv")),
				during("12:30:00", "12:38:00", bad("downlink")),
				during("13:00:00", "13:09:00", bad("far"), sites(3)),
				during("14:20:00", "14:24:00", short, silent),
				during("15:50:00", "16:10:00", sites(2)), // over midnight in +08:00
				during("18:01:00", "18:08:00"),           // begins while the agent is away
				during("19:30:00", "19:42:00", bad("uplink")),
				during("21:00:00", "21:03:00"),
				during("23:57:00", "24:03:00"), // over midnight UTC, with a kill
				during("24:30:00", "24:36:00", content("send")),
			)},
		{Agent: "west", Device: "annex", Name: "Annex, 2nd floor", poll: 500 * time.Millisecond, idle: 15 * time.Second,
			calls: many(
				during("06:00:05", "06:00:22"), // two in one minute
				during("06:00:36", "06:00:54", sites(2)),
				during("08:00:00", "08:02:00"),
				during("09:30:00", "09:33:00", bad("uplink")),
				during("10:59:30", "11:01:10", content("recv")),
				during("12:00:59", "12:02:01", sites(2)),
				during("13:45:00", "13:47:30", bad("far"), sites(2)),
				during("15:59:40", "16:00:40"), // over midnight in +08:00
				during("17:00:00", "17:01:00"), // whole minute
				during("18:30:10", "18:30:40", silent),
				during("22:10:00", "22:12:00", bad("delay")),
				during("25:28:00", "26:00:00"), // runs at the end of the day
			)},
	}
}

// line is the state of the network in one direction.
type line struct{ loss, jitter, delay float64 }

var (
	good  = line{0.2, 6, 25}
	lines = map[string]line{
		"lossy": {13, 20, 60}, "jitter": {1.2, 62, 40}, "delay": {0.3, 12, 280}, "weak": {4, 34, 90},
	}
)

// answer is what the room's endpoint answers; restarts of the agent change nothing.
func (r *Room) answer(t time.Time) (cgi.Status, error) {
	for _, g := range r.gone {
		if g.has(t) {
			return cgi.Status{}, &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout"}
		}
	}
	s := cgi.Status{SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Model: "HUAWEI IdeaHub", Call: cgi.CallIdle}
	for i := range r.calls {
		if c := &r.calls[i]; c.has(t) {
			r.inCall(&s, c, t)
		}
	}
	return s, nil
}

func (r *Room) inCall(s *cgi.Status, c *scripted, t time.Time) {
	third := c.to.Sub(c.from) / 3
	middle := t.Sub(c.from) >= third && t.Sub(c.from) < 2*third
	send, recv, far := good, good, good
	if middle {
		switch c.bad {
		case "uplink":
			send = lines["lossy"]
		case "downlink":
			recv, far = lines["lossy"], lines["lossy"]
		case "far":
			far = lines["lossy"]
		case "jitter":
			send, recv = lines["jitter"], lines["weak"]
		case "delay":
			send, recv = lines["delay"], lines["delay"]
		}
	}
	s.Call, s.JoinMinutes = cgi.CallActive, cgi.Known(math.Floor(t.Sub(c.from).Minutes()))
	audio := cgi.Stream{Codec: "AAC-LD MONO"}
	video := cgi.Stream{Codec: "H.264 EC", Width: 1280, Height: 720, WidthAssumed: c.short, FPS: cgi.Known(30)}
	s.AudioSend, s.AudioRecv = r.stream(0, t, send, audio, 64), r.stream(1, t, recv, audio, 64)
	if c.silent {
		s.AudioSend.JitterMs, s.AudioRecv.JitterMs = cgi.Reading{}, cgi.Reading{}
		if t.Second() < 20 {
			s.AudioSend.LossPct, s.AudioSend.DelayMs = cgi.Reading{}, cgi.Reading{}
		}
	}
	s.VideoSend = []cgi.Stream{r.stream(2, t, send, video, 1100)}
	s.VideoSend[0].FPS = cgi.Known(float64(24 + t.Second()%7))
	for i := range c.sites {
		on := recv
		if i == 0 && middle && c.bad == "far" {
			on = far
		}
		v := video
		v.Name = fmt.Sprintf("site %d", i+1)
		s.VideoRecv = append(s.VideoRecv, r.stream(10+i, t, on, v, 900))
	}
	if middle && c.content != "" {
		share := cgi.Stream{Codec: "H.264 EC", Width: 1920, Height: 1080, FPS: cgi.Known(5)}
		if c.content == "send" {
			s.AuxSend = r.stream(3, t, send, share, 640)
		} else {
			s.AuxRecv = r.stream(4, t, recv, share, 640)
		}
	}
}

// stream is one stream after a line, with the noise of that instant.
func (r *Room) stream(channel int, t time.Time, on line, s cgi.Stream, kbps float64) cgi.Stream {
	n := func(what int) float64 { return noise(r.Place(), channel*8+what, t.UnixMilli()) }
	cents := func(x float64) cgi.Reading { return cgi.Known(math.Round(x*100) / 100) }
	s.Active = true
	s.BitrateKbps = cents(kbps * (1 + 0.1*n(0)))
	s.LossPct = cents(max(0, on.loss*(1+0.6*n(1))))
	s.JitterMs = cgi.Known(math.Round(on.jitter * (1 + 0.3*n(2))))
	s.DelayMs = cgi.Known(math.Round(on.delay * (1 + 0.15*n(3))))
	s.LossPackets = cgi.Known(math.Round(on.loss * (2 + n(4))))
	return s
}

// noise returns a repeatable value between -1 and 1.
func noise(place string, what int, ms int64) float64 {
	x := uint64(ms)*0xbf58476d1ce4e5b9 + uint64(what)*0x94d049bb133111eb
	for _, b := range []byte(place) {
		x = (x ^ uint64(b)) * 0x100000001b3
	}
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<52) - 1
}

// Published is what the agents of the day published.
type Published struct {
	Records []byte   // samples, streams, events, calls, minutes: one a line
	Views   [][]byte // the messages of view/<system>, as they were sent
	Kinds   []string // of Views: "view/zoom", ...
}

// Day plays the day. Its agents record everything that the program does between a poll
// and the store: a poll in the course of which an agent is killed is lost with the state
// that it would have left; after the kill the agent goes on from the state in the store.
var Day = sync.OnceValues(func() (*Published, error) {
	out := &Published{}
	var records bytes.Buffer
	for _, agent := range []string{"east", "west"} {
		set := report.Settings{
			ClientID: agent, Site: "Proof", Version: "test", Epoch: DayStart.Unix()<<20 + int64(len(agent)) + int64(agent[0]),
			Kinds: []string{"sample", "stream", "event", "call", "minute"}, Views: report.Views(), ViewZone: time.FixedZone("", 8*3600),
		}
		var mine []*Room
		for _, r := range Rooms() {
			if r.Agent == agent {
				mine = append(mine, r)
				set.Devices = append(set.Devices, report.Device{Name: r.Device, Room: r.Name, PollInterval: r.poll, IdleInterval: r.idle, PeerNames: "plain"})
			}
		}
		rep, err := report.New(set)
		if err != nil {
			return nil, err
		}
		for _, r := range mine {
			if err := r.play(rep, kills[agent], out, &records); err != nil {
				return nil, err
			}
		}
	}
	out.Records = records.Bytes()
	return out, nil
})

// play polls one room to the end of the day.
func (r *Room) play(rep *report.Reporter, kills []span, out *Published, records *bytes.Buffer) error {
	var st report.State
	keep := func(list []report.Record) {
		for _, rec := range list {
			if strings.HasPrefix(rec.Kind, "view/") {
				out.Kinds, out.Views = append(out.Kinds, rec.Kind), append(out.Views, rec.Payload)
				continue
			}
			records.Write(append(bytes.TrimSpace(rec.Payload), '\n'))
			if rec.Seq%50 == 0 { // at least once: some come twice
				records.Write(append(bytes.TrimSpace(rec.Payload), '\n'))
			}
		}
	}
	for t, n := DayStart.Add(1200*time.Millisecond), 0; t.Before(DayEnd); n++ {
		status, err := r.answer(t)
		next, polled := rep.Poll(st, report.Poll{Device: r.Device, At: t, Took: 40 * time.Millisecond, Status: status, Err: err})
		if len(kills) > 0 && !t.Before(kills[0].from) {
			b, err := st.Marshal() // the kill: next and its records are gone
			if err != nil {
				return err
			}
			if st, err = report.UnmarshalState(b); err != nil {
				return err
			}
			t, kills = kills[0].to, kills[1:]
			continue
		}
		st = next
		keep(polled.Records)
		t = t.Add(polled.Interval)
	}
	_, last := rep.Tick(st, r.Device, DayEnd)
	keep(last)
	return nil
}

// WithoutHead removes the keys that every payload begins with from a view's message:
// what is left is the other system's reply.
func WithoutHead(message []byte) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(message, &doc); err != nil {
		return nil, err
	}
	for _, key := range []string{"v", "schema", "id", "epoch", "seq", "ts_ms", "ts", "client_id", "site", "room", "device", "replayed"} {
		delete(doc, key)
	}
	return json.Marshal(doc)
}
