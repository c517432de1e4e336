package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roomcall/agent/config"
	"roomcall/publish"
)

// A worker is a process with a part of the rooms. The fleet starts it from its own
// program, with its job on standard input, and gives it orders there, one JSON object a
// line. It answers each with one line, and says in between how its rooms are.

// job is what a worker is to do.
type job struct {
	Config string // the text of the fleet's agent.toml
	Dir    string // where relative paths of it count from
	Stores string // folder of the stores
	First  int    // number of its first room
	Rooms  int
	Ramp   time.Duration // the rooms start evenly spread over this
	At     time.Duration // the time of the script's day at the start
	Speed  int           // seconds of the script in one of the clock
}

// order is one line to a worker: "begin", "poll", "quiet" (no polls), "cut" and "heal" (of
// the network), "replay" (what was delivered since), "count".
type order struct {
	Do    string
	Since time.Time `json:",omitzero"`
}

// news is one line of a worker.
type news struct {
	Done      bool // an order was carried out
	Err       string
	Rooms     int
	Connected int
	Proven    int
	InCall    int
	Waiting   uint64 // records that are not delivered

	// Only for "count".
	Made      map[string][]int // by room: records accepted by kind, see kinds
	Missed    uint64           // polls that were not accepted
	Sent, Got int64            // bytes to and from the broker
	Segments  int64            // TCP segments both ways, and the bytes that they carried
	Carried   int64
}

// kinds are the records of a room, in the order of news.Made.
var kinds = []string{"sample", "stream", "event", "call", "minute"}

// newsEvery is how often a worker says how its rooms are.
const newsEvery = 200 * time.Millisecond

// workerEnv makes the program a worker.
const workerEnv = "ROOMCALL_SIM_WORKER"

// beWorker is the worker's main function.
func beWorker() {
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sim worker:", err)
		os.Exit(1)
	}
}

// work carries out what comes from in until its end.
func work(in io.Reader, out io.Writer) (err error) {
	lines := json.NewDecoder(bufio.NewReader(in))
	var j job
	if err := lines.Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	p, err := newPart(j)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var mu sync.Mutex
	say := func(n news) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(out).Encode(n) // nobody listens any more: the end of in follows
	}
	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	defer func() { stop(); loops.Wait() }()
	loops.Go(func() {
		tick := time.NewTicker(newsEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			say(p.news())
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	for {
		var o order
		if err := lines.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		done := p.carryOut(ctx, o)
		done.Done = true
		say(done)
	}
}

// part is the rooms of one worker.
type part struct {
	job     job
	net     *network
	rooms   []*room
	days    []*endpoint
	serving sync.WaitGroup
	stop    func() // of serving

	polling sync.WaitGroup
	quiet   func() // ends polling; nil = nobody polls
	begun   atomic.Int64
}

func newPart(j job) (*part, error) {
	cfg, _, err := config.LoadText(j.Dir+"/agent.toml", []byte(j.Config), config.Options{})
	if err != nil {
		return nil, err
	}
	p := &part{job: j, net: newNetwork(publish.DialTCP), stop: func() {}}
	begins := time.Now()
	for n := j.First; n < j.First+j.Rooms; n++ {
		e := &endpoint{day: officeDay(n), begins: begins, at: j.At, speed: j.Speed}
		r, err := newRoom(configOf(cfg, n, j.Stores), e, p.net.dial, clocks{})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("room %d: %w", n, err), p.close())
		}
		p.rooms, p.days = append(p.rooms, r), append(p.days, e)
	}
	return p, nil
}

func (p *part) close() error {
	p.hush()
	p.stop()
	p.serving.Wait()
	var errs []error
	for _, r := range p.rooms {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

func (p *part) carryOut(ctx context.Context, o order) news {
	switch o.Do {
	case "begin":
		serving, stop := context.WithCancel(ctx)
		p.stop = stop
		for i, r := range p.rooms {
			p.serving.Go(func() {
				select {
				case <-time.After(p.job.Ramp * time.Duration(i) / time.Duration(len(p.rooms))):
					p.begun.Add(1)
					r.serve(serving)
				case <-serving.Done():
				}
			})
		}
	case "poll":
		p.hush()
		polling, quiet := context.WithCancel(ctx)
		p.quiet = quiet
		for _, r := range p.rooms {
			p.polling.Go(func() { r.loop.Run(polling) })
		}
	case "quiet":
		p.hush()
	case "cut", "heal":
		p.net.setDown(o.Do == "cut")
	case "replay":
		return p.replay(ctx, o.Since)
	case "count":
		return p.count()
	default:
		return news{Err: "no order " + o.Do}
	}
	return news{}
}

// hush ends polling.
func (p *part) hush() {
	if p.quiet != nil {
		p.quiet()
		p.polling.Wait()
		p.quiet = nil
	}
}

// replaysAtOnce bounds the rooms that replay at a time, as a person would who goes through
// a fleet; a room that has no connection at the moment is asked again.
const (
	replaysAtOnce = 20
	replayTries   = 10
)

func (p *part) replay(ctx context.Context, since time.Time) (n news) {
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, replaysAtOnce)
	for _, r := range p.rooms {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			err := r.replay(ctx, since)
			for try := 1; err != nil && try < replayTries; try++ { // its connection may be new
				if err = sleep(ctx, 2*time.Second); err == nil {
					err = r.replay(ctx, since)
				}
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				n.Err = fmt.Sprintf("%s: %v", r.cfg.Agent.ClientID, err)
			}
		})
	}
	all.Wait()
	return n
}

func (p *part) count() news {
	n := news{Made: map[string][]int{}, Sent: p.net.sent.Load(), Got: p.net.got.Load()}
	n.Segments, n.Carried = p.net.segments()
	for _, r := range p.rooms {
		stats := r.recorder.Stats()
		for _, m := range stats.Missed {
			n.Missed += m.Count
		}
		by := stats.AppendedByKind
		row := make([]int, len(kinds))
		for i, k := range kinds {
			row[i] = int(by[k])
		}
		n.Made[r.cfg.Agent.ClientID] = row
	}
	return n
}

func (p *part) news() (n news) {
	n.Rooms = len(p.rooms)
	for i, r := range p.rooms {
		s := r.client.Status()
		if s.State == publish.Connected {
			n.Connected++
		}
		if r.proven() {
			n.Proven++
		}
		if e := p.days[i]; slices.ContainsFunc(e.calls, func(c call) bool { return c.has(e.time()) }) {
			n.InCall++
		}
		delivered, newest := r.queue.Progress()
		n.Waiting += newest - delivered
	}
	return n
}
