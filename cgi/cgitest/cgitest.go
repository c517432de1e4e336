// Package cgitest simulates a video endpoint with the vendor's action.cgi, for
// tests, for the demo and for developers of consumers.
//
// Promise: it answers as the vendor documents, or, where the vendor is silent,
// as public clients saw it; and what it says depends on the scenario, the seed
// and the second alone. It is a simulator and keeps no secrets: session ids
// are repeatable.
package cgitest

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options say what to simulate. The zero value is an IdeaHub that plays the
// default scenario and asks for no login.
type Options struct {
	Scenario string // see Scenarios; "" = DefaultScenario
	Family   string // see Families; "" = "ideahub"
	Seed     int64
	// Username and Password are the account. Without a user every login works
	// and requests without a session are answered too.
	Username, Password string
	// Sessions bounds the session table; 0 = 5.
	Sessions int
	// Expiry ends a session without keep-alive (the mailbox request); 0 = the
	// vendor's 60 s.
	Expiry time.Duration
	// Expired says how requests without a session are answered: ExpiredRefused,
	// Expired401, Expired403; "" = as the family does.
	Expired string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Keep bounds the log of what was served; 0 = 256.
	Keep int
	// Answered is told of each answer, one at a time, before it is sent; nil = nobody.
	// It must not call the Endpoint.
	Answered func(Served)
}

// Endpoint is one simulated endpoint. It is an http.Handler and safe for
// concurrent use.
type Endpoint struct {
	opts   Options
	family Family

	mu       sync.Mutex
	world    *world
	start    time.Time
	sessions sessions
	boots    int   // of the world when a request last came
	turn     int64 // of the other user of a shared account
	fault    Fault
	log      []Served
	counts   map[string]int
}

// Served is one request and its answer.
type Served struct {
	Time   time.Time
	Action string
	// Status and Body are the right answer, also when a fault spoilt it; Body
	// must not be changed.
	Status int
	Body   []byte
	// Snapshot is what the simulated endpoint was doing.
	Snapshot Snapshot
}

// New makes an endpoint whose scenario starts now. It fails for an unknown
// scenario or family.
func New(o Options) (*Endpoint, error) {
	family, ok := familyByName(o.Family)
	if !ok {
		return nil, fmt.Errorf("simulate endpoint: unknown family %q (there are: %s)", o.Family, names(families, func(f Family) string { return f.Name }))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sessions <= 0 {
		o.Sessions = 5
	}
	if o.Expiry <= 0 {
		o.Expiry = time.Minute
	}
	if o.Keep <= 0 {
		o.Keep = 256
	}
	if o.Expired != "" {
		family.expired = o.Expired
	}
	e := &Endpoint{opts: o, family: family, sessions: newSessions(), counts: map[string]int{}}
	return e, e.SetScenario(o.Scenario)
}

func names[T any](list []T, name func(T) string) string {
	s := ""
	for i, one := range list {
		if i > 0 {
			s += ", "
		}
		s += name(one)
	}
	return s
}

// SetScenario starts a scenario anew from its first second; sessions and
// faults stay.
func (e *Endpoint) SetScenario(name string) error {
	script, ok := scenarioByName(name)
	if !ok {
		return fmt.Errorf("simulate endpoint: unknown scenario %q (there are: %s)", name, names(scenarios, func(s Scenario) string { return s.Name }))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.world, e.boots = newWorld(script, e.opts.Seed), 0
	e.start = e.opts.Now()
	return nil
}

// SetFault makes the endpoint answer wrongly from now on; Fault{} ends it.
func (e *Endpoint) SetFault(f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = f
}

// SetPassword changes the account's password; sessions stay.
func (e *Endpoint) SetPassword(password string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opts.Password = password
}

// ExpireSessions forgets all sessions.
func (e *Endpoint) ExpireSessions() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.sessions.byID)
}

// OpenSessions tells how many sessions the table holds.
func (e *Endpoint) OpenSessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions.expire(e.opts.Now(), e.opts.Expiry)
	return len(e.sessions.byID)
}

// Now is what the endpoint says at this second.
func (e *Endpoint) Now() Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.play(e.opts.Now())
}

// Log returns the newest answers, oldest first, at most Options.Keep.
func (e *Endpoint) Log() []Served {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Served(nil), e.log...)
}

// Count tells how many requests of an action came; "" counts all.
func (e *Endpoint) Count(action string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[action]
}

// Family is the family that is simulated.
func (e *Endpoint) Family() Family { return e.family }

func (e *Endpoint) play(now time.Time) Snapshot {
	return e.world.play(max(0, int64(now.Sub(e.start)/time.Second)))
}

func (e *Endpoint) record(s Served) {
	e.counts[s.Action]++
	e.counts[""]++
	if len(e.log) >= e.opts.Keep {
		e.log = append(e.log[:0], e.log[1:]...)
	}
	e.log = append(e.log, s)
	if e.opts.Answered != nil {
		e.opts.Answered(s)
	}
}

var _ http.Handler = (*Endpoint)(nil)
