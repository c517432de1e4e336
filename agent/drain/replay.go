package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/durable"
	"roomcall/publish"
)

const (
	// replayEvery is how often the agent looks for a request, and while it serves one
	// shows all who wait that it is at work.
	replayEvery = time.Second
	// replayPatience bounds the wait for an agent that is not at work. How long a
	// replay takes nobody knows beforehand.
	replayPatience = 60 * replayEvery
	// provenWithin is how long a replay waits for the proof of a connection.
	provenWithin = 15 * time.Second
	// replayWindow bounds the replayed records in flight: a connection has little room beside
	// the window of the queue.
	replayWindow = 50
	requestEnd   = ".request"
	resultEnd    = ".result"
	replayPrefix = "replay-"
	requestMax   = 64 << 10
)

// A replay sends delivered records again because a person asked for it. This file has
// both sides of a request: Replayer in the agent, and AskReplay in the command that
// asks it.

// ReplayRequest asks to send kept records again. It is a file in data_dir: whoever may
// write to that folder may ask, and the local HTTP stays read-only.
type ReplayRequest struct {
	Device  string    `json:"device,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"`
	Requeue bool      `json:"set_aside,omitempty"` // put quarantined records back into the queue
}

// ReplayResult is the answer, a file beside the request.
type ReplayResult struct {
	Sent     int    `json:"sent"`     // records that the broker confirmed again
	Requeued int    `json:"requeued"` // records that were quarantined and wait again
	Err      string `json:"error,omitempty"`
}

// Replayer sends delivered records again, with their old ids and replayed = 1,
// over the connection of the moment. What it sends goes beside the queue and,
// but for quarantined records that are put back, changes nothing in the store.
//
// It keeps to the broker's settings: to ReplayRate, and to half of the window and
// replayWindow, because the queue may be sent at the same time.
type Replayer struct {
	Queue      *buffer.Queue
	Window     int // records of the queue in flight at most
	ReplayRate int // records a second at most, 0 = no limit
	Topic      func(lane string) string
	Conn       func() Conn // the connection of the moment, nil = none
	Dir        string      // where requests are left
	Log        *slog.Logger

	served map[string]bool // requests that are answered and whose file could not be removed
}

// Run looks for requests until ctx ends.
func (r *Replayer) Run(ctx context.Context) {
	tick := time.NewTicker(replayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		files := slices.DeleteFunc(r.requests(), func(file string) bool { return r.served[file] })
		if len(files) == 0 {
			continue
		}
		working, done := context.WithCancel(ctx)
		var shown sync.WaitGroup
		shown.Go(func() { r.showWork(working) })
		for _, file := range files {
			r.serve(ctx, file)
		}
		done()
		shown.Wait()
	}
}

func (r *Replayer) requests() []string {
	files, _ := filepath.Glob(filepath.Join(r.Dir, replayPrefix+"*"+requestEnd))
	return files
}

// showWork changes the time of all requests again and again until ctx ends: whoever
// left one sees by it that the agent is at work, and waits.
func (r *Replayer) showWork(ctx context.Context) {
	tick := time.NewTicker(replayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, file := range r.requests() {
				_ = os.Chtimes(file, now, now) // gone meanwhile: it is answered
			}
		}
	}
}

// serve answers one request. A request that is cut short by a stop stays and is
// served at the next start.
func (r *Replayer) serve(ctx context.Context, file string) {
	req, err := readRequest(file)
	var result ReplayResult
	if err == nil {
		result, err = r.Replay(ctx, req)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		result.Err = err.Error()
	}
	if _, gone := os.Stat(file); errors.Is(gone, os.ErrNotExist) { // nobody waits for the answer
		r.Log.Info("replay that nobody waits for any more", "since", req.Since, "sent", result.Sent, "err", result.Err)
		return
	}
	r.Log.Info("replay", "since", req.Since, "set_aside", req.Requeue, "sent", result.Sent, "requeued", result.Requeued, "err", result.Err)
	answer, err := json.Marshal(result)
	if err == nil {
		err = durable.WriteFile(strings.TrimSuffix(file, requestEnd)+resultEnd, answer, 0o600)
	}
	removed := os.Remove(file)
	if removed != nil { // the disk accepts no changes: the request is not served again and again
		if r.served == nil {
			r.served = map[string]bool{}
		}
		r.served[file] = true
	}
	if err = errors.Join(err, removed); err != nil {
		r.Log.Error("answer replay request", "file", file, "err", err)
	}
}

