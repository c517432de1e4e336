package main

import (
	"os"
	"testing"
	"time"
)

// The comparison: the same job by several programs, in turn. An iteration is a whole
// measurement:
//
//	packaging/scripts/bench.sh compare

var (
	everyPeer = []string{"floor", "samples", "roomcall", "telegraf-minimal", "telegraf-full", "node-red"}
	// The full Telegraf is the same code as the minimal one where a store is filled. All
	// of ours have one record a poll where the rate counts.
	drained = []string{"floor", "samples", "telegraf-minimal", "node-red"}
	tested  = []string{"floor", "roomcall", "telegraf-minimal", "node-red"}
)

const (
	telegrafBatch = 1000            // its default
	startUp       = 3 * time.Second // nobody has to poll before
)

// short makes every measurement short; its figures mean nothing.
func short(full, brief time.Duration) time.Duration {
	if os.Getenv("BENCH_SHORT") != "" {
		return brief
	}
	return full
}

// forAudience has the broker hand on everything at once, so that what is missing was not
// lost behind its back.
var forAudience = []string{"max_inflight_messages 0", "max_queued_messages 0"}

// BenchmarkCompareSteady measures memory, CPU, delay and bytes written while all is well.
func BenchmarkCompareSteady(b *testing.B) {
	for _, size := range []struct {
		name         string
		rooms        int
		every, lasts time.Duration
	}{
		{"1", 1, 100 * time.Millisecond, 15 * time.Second},
		{"50", 50, time.Second, 12 * time.Second},
		{"500", 500, 5 * time.Second, 12 * time.Second},
	} {
		b.Run(size.name, func(b *testing.B) {
			eachPeer(b, everyPeer, func(b *testing.B, name string) {
				benchSteady(b, name, size.rooms, short(size.every, min(size.every, 2*time.Second)), short(size.lasts, 2*time.Second))
			})
		})
	}
}

// BenchmarkCompareWear measures what is written for one endpoint that is polled each
// second.
func BenchmarkCompareWear(b *testing.B) {
	eachPeer(b, append(everyPeer, "samples-collected", "roomcall-collected"), func(b *testing.B, name string) {
		benchSteady(b, name, 1, time.Second, short(time.Minute, 3*time.Second))
	})
}

func benchSteady(b *testing.B, name string, n int, every, lasts time.Duration) {
	sim, br := newRooms(b, n), newBroker(b, forAudience...)
	p := peers[name](b, job{sim: sim, every: every, broker: br.addr, batch: n})
	heard := &audience{}
	heard.listen(b, br.addr, p.topic)
	p.start(b)
	await(b, p.process, name+" publishes nothing", func() bool { return heard.count() > 0 })
	p.sleep(b, short(3*time.Second, 500*time.Millisecond))
	before, calls, disk, began := p.cpu(b), p.io(b, "wchar"), p.io(b, "write_bytes"), time.Now()
	p.sleep(b, lasts)
	used, ended := p.cpu(b)-before, time.Now()
	calls, disk = p.io(b, "wchar")-calls, p.io(b, "write_bytes")-disk
	delays, polls := heard.delays(sim, began, ended)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p.mustMemory(b, "VmRSS"), "rss-MiB")
	b.ReportMetric(p.mustMemory(b, "RssAnon"), "anon-MiB")
	b.ReportMetric(float64(polls), "polls")
	b.ReportMetric(used.Seconds()*1000/float64(polls), "cpu-s/1000")
	b.ReportMetric(calls/float64(polls), "write-B/poll")
	b.ReportMetric(disk/float64(polls), "disk-B/poll")
	b.ReportMetric(quantile(delays, 0.5), "median-ms")
	b.ReportMetric(quantile(delays, 0.99), "p99-ms")
}

// sleep lets measured time pass; the program must not end meanwhile.
func (p *peer) sleep(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-p.done:
		p.fail(b, "it ended")
	}
}

// BenchmarkCompareCatchUp measures how fast a backlog arrives once there is a broker again;
// nothing is polled meanwhile.
func BenchmarkCompareCatchUp(b *testing.B) {
	eachPeer(b, drained, func(b *testing.B, name string) { benchCatchUp(b, name, 30, short(10*time.Second, time.Second), 0) })
}

// BenchmarkCompareCatchUpFar is the same at a round trip of 20 ms, with fewer records.
func BenchmarkCompareCatchUpFar(b *testing.B) {
	eachPeer(b, drained, func(b *testing.B, name string) {
		benchCatchUp(b, name, 20, short(3*time.Second, time.Second), 10*time.Millisecond)
	})
}

func benchCatchUp(b *testing.B, name string, n int, outage, delay time.Duration) {
	s := newStage(b, name, n, delay)
	s.begin(b)
	s.down(b, outage)
	s.sim.pause()
	s.back(b)
	s.settle(b)
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	late := s.heard.got[s.before:]
	if len(late) < 2 {
		b.Fatalf("%d records arrived after the outage", len(late))
	}
	took := late[len(late)-1].at.Sub(late[0].at)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(late)), "records")
	b.ReportMetric(float64(len(late)-1)/took.Seconds(), "msg/s")
}

