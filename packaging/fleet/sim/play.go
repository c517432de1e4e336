package main

import (
	"context"
	"fmt"
	"time"
)

// play takes a fleet and a consumer through what happens to them, and measures.
type play struct {
	f      *fleet
	c      *consumer
	broker brokerProcess // nil = one that is not ours to measure
	say    func(format string, args ...any)
	length lengths
	out    result
}

// brokerProcess is a broker on this machine.
type brokerProcess interface {
	Memory() (bytes int64, err error)
	CPU() (time.Duration, error)
	Kill()        // with SIGKILL
	Start() error // again
}

// lengths are how long the parts of a play take; 0 = without that fault.
type lengths struct {
	Steady, ConsumerAway, NetworkCut, BrokerAway time.Duration
	Patience                                     time.Duration // with all rooms to come back
	// Silence is how long nothing arrives before the rest counts as lost: some brokers
	// wait before they hand over again what was not acknowledged.
	Silence time.Duration
}

// result is what a play has measured.
type result struct {
	Broker string // name for people
	Rooms  int
	Began  time.Time

	MemoryBefore, Memory int64         // of the broker: without rooms, with all connected
	CPU                  time.Duration // of the broker in the steady part
	Steady               time.Duration
	Records              int     // that arrived in the steady part
	InCall               float64 // part of the rooms in a call at its end
	Median, P90, P99     int     // milliseconds from the poll's end to the consumer
	Segments, Carried    int64   // TCP segments both ways until the end, and the bytes in them

	Curves []curve
	Faults []fault
	Missed uint64 // polls that no store accepted

	Patience time.Duration // with all rooms to come back
}

// curve is how the rooms came back after something.
type curve struct {
	After  string
	Points []point
	Err    string // why it did not end with all
}

// fault is something that happened, and what it cost the consumer.
type fault struct {
	What     string
	Made     int // records until its end
	Arrived  int
	Lost     int // records that the broker had confirmed and not handed on
	Holes    int // of those, what a consumer sees as holes in the numbers
	Replayed bool
	Left     int // lost after `buffer replay`
	Again    int // records that arrived more than once, since the fault before
}

// within is the time until so many of the rooms were proven, 0 = never.
func (c *curve) within(part float64, rooms int) float64 {
	for _, p := range c.Points {
		if float64(p.Proven) >= part*float64(rooms) {
			return p.S
		}
	}
	return 0
}

