package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// roomsOfWorker bounds the rooms of one process: each has two files of its store and a
// connection open, and many systems allow 20,000.
const roomsOfWorker = 5000

// fleet is all rooms, in the processes of its workers.
type fleet struct {
	rooms   int
	workers []*worker
}

// worker is the near end of a worker process.
type worker struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan news
	ended   chan struct{}

	mu   sync.Mutex // guards what follows
	last news
	err  error
}

// newFleet starts the workers; their rooms begin with the order "begin". The caller must
// call stop.
func newFleet(j job) (*fleet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{rooms: j.Rooms}
	for first, last := j.First, j.First+j.Rooms; first < last; first += roomsOfWorker {
		j.First, j.Rooms = first, min(roomsOfWorker, last-first)
		w, err := newWorker(program, j)
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.workers = append(f.workers, w)
	}
	return f, nil
}

func newWorker(program string, j job) (*worker, error) {
	w := &worker{cmd: exec.Command(program), answers: make(chan news, 1), ended: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), workerEnv+"=1", "GOGC=200") // the rooms of a process have memory enough
	w.cmd.Stderr = os.Stderr
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	go w.listen(out)
	return w, w.write(j)
}

func (w *worker) write(v any) error {
	if err := json.NewEncoder(w.in).Encode(v); err != nil {
		return fmt.Errorf("talk to a worker: %w", err)
	}
	return nil
}

// listen reads the worker's news until its end.
func (w *worker) listen(out io.Reader) {
	defer close(w.ended)
	lines := json.NewDecoder(bufio.NewReader(out))
	for {
		var n news
		if err := lines.Decode(&n); err != nil {
			break
		}
		if n.Done {
			w.answers <- n
			continue
		}
		w.mu.Lock()
		w.last = n
		w.mu.Unlock()
	}
	err := w.cmd.Wait()
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
}

// orderMost is within which a worker carries out an order; the longest is a replay.
const orderMost = 10 * time.Minute

// answer waits for the end of an order.
func (w *worker) answer() (news, error) {
	select {
	case n := <-w.answers:
		if n.Err != "" {
			return n, errors.New(n.Err)
		}
		return n, nil
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		return news{}, fmt.Errorf("a worker has ended: %w", w.err)
	case <-time.After(orderMost):
		return news{}, errors.New("a worker does not answer")
	}
}

// order has all workers carry out something, and waits for it.
func (f *fleet) order(o order) (sum news, err error) {
	for _, w := range f.workers {
		err = errors.Join(err, w.write(o))
	}
	if err != nil {
		return sum, err
	}
	sum.Made = map[string][]int{}
	for _, w := range f.workers {
		n, e := w.answer()
		sum.add(n)
		err = errors.Join(err, e)
	}
	return sum, err
}

func (n *news) add(o news) {
	n.Rooms += o.Rooms
	n.Connected += o.Connected
	n.Proven += o.Proven
	n.InCall += o.InCall
	n.Waiting += o.Waiting
	n.Missed += o.Missed
	n.Sent += o.Sent
	n.Got += o.Got
	n.Segments += o.Segments
	n.Carried += o.Carried
	maps.Copy(n.Made, o.Made)
}

// news is the sum of the newest.
func (f *fleet) news() (sum news) {
	for _, w := range f.workers {
		w.mu.Lock()
		sum.add(w.last)
		w.mu.Unlock()
	}
	return sum
}

// await waits until the rooms are as is says.
func (f *fleet) await(ctx context.Context, what string, patience time.Duration, is func(news) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(newsEvery)
	defer tick.Stop()
	for {
		n := f.news()
		if n.Rooms == f.rooms && is(n) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: of %d rooms %d are connected, %d proven, %d records wait",
				what, patience, f.rooms, n.Connected, n.Proven, n.Waiting)
		}
	}
}

// point is how many rooms were connected and proven at a time after something.
type point struct {
	S      float64
	Proven int
}

// comeBack follows how the rooms connect after something, until all are proven. It
// returns an error when that does not happen, with the curve so far.
func (f *fleet) comeBack(ctx context.Context, since time.Time, patience time.Duration) (curve []point, err error) {
	err = f.await(ctx, "all rooms are connected and proven", patience, func(n news) bool {
		curve = append(curve, point{time.Since(since).Seconds(), n.Proven})
		return n.Proven == f.rooms
	})
	return curve, err
}

// stop ends the rooms in order and the workers.
func (f *fleet) stop() (err error) {
	for _, w := range f.workers {
		w.in.Close()
	}
	for _, w := range f.workers {
		select {
		case <-w.ended:
		case <-time.After(time.Minute):
			err = errors.Join(err, errors.New("a worker does not end: killed"), w.cmd.Process.Kill())
			<-w.ended
		}
		w.mu.Lock()
		err = errors.Join(err, w.err)
		w.mu.Unlock()
	}
	return err
}

// newStores makes a folder for the stores of a fleet: in memory where the system has a
// place for that, because a disk has no fsync for the stores of thousands of machines.
func newStores(dir string) (string, error) {
	if dir == "" {
		dir = "/dev/shm"
		if _, err := os.Stat(dir); err != nil {
			dir = os.TempDir()
		}
	}
	dir, err := os.MkdirTemp(dir, "roomcall-sim-")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}
