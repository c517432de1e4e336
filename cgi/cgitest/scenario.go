package cgitest

import "time"

// Scenario is a scripted course of events.
type Scenario struct {
	Name string
	Text string // one line for people

	steps    []step
	loopFrom int    // the step at which the script goes on after its end
	login    string // how logins go: "", "full", "wrong", "locked", "person" or "shared"
	refused  bool   // the call status is refused, also in a call
	rawNames bool   // names are put into the reply as they are, quotes and all
}

// DefaultScenario is what an Endpoint plays when nothing is said.
const DefaultScenario = "meeting-day"

type mode int

const (
	idle mode = iota
	dialling
	inCall
	upgrading
	rebooting
)

// path is the state of the network in one direction.
type path struct {
	loss   float64 // percent
	jitter float64 // ms
	delay  float64 // ms
	share  float64 // share of the usual bitrate that gets through
}

// step is one stretch of a script. Within it the paths go in a straight line
// from send and recv to sendTo and recvTo; a zero end means no change.
type step struct {
	secs             int
	mode             mode
	single           bool // a call without multi-stream
	sites            int  // received video streams
	badSite          bool // what the first of several sites sends arrives badly, the others' well
	auxSend, auxRecv bool // content share
	send, recv       path
	sendTo, recvTo   path
}

var (
	good     = path{loss: 0.05, jitter: 4, delay: 18, share: 1}
	strained = path{loss: 1.2, jitter: 18, delay: 90, share: 0.8}
	bad      = path{loss: 6.5, jitter: 55, delay: 240, share: 0.45}
	awful    = path{loss: 14, jitter: 110, delay: 420, share: 0.2}
	distant  = path{loss: 0, jitter: 9, delay: 330, share: 1}
)

func quiet(secs int) step   { return step{secs: secs, mode: idle} }
func dial(secs int) step    { return step{secs: secs, mode: dialling} }
func meeting(secs int) step { return step{secs: secs, mode: inCall, sites: 1, send: good, recv: good} }

// with returns a copy of the step after change.
func (s step) with(change func(*step)) step {
	change(&s)
	return s
}