// run plays. What went wrong is in the result as far as it is a measure, and an error where
// there is nothing to go on with.
func (p *play) run(ctx context.Context) (err error) {
	p.out.Began = time.Now()
	p.out.Rooms, p.out.Patience = p.f.rooms, p.length.Patience
	if err := p.f.await(ctx, "all stores are open", p.length.Patience, func(news) bool { return true }); err != nil {
		return err
	}
	if p.broker != nil {
		if p.out.MemoryBefore, err = p.broker.Memory(); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{p.connect, p.steady, p.consumerAway, p.networkCut, p.brokerKilled} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	n, err := p.f.order(order{Do: "count"})
	p.out.Missed, p.out.Segments, p.out.Carried = n.Missed, n.Segments, n.Carried
	return err
}

// connect lets the rooms begin and waits for all.
func (p *play) connect(ctx context.Context) error {
	if _, err := p.f.order(order{Do: "begin"}); err != nil {
		return err
	}
	if err := p.back(ctx, "first connection", time.Now()); err != nil {
		return err
	}
	_, err := p.f.order(order{Do: "poll"})
	return err
}

// back follows how the rooms come back. Rooms that do not are a result.
func (p *play) back(ctx context.Context, after string, since time.Time) error {
	points, err := p.f.comeBack(ctx, since, p.length.Patience)
	if ctx.Err() != nil {
		return err
	}
	c := curve{After: after, Points: points}
	if err != nil {
		c.Err = err.Error()
	}
	p.out.Curves = append(p.out.Curves, c)
	p.say("%s: proven 50 %% after %.1f s, 90 %% %.1f s, 100 %% %.1f s %s", after, c.within(0.5, p.f.rooms), c.within(0.9, p.f.rooms), c.within(1, p.f.rooms), c.Err)
	return nil
}

// firstPolls is how long the first round of polls takes, each with its retained state.
const firstPolls = 16 * time.Second

// steady measures while nothing happens.
func (p *play) steady(ctx context.Context) (err error) {
	if err := sleep(ctx, min(firstPolls, p.length.Steady)); err != nil {
		return err
	}
	var cpu, cpuAfter time.Duration
	if p.broker != nil {
		if p.out.Memory, err = p.broker.Memory(); err != nil {
			return err
		}
		if cpu, err = p.broker.CPU(); err != nil {
			return err
		}
	}
	p.c.forgetDelays()
	records, _ := p.c.count()
	began := time.Now()
	if err := sleep(ctx, p.length.Steady); err != nil {
		return err
	}
	if p.broker != nil {
		if cpuAfter, err = p.broker.CPU(); err != nil {
			return err
		}
	}
	now := p.f.news()
	after, _ := p.c.count()
	o := &p.out
	o.CPU, o.Steady, o.Records = cpuAfter-cpu, time.Since(began), after-records
	o.InCall = float64(now.InCall) / float64(now.Rooms)
	o.Median, o.P90, o.P99 = p.c.delay(0.5), p.c.delay(0.9), p.c.delay(0.99)
	p.say("steady: %.0f records/s, delay %d ms, 90 %% %d ms, 99 %% %d ms", float64(o.Records)/o.Steady.Seconds(), o.Median, o.P90, o.P99)
	if p.broker != nil {
		p.say("broker: %.1f MB, %s CPU in %s", float64(o.Memory)/1e6, o.CPU, o.Steady.Round(time.Second))
	}
	return p.settle(ctx, "nothing", began)
}

func (p *play) consumerAway(ctx context.Context) error {
	if p.length.ConsumerAway == 0 {
		return nil
	}
	began := time.Now()
	p.c.leave()
	if err := sleep(ctx, p.length.ConsumerAway); err != nil {
		return err
	}
	if err := p.c.connect(); err != nil {
		return err
	}
	return p.settle(ctx, fmt.Sprintf("the consumer is away for %s", p.length.ConsumerAway), began)
}

func (p *play) networkCut(ctx context.Context) error {
	if p.length.NetworkCut == 0 {
		return nil
	}
	began := time.Now()
	if _, err := p.f.order(order{Do: "cut"}); err != nil {
		return err
	}
	if err := sleep(ctx, p.length.NetworkCut); err != nil {
		return err
	}
	healed := time.Now()
	if _, err := p.f.order(order{Do: "heal"}); err != nil {
		return err
	}
	// A room whose connection was cut may not know it yet: no proof of these counts.
	if err := p.f.await(ctx, "the cut is noticed", p.length.Patience, func(n news) bool {
		return n.Proven < p.f.rooms/2 || time.Since(healed) > ackTimeout
	}); err != nil {
		return err
	}
	if err := p.back(ctx, "network cut", healed); err != nil {
		return err
	}
	return p.settle(ctx, fmt.Sprintf("the network is cut for %s", p.length.NetworkCut), began)
}

// ackTimeout is within which a room notices that a connection is dead: publish has it so.
const ackTimeout = 25 * time.Second

func (p *play) brokerKilled(ctx context.Context) error {
	if p.broker == nil {
		return nil
	}
	began := time.Now()
	p.broker.Kill()
	if err := sleep(ctx, p.length.BrokerAway); err != nil {
		return err
	}
	up := time.Now()
	if err := p.broker.Start(); err != nil {
		return err
	}
	if err := p.back(ctx, afterKill, up); err != nil {
		return err
	}
	return p.settle(ctx, fmt.Sprintf("the broker is killed and away for %s", p.length.BrokerAway), began)
}

// settle stops the polls, waits until everything that was made has arrived or nothing more
// comes, and counts. What the broker lost the rooms send again.
func (p *play) settle(ctx context.Context, what string, since time.Time) error {
	if _, err := p.f.order(order{Do: "quiet"}); err != nil {
		return err
	}
	if err := p.f.await(ctx, "all records are delivered", p.length.Patience, func(n news) bool { return n.Waiting == 0 }); err != nil {
		return err
	}
	fa := fault{What: what}
	var err error
	if err = p.arrived(ctx, &fa); err != nil {
		return err
	}
	fa.Left = fa.Lost
	if fa.Lost > 0 {
		fa.Replayed = true
		again := fault{}
		if _, err = p.f.order(order{Do: "replay", Since: since.Add(-before)}); err != nil {
			return err
		}
		if err = p.arrived(ctx, &again); err != nil {
			return err
		}
		fa.Left, fa.Arrived, fa.Again = again.Lost, again.Arrived, again.Again
	}
	p.out.Faults = append(p.out.Faults, fa)
	p.say("%s: made %d, arrived %d, lost %d (holes %d), left %d, again %d", what, fa.Made, fa.Arrived, fa.Lost, fa.Holes, fa.Left, fa.Again)
	_, err = p.f.order(order{Do: "poll"})
	return err
}

// before is how much earlier than a fault a replay begins: what was on its way.
const before = 10 * time.Second

// arrived waits until everything has arrived, or nothing does any more.
func (p *play) arrived(ctx context.Context, fa *fault) error {
	n, err := p.f.order(order{Do: "count"})
	if err != nil {
		return err
	}
	for _, row := range n.Made {
		for _, made := range row {
			fa.Made += made
		}
	}
	was := p.out.again()
	for last, at := -1, time.Now(); ; {
		records, again := p.c.count()
		fa.Arrived, fa.Again = records, again-was
		if fa.Lost, fa.Holes, err = p.c.missing(n.Made); err != nil {
			return err
		}
		if records+again != last {
			last, at = records+again, time.Now()
		}
		if quiet := time.Since(at); fa.Lost == 0 && quiet > time.Second || quiet > p.length.Silence {
			break
		}
		if err := sleep(ctx, newsEvery); err != nil {
			return err
		}
	}
	if n, err = p.f.order(order{Do: "count"}); err != nil { // time alone has made more since
		return err
	}
	return p.c.invented(n.Made)
}

// again is how many duplicates the faults so far have had.
func (o *result) again() (n int) {
	for _, f := range o.Faults {
		n += f.Again
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