// BenchmarkCompareLosses counts what is lost, arrives twice or arrives out of order. Polls
// go on in all of it.
func BenchmarkCompareLosses(b *testing.B) {
	outage, pause := short(10*time.Second, 2*time.Second), short(2*time.Second, 500*time.Millisecond)
	for _, scene := range []struct {
		name    string
		happens func(*testing.B, *stage)
	}{
		{"down", func(b *testing.B, s *stage) {
			s.begin(b)
			s.down(b, outage)
			s.back(b)
		}},
		{"broker_killed", func(b *testing.B, s *stage) {
			s.begin(b)
			s.down(b, outage)
			s.back(b)
			s.midDrain(b)
			s.broker.kill()
			s.line.shut()
			s.wait(b, pause)
			s.back(b)
		}},
		{"agent_killed", func(b *testing.B, s *stage) {
			s.begin(b)
			s.down(b, outage)
			s.back(b)
			s.midDrain(b)
			s.killed = time.Now()
			s.peer.kill()
			time.Sleep(pause / 2)
			s.peer.start(b)
		}},
		{"no_broker", func(b *testing.B, s *stage) {
			s.broker.stop()
			s.peer.start(b)
			s.wait(b, 2*outage)
			due := float64((2*outage-min(startUp, outage))/s.every) * float64(len(s.sim.all))
			s.unpolled = max(0, due-float64(s.sim.count()))
			s.back(b)
		}},
	} {
		b.Run(scene.name, func(b *testing.B) {
			eachPeer(b, tested, func(b *testing.B, name string) { benchLosses(b, name, scene.happens) })
		})
	}
}

func benchLosses(b *testing.B, name string, happens func(*testing.B, *stage)) {
	s := newStage(b, name, 10, 2*time.Millisecond)
	happens(b, s)
	s.wait(b, short(3*time.Second, time.Second))
	s.sim.pause()
	s.settle(b)
	t := s.heard.tally(s.sim, s.killed)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(t.of), "of")
	b.ReportMetric(float64(t.lost), "lost")
	b.ReportMetric(float64(t.doubled), "doubled")
	b.ReportMetric(float64(t.disordered), "disordered")
	b.ReportMetric(float64(t.inFlight), "at-kill")
	b.ReportMetric(s.unpolled, "unpolled")
	b.ReportMetric(float64(s.peer.restarts), "restarts")
}

// stage is a peer between its rooms and a broker that comes and goes. The audience hears
// the broker before the peer can reach it.
type stage struct {
	sim      *rooms
	every    time.Duration
	broker   *broker
	line     *farLine
	peer     *peer
	heard    *audience
	before   int       // what had arrived before the outage ended
	waiting  int       // answers that had not arrived then
	killed   time.Time // when the peer was killed
	unpolled float64   // polls that should have been made without a broker
}

func newStage(b *testing.B, name string, n int, delay time.Duration) *stage {
	s := &stage{sim: newRooms(b, n), every: 100 * time.Millisecond, broker: newBroker(b, forAudience...), heard: &audience{}}
	s.line = newFarLine(b, s.broker.addr, delay)
	s.peer = peers[name](b, job{sim: s.sim, every: s.every, broker: s.line.addr, batch: telegrafBatch})
	return s
}

// begin starts the peer and waits until it publishes.
func (s *stage) begin(b *testing.B) {
	s.heard.listen(b, s.broker.addr, s.peer.topic)
	s.line.open(b)
	s.peer.start(b)
	await(b, s.peer.process, "nothing arrives", func() bool { return s.heard.count() > 0 })
	s.wait(b, time.Second)
}

func (s *stage) wait(b *testing.B, d time.Duration) { s.peer.supervise(b, time.After(d)) }

// down takes the broker away for a time.
func (s *stage) down(b *testing.B, d time.Duration) {
	s.line.shut()
	s.wait(b, 200*time.Millisecond) // what the broker has accepted reaches the audience
	s.broker.stop()
	s.wait(b, d)
}

// back brings the broker back.
func (s *stage) back(b *testing.B) {
	s.broker.start(b)
	s.heard.listen(b, s.broker.addr, s.peer.topic)
	s.before = s.heard.count()
	s.waiting = s.sim.count() - s.before
	s.line.open(b)
}

// midDrain waits until a third of the backlog has arrived.
func (s *stage) midDrain(b *testing.B) {
	arrived := s.heard.reaches(s.before + s.waiting/3)
	done := make(chan time.Time)
	go func() {
		defer close(done)
		select {
		case <-arrived:
		case <-time.After(patience):
		}
	}()
	s.peer.supervise(b, done)
}

// settle waits until all answers have arrived and nothing arrives twice any more, or
// nothing arrives at all.
func (s *stage) settle(b *testing.B) {
	complete, silent := short(3*time.Second, time.Second), short(20*time.Second, 8*time.Second)
	end := time.Now().Add(2 * patience)
	for began := time.Now(); time.Now().Before(end); {
		s.wait(b, 100*time.Millisecond)
		last := s.heard.last()
		if last.Before(began) {
			last = began
		}
		quiet := time.Since(last)
		if quiet > silent || quiet > complete && s.heard.tally(s.sim, s.killed).lost == 0 && s.heard.count() > s.before {
			return
		}
	}
}
