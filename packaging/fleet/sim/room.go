package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/host"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/agent/run"
	"roomcall/buffer"
	"roomcall/publish"
)

// room is an agent with one endpoint, wired as agent/run does it: the real loops, the real
// store, the real connection. What an agent has beside them is not there: the endpoint's
// HTTP, the status page, the watchdog, the look at its own health. Its health message says
// that all is well.
type room struct {
	cfg      *config.Config
	queue    *buffer.Queue
	reporter *report.Reporter
	recorder *record.Recorder
	drainer  *drain.Drainer
	client   *publish.Client
	newest   *record.Newest
	loop     *poll.Loop
	started  time.Time
}

// device is the endpoint's name in each room.
const device = "main"

// configOf is the config of room number n: that of the fleet with a client id, a user and
// a store of its own.
func configOf(fleet *config.Config, n int, stores string) *config.Config {
	c := *fleet
	c.Agent.ClientID = fmt.Sprintf("%s-%05d", fleet.Agent.ClientID, n)
	c.Agent.DataDir = filepath.Join(stores, c.Agent.ClientID)
	if fleet.MQTT.Username == fleet.Agent.ClientID { // an agent's user is its client id, as the shipped access list has it
		c.MQTT.Username = c.Agent.ClientID
	}
	e := fleet.Endpoints[0]
	e.Device, e.Room = device, fmt.Sprint("Room ", n)
	c.Endpoints = []config.Endpoint{e}
	return &c
}

// clocks are those of the machine, unless fake: in the fake time of a test the machine's
// own clock would run against it.
type clocks struct{ fake bool }

func (c clocks) now() host.Reading {
	if c.fake {
		return host.Reading{Wall: time.Now()}
	}
	return host.Now()
}

// Submit hands a poll on with the right clock.
type submitter struct {
	*record.Recorder
	clocks
}

func (s submitter) Submit(p report.Poll, others int) {
	if s.fake {
		p.Boot = host.Boot{}
	}
	s.Recorder.Submit(p, others)
}

// newRoom opens the store; the caller must call close.
func newRoom(cfg *config.Config, e poll.Endpoint, dial func(context.Context, string, string) (net.Conn, error), c clocks) (*room, error) {
	r := &room{cfg: cfg, newest: record.NewNewest(1), started: time.Now()}
	r.newest.StateInterval = cfg.Publish.StateInterval
	quiet := slog.New(slog.DiscardHandler)
	opts := run.StoreOptions(cfg)
	if c.fake {
		opts.Uptime = nil
	}
	var err error
	if r.queue, err = buffer.Open(opts); err != nil {
		return nil, err
	}
	if r.reporter, err = run.NewReporter("simulated", cfg, r.queue.Epoch(), nil); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.recorder, err = record.New(record.Options{
		Reporter: r.reporter, Store: r.queue, Saved: r.queue.State(), Newest: r.newest, Devices: 1,
		MaxBytes: cfg.Buffer.MaxBytes, Log: quiet, Clock: c.now,
	})
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.drainer = drain.New(drain.Options{
		Queue: r.queue, Newest: r.newest, Window: cfg.MQTT.MaxInflight, ReplayRate: cfg.MQTT.ReplayRate,
		Announce: r.recorder.Announce, Ended: func(error) { r.recorder.Offline() }, Log: quiet,
	})
	p := run.PublishConfig(cfg)
	p.Birth = func() []byte { return r.birth(false) }
	p.ShortBirth = func() []byte { return r.birth(true) }
	p.Echo, p.OnRecall, p.OnProof, p.Dial = r.recorder.Echo, r.compare, r.drainer.Proof, dial
	if r.client, err = publish.New(p); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.drainer.Broker = drain.Client{Client: r.client}
	r.loop = poll.New([]poll.Config{{
		Device: device, Endpoint: e, InCallEvery: cfg.Endpoints[0].PollInterval,
		IdleEvery: cfg.Endpoints[0].IdleInterval, Timeout: cfg.Endpoints[0].Timeout,
	}}, submitter{r.recorder, c}, quiet)[0]
	return r, nil
}

func (r *room) close() error { return r.queue.Close() }

func (r *room) birth(short bool) []byte {
	return r.reporter.WithEpoch(r.queue.Epoch()).Birth(report.BirthInfo{
		Started: r.started, ConfigHash: r.cfg.Hash(), StartReason: "start", Short: short,
	})
}

func (r *room) compare(ctx context.Context, seen publish.Recalled) {
	var list []report.Identity
	for _, m := range seen.Messages {
		if id, ok := report.ReadIdentity(m.Payload); ok {
			list = append(list, id)
		}
	}
	select {
	case <-r.recorder.Compare(list, seen.Complete):
	case <-ctx.Done():
	}
}

// serve records and publishes until ctx ends. Polling is apart, see fleet.
func (r *room) serve(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { r.recorder.Run(ctx) })
	loops.Go(func() { r.publishHealth(ctx) })
	r.recorder.Announce(record.Event{At: r.started, AgentEvent: report.AgentEvent{Type: "agent.started", Reason: "start"}})
	leaving, leave := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
	defer leave()
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, leave) })
	r.drainer.Run(ctx, leaving)
	loops.Wait()
}

const (
	healthEvery = 5 * time.Minute // as agent/run
	healthLook  = 2 * time.Second
)

// publishHealth sends the health message on each new connection and every 5 minutes.
func (r *room) publishHealth(ctx context.Context) {
	tick := time.NewTicker(healthLook)
	defer tick.Stop()
	var on drain.Conn
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		conn := r.drainer.Conn()
		if conn == nil || conn == on && time.Since(at) < healthEvery || !conn.Deliverable() {
			continue
		}
		payload := r.reporter.WithEpoch(r.queue.Epoch()).Health(report.HealthInfo{
			At: time.Now(), Status: "ok", StoreOK: true, Endpoints: 1, Waiting: r.queue.Info().Waiting,
		})
		if _, err := conn.Publish(publish.Message{Topic: r.client.Topic("health"), Payload: payload, Retain: true}); err == nil {
			on, at = conn, time.Now()
		}
	}
}

// replay is `roomcall buffer replay --since`.
func (r *room) replay(ctx context.Context, since time.Time) error {
	rep := drain.Replayer{Queue: r.queue, Topic: r.client.Topic, Conn: r.drainer.Conn}
	_, err := rep.Replay(ctx, drain.ReplayRequest{Since: since})
	return err
}

// proven says whether the connection of the moment has proven that it delivers.
func (r *room) proven() bool {
	s := r.client.Status()
	return s.State == publish.Connected && s.Proof.State == publish.ProofProven
}