func readRequest(file string) (req ReplayRequest, err error) {
	f, err := os.Open(file)
	if err != nil {
		return req, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, requestMax+1))
	if err == nil && len(b) > requestMax {
		err = fmt.Errorf("replay request has more than %d bytes", requestMax)
	}
	if err == nil {
		err = json.Unmarshal(b, &req)
	}
	return req, err
}

// Replay puts quarantined records back into the queue if the request says so, then
// sends the delivered records that it chooses, oldest first, and waits for the
// broker's confirmations.
func (r *Replayer) Replay(ctx context.Context, req ReplayRequest) (out ReplayResult, err error) {
	if req.Requeue {
		list, broken := r.Queue.Quarantined()
		defer func() { err = errors.Join(broken, err) }() // what cannot be read stays there, and keeps back nothing else
		for _, one := range list {
			if err := r.Queue.Requeue(one.Pos); err != nil {
				return out, err
			}
			out.Requeued++
		}
	}
	if req.Since.IsZero() {
		return out, nil
	}
	conn := r.Conn()
	if conn == nil {
		return out, errors.New("no broker is connected now; try again when `roomcall status` says connected")
	}
	young, cancel := context.WithTimeout(ctx, provenWithin)
	conn.WaitProof(young)
	cancel()
	if !conn.Deliverable() {
		return out, errNotDeliverable
	}

	var flight []Receipt // oldest first
	await := func(left int) error {
		for ; len(flight) > left; flight = flight[1:] {
			select {
			case <-flight[0].Done():
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := flight[0].Err(); err != nil {
				return err
			}
			out.Sent++
		}
		return nil
	}
	window, rate := min(max(1, r.Window/2), replayWindow), newRateLimit(r.ReplayRate)
	chosen := report.Filter{Device: req.Device, Since: req.Since, Until: req.Until}
	err = r.Queue.Scan(func(it buffer.Item, delivered bool) error {
		if err := ctx.Err(); err != nil || !delivered || !chosen.Match(record.Device(it.Lane), it.Time) {
			return err
		}
		if err := await(window - 1); err != nil {
			return err
		}
		for wait := rate.take(time.Now()); wait > 0; wait = rate.take(time.Now()) {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !conn.Deliverable() {
			return errNotDeliverable
		}
		receipt, err := conn.Publish(publish.Message{Topic: r.Topic(it.Lane), Payload: report.MarkReplayed(it.Payload)})
		if err == nil {
			flight = append(flight, receipt)
		}
		return err
	})
	if err == nil {
		err = await(0)
	}
	return out, err
}

var errNotDeliverable = errors.New("the broker accepts no records now; see `roomcall status`")

// AskReplay leaves a request for the agent that has the store in dir open, and
// waits for its answer for as long as the agent is at work.
func AskReplay(ctx context.Context, dir string, req ReplayRequest) (out ReplayResult, err error) {
	name := filepath.Join(dir, replayPrefix+strconv.Itoa(os.Getpid()))
	_ = os.Remove(name + resultEnd) // of an earlier process with this number
	b, err := json.Marshal(req)
	if err == nil {
		err = durable.WriteFile(name+requestEnd, b, 0o600)
	}
	if err != nil {
		return out, fmt.Errorf("leave a request for the running agent: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var worked os.FileInfo // the request when the agent showed last that it is at work
	since := time.Now()
	for {
		if now, err := os.Stat(name + requestEnd); err == nil && (worked == nil || !now.ModTime().Equal(worked.ModTime())) {
			worked, since = now, time.Now()
		}
		err := ctx.Err()
		if time.Since(since) > replayPatience {
			err = fmt.Errorf("the running agent has shown no work for %s", replayPatience)
		}
		if err != nil {
			return out, errors.Join(err, os.Remove(name+requestEnd))
		}
		select {
		case <-ctx.Done():
			continue
		case <-tick.C:
		}
		b, err := os.ReadFile(name + resultEnd)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(json.Unmarshal(b, &out), os.Remove(name+resultEnd))
		}
		return out, err
	}
}