var scenarios = []Scenario{
	{
		Name: DefaultScenario,
		Text: "without end: a short idle time, a good call with content, a call that gets congested and recovers, a point-to-point call",
		steps: []step{
			quiet(8), dial(3), meeting(25),
			meeting(20).with(func(s *step) { s.auxSend = true; s.sites = 3 }),
			quiet(12), dial(3), meeting(10).with(func(s *step) { s.sites = 2 }),
			meeting(25).with(func(s *step) { s.sites = 2; s.sendTo, s.recvTo = strained, bad }),
			meeting(20).with(func(s *step) { s.sites = 2; s.send, s.recv = strained, bad; s.sendTo, s.recvTo = good, good }),
			quiet(12), dial(2), meeting(30).with(func(s *step) { s.single = true }),
			quiet(10),
		},
	},
	{Name: "quiet-meeting", Text: "a good call from the first second, without end", steps: []step{meeting(60)}},
	{
		Name: "congestion",
		Text: "in a call: good for 20 s, worse and worse for 60 s, bad for 30 s, recovery in 30 s; over and over in one call",
		steps: []step{
			meeting(20),
			meeting(60).with(func(s *step) { s.sendTo, s.recvTo = bad, bad }),
			meeting(30).with(func(s *step) { s.send, s.recv = bad, bad }),
			meeting(30).with(func(s *step) { s.send, s.recv = bad, bad; s.sendTo, s.recvTo = good, good }),
		},
	},
	{
		Name: "loss-burst",
		Text: "in a call: 5 s of heavy loss every 30 s",
		steps: []step{
			meeting(25), meeting(5).with(func(s *step) { s.send, s.recv = awful, awful }),
		},
	},
	{
		Name:  "far-end-bad",
		Text:  "in a call: what is received is bad, what is sent is good",
		steps: []step{meeting(60).with(func(s *step) { s.recv = bad })},
	},
	{
		Name:  "near-end-bad",
		Text:  "in a call: what is sent is bad, what is received is good",
		steps: []step{meeting(60).with(func(s *step) { s.send = bad })},
	},
	{
		Name:  "bad-spell",
		Text:  "2 s idle, then a call of 24 s: good, from its 6th second on 8 s with a bad uplink, good again; over and over",
		steps: []step{quiet(2), meeting(6), meeting(8).with(func(s *step) { s.send = bad }), meeting(10), quiet(4)},
	},
	{
		Name:  "one-site-bad",
		Text:  "in a call with three sites: what arrives from one of them is bad, everything else is good",
		steps: []step{meeting(60).with(func(s *step) { s.sites, s.badSite = 3, true })},
	},
	{
		Name:  "long-delay",
		Text:  "in a call: no loss, but 330 ms of delay both ways",
		steps: []step{meeting(60).with(func(s *step) { s.send, s.recv = distant, distant })},
	},
	{
		Name: "content-share",
		Text: "in a call: 15 s without content, 30 s content sent, 15 s without, 30 s content received",
		steps: []step{
			meeting(15), meeting(30).with(func(s *step) { s.auxSend = true }),
			meeting(15), meeting(30).with(func(s *step) { s.auxRecv = true }),
		},
	},
	{
		Name: "join-leave",
		Text: "in a call: every 15 s a site joins or leaves, 1 to 4 received videos",
		steps: []step{
			meeting(15), meeting(15).with(func(s *step) { s.sites = 2 }),
			meeting(15).with(func(s *step) { s.sites = 4 }), meeting(15).with(func(s *step) { s.sites = 3 }),
		},
	},
	{
		Name:  "single-stream",
		Text:  "a call without multi-stream: only WEB_GetCallStatusInfoAPI has values",
		steps: []step{meeting(60).with(func(s *step) { s.single = true })},
	},
	{Name: "idle", Text: "never in a call", steps: []step{quiet(60)}},
	{
		Name: "reboot",
		Text: "30 s in a call, 20 s without an answer (connections are reset), sessions forgotten, 15 s idle; over and over",
		steps: []step{
			meeting(30), {secs: 20, mode: rebooting}, quiet(15),
		},
	},
	{
		Name: "upgrade",
		Text: "20 s idle, 40 s of firmware upgrade (no new login), 15 s of reboot, then idle",
		steps: []step{
			quiet(20), {secs: 40, mode: upgrading}, {secs: 15, mode: rebooting}, quiet(60),
		},
		loopFrom: 3,
	},
	{Name: "table-full", Text: "every new session is refused: the session table is full", steps: []step{meeting(60)}, login: "full"},
	{Name: "wrong-password", Text: "every password is refused; the account locks after 5 tries", steps: []step{meeting(60)}, login: "wrong"},
	{Name: "account-locked", Text: "the account is locked: the right password is refused too", steps: []step{meeting(60)}, login: "locked"},
	{Name: "shared-account", Text: "somebody else logs in with the same account every 25 s and throws everybody out", steps: []step{meeting(60)}, login: "shared"},
	{Name: "call-refused", Text: "in a call, and the values of the call are refused", steps: []step{meeting(60)}, refused: true},
	{
		Name: "raw-names", Text: "in a call: names of far ends with quotes and control characters that break the JSON",
		steps: []step{meeting(60).with(func(s *step) { s.sites = 4 })}, rawNames: true,
	},
	{Name: "web-user", Text: "a person is logged in on the endpoint's web page (AlreadyLogin 1)", steps: []step{meeting(60)}, login: "person"},
}

// Scenarios lists the scripts in the order in which they are shown.
func Scenarios() []Scenario { return append([]Scenario(nil), scenarios...) }

// scenarioByName returns the named script; "" is the default.
func scenarioByName(name string) (Scenario, bool) {
	if name == "" {
		name = DefaultScenario
	}
	for _, s := range scenarios {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// at returns the step of a second since the start, and how much of the step has
// passed (0 to 1).
func (s Scenario) at(sec int64) (step, float64) {
	var head, all int64
	for i, st := range s.steps {
		if i < s.loopFrom {
			head += int64(st.secs)
		}
		all += int64(st.secs)
	}
	if sec >= all {
		sec = head + (sec-head)%(all-head)
	}
	for _, st := range s.steps {
		if sec < int64(st.secs) {
			return st, float64(sec) / float64(st.secs)
		}
		sec -= int64(st.secs)
	}
	return s.steps[len(s.steps)-1], 1
}

// between returns the path at share p of the way to another; a zero end is no
// change.
func (a path) between(b path, p float64) path {
	if b == (path{}) {
		return a
	}
	mix := func(x, y float64) float64 { return x + (y-x)*p }
	return path{
		loss: mix(a.loss, b.loss), jitter: mix(a.jitter, b.jitter),
		delay: mix(a.delay, b.delay), share: mix(a.share, b.share),
	}
}

// Length is the time until the script repeats.
func (s Scenario) Length() time.Duration {
	var n int
	for _, st := range s.steps {
		n += st.secs
	}
	return time.Duration(n) * time.Second
}
