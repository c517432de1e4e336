package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/publish"
)

const (
	// healthEvery is the longest time between two health messages.
	healthEvery = 5 * time.Minute
	// healthLook is how often the agent looks at itself, with many endpoints more
	// seldom: up to healthLookMax.
	healthLook    = 2 * time.Second
	healthLookMax = 10 * time.Second
	// storeSteady is how long the store has to accept records to count as working.
	storeSteady = 10 * time.Second
	// healthBlame connections in a row that ended before they confirmed the health
	// message, and it is left out for healthPause: it never costs the records.
	healthBlame = 3
	healthPause = 10 * time.Minute
)

// healthLoop tells the centre how the agent is doing: by the retained health message,
// directly and beside the store, and by events about the store.
type healthLoop struct {
	status   func() health.Status
	lang     health.Lang
	message  func(report.HealthInfo) []byte
	conn     func() drain.Conn // nil = none
	topic    string
	announce func(record.Event) bool
	refused  func()        // called while the broker refuses the login; nil = nothing
	every    time.Duration // between two looks

	said    string     // what the last message said, in short
	saidAt  time.Time  // when
	saidOn  drain.Conn // on which connection
	receipt drain.Receipt
	fails   *healthFailures

	failing  record.Event // the event that tells that the store fails, Type "" = it works
	workedAt time.Time    // since when it works again, zero = it does not
}

func (a *Agent) newHealthLoop() *healthLoop {
	return &healthLoop{
		status: a.Status, lang: a.lang(), message: a.health, conn: a.drainer.Conn, topic: a.client.Topic("health"),
		announce: a.recorder.Announce, refused: a.secret.refused, fails: &a.unhealthy,
		failing: a.failing, every: min(healthLook+time.Duration(len(a.pollers))*10*time.Millisecond, healthLookMax),
	}
}

// health is the health message, under the epoch that the store has now.
func (a *Agent) health(in report.HealthInfo) []byte {
	return a.reporter.WithEpoch(a.queue.Epoch()).Health(in)
}

// run looks again and again until ctx ends.
func (n *healthLoop) run(ctx context.Context) {
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	for {
		now := time.Now()
		s := n.status()
		n.watchStore(s, now)
		n.publish(s, now)
		if s.Broker.Class == "login" && n.refused != nil {
			n.refused()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// publish sends the health message when something changed, on each new connection,
// and when the last is too old.
func (n *healthLoop) publish(s health.Status, now time.Time) {
	n.settle(now)
	conn := n.conn()
	if conn == nil || n.fails.held(now) {
		return
	}
	info := healthInfo(s, now, n.lang)
	short := fmt.Sprint(info.Status, info.Problems, info.Codes, info.StoreOK, info.Endpoints, info.EndpointsBad)
	if short == n.said && conn == n.saidOn && now.Sub(n.saidAt) < healthEvery {
		return
	}
	receipt, err := conn.Publish(publish.Message{Topic: n.topic, Payload: n.message(info), Retain: true})
	if err != nil {
		return // a full window or a lost connection: at the next look
	}
	n.said, n.saidAt, n.saidOn, n.receipt = short, now, conn, receipt
}

// settle looks at what became of the last message.
func (n *healthLoop) settle(now time.Time) {
	if n.receipt == nil {
		return
	}
	select {
	case <-n.receipt.Done():
	default:
		return
	}
	if n.fails.note(n.receipt.Err(), now) {
		n.said = ""
	}
	n.receipt = nil
}

// healthFailures is what became of the health messages, for the status too.
type healthFailures struct {
	mu           sync.Mutex // guards what follows
	total        uint64
	blame        int       // connections in a row that ended before they confirmed one
	since, until time.Time // the pause in which none is sent
}

// note takes what became of a message, and says whether it failed.
func (f *healthFailures) note(err error, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.blame = 0
		return false
	}
	f.total++
	if f.blame++; f.blame >= healthBlame {
		f.blame, f.since, f.until = 0, now, now.Add(healthPause)
	}
	return true
}

// held says whether no health message is sent now.
func (f *healthFailures) held(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return now.Before(f.until)
}

// show puts it into the status.
func (f *healthFailures) show(b *health.Broker, now time.Time) {
	held := f.held(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	b.HealthFailures = f.total
	if held {
		b.LeftOut = append(b.LeftOut, health.LeftOut{What: "health", Since: f.since, Until: f.until})
	}
}

// watchStore announces that the store accepts nothing, and that it does again. The
// events wait in memory until they can be accepted themselves.
func (n *healthLoop) watchStore(s health.Status, now time.Time) {
	b := s.Buffer
	works := b.State == "open"
	switch {
	case !works && n.failing.Type == "":
		n.failing = record.Event{At: now, AgentEvent: report.AgentEvent{
			Type: "agent.store_failing", Since: now, Reason: b.Cause, Code: health.StoreCode(b),
			IncidentID: fmt.Sprintf("%s.%d.%s.store-%d", s.ClientID, s.Identity.Epoch, report.AgentDevice, now.UnixMilli()),
		}}
		n.announce(n.failing)
	case !works:
		n.workedAt = time.Time{}
	case n.failing.Type == "":
	case n.workedAt.IsZero():
		n.workedAt = now
	case now.Sub(n.workedAt) >= storeSteady:
		n.storeWorks()
	}
}

// finish is for the end of a run: a store that works is not waited for to be steady, and
// what is still failing is for the agent that follows in this process.
func (n *healthLoop) finish() (failing record.Event) {
	if !n.workedAt.IsZero() {
		n.storeWorks()
	}
	return n.failing
}

// storeWorks closes what announced that the store fails.
func (n *healthLoop) storeWorks() {
	ev := n.failing
	ev.Type, ev.At = "agent.store_working", n.workedAt
	n.announce(ev)
	n.failing, n.workedAt = record.Event{}, time.Time{}
}

// healthInfo is the agent's status in short.
func healthInfo(s health.Status, now time.Time, lang health.Lang) report.HealthInfo {
	problems := lang.ProblemsAbroad(s, now)
	in := report.HealthInfo{
		At: now, Status: "ok", Problems: len(problems), Waiting: s.Buffer.Waiting, Oldest: s.Buffer.Oldest,
		StoreOK: s.Buffer.State == "open", DiskFree: s.Buffer.DiskFree, Endpoints: len(s.Endpoints),
	}
	var codes, bad []string
	for _, p := range problems {
		if !slices.Contains(codes, p.Code) {
			codes = append(codes, p.Code)
		}
		if p.Bad && p.Device != "" && !slices.Contains(bad, p.Device) {
			bad = append(bad, p.Device)
		}
	}
	in.Codes, in.EndpointsBad = strings.Join(codes, ","), len(bad)
	if len(problems) > 0 {
		in.Status, in.Text = "warn", lang.Sentences(problems[0].What, problems[0].Hint)
		if problems[0].Bad {
			in.Status = "fail"
		}
	}
	return in
}
