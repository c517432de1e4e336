package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"time"

	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/publish"
)

var _ web.Source = (*agent)(nil)

// Status is a snapshot of the whole agent, for the local HTTP.
func (a *agent) Status() web.Status {
	now := time.Now()
	s := web.Status{
		Version: version, ClientID: a.cfg.Agent.ClientID, Site: a.cfg.Agent.Site,
		Started: a.started, StartReason: a.reason, UptimeS: int64(now.Sub(a.started).Seconds()),
		ConfigPath: a.cfg.Path, ConfigHash: a.cfg.Hash(), Warnings: append(a.notices.all(), a.warnings...),
		Broker: brokerStatus(a.client.Status(), a.cfg.MQTT.Brokers[0]),
	}
	for _, p := range a.pollers {
		s.Endpoints = append(s.Endpoints, p.stats.snapshot(a.live.newest(p.device)))
	}
	s.Buffer = a.bufferStatus()
	a.recorder.stats.fill(&s)
	a.drainer.stats.fill(&s)
	if s.Broker.Proof == string(publish.ProofFailed) {
		s.Broker.Class, s.Broker.Error = "acl", a.client.Status().Proof.Detail
	}
	return s
}

// brokerWords are the words of the status for the classes of trouble.
var brokerWords = map[publish.Class]string{
	publish.ClassBadCertificate: "certificate", publish.ClassRefusedLogin: "login",
}

func brokerStatus(p publish.Status, first string) web.Broker {
	b := web.Broker{
		URL: p.Broker, State: string(p.State), Since: p.Since,
		Proof: string(p.Proof.State), ProofDetail: p.Proof.Detail, Hint: p.Proof.Hint,
		Connects: p.Connects, Losses: p.Losses, Published: p.Published, Acked: p.Acked,
		InFlight: p.InFlight, LastAck: p.LastAck,
	}
	if b.URL == "" {
		b.URL = first
	}
	if p.State == publish.Connected {
		return b
	}
	if p.State == publish.Disconnected {
		b.State = "waiting"
	}
	if e := p.LastError; e != nil {
		b.Error, b.Hint, b.Class = e.Error(), e.Hint, string(e.Class)
		if word := brokerWords[e.Class]; word != "" {
			b.Class = word
		}
		if e.Class == publish.ClassRefusedLogin {
			b.State = "refused"
		}
	}
	return b
}

func (a *agent) bufferStatus() web.Buffer {
	in := a.queue.Info()
	b := web.Buffer{
		State: "open", Waiting: in.Waiting, Oldest: in.Oldest, DeliveredKept: in.DeliveredKept,
		BytesOnDisk: in.DiskBytes, MaxBytes: in.MaxBytes, Segments: in.Segments,
		Quarantined: uint64(in.Quarantined), DamagedFiles: len(damagedFiles(in.Dir)),
	}
	if free, err := diskFree(a.cfg.Agent.DataDir); err == nil {
		b.DiskFree = &free
	}
	return b
}

// fill adds what the recorder knows.
func (s *recordStats) fill(st *web.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &st.Buffer
	b.Appended, b.Evicted, b.MemoryHeld = s.total, s.evicted, s.held
	b.AppendedByKind = maps.Clone(s.appended)
	st.Clock = web.Clock{Synchronized: synchronized(), Steps: s.steps, LastStep: s.lastStep, LastStepS: s.stepBy.Seconds()}
	if s.err == nil {
		return
	}
	b.State, b.Error = "failed", s.err.Error()
	if errors.Is(s.err, buffer.ErrFull) {
		b.State, b.Hint = "full", "free space on the disk that holds data_dir"
	}
}

// synchronized tells what the system says of its clock; nil = nothing.
func synchronized() *bool {
	ok, known := clockSynchronized()
	if !known {
		return nil
	}
	return &ok
}

// Samples are the newest accepted samples.
func (a *agent) Samples(device string, since time.Time, max int) []json.RawMessage {
	list := a.live.samples(device, since)
	if over := len(list) - max; over > 0 {
		list = list[over:]
	}
	return list
}

// Buffer is what `buffer info --json` prints.
func (a *agent) Buffer(context.Context) (json.RawMessage, error) {
	return json.Marshal(infoJSON(a.queue.Info()))
}

// Export writes the records' payloads, one a line.
func (a *agent) Export(ctx context.Context, w io.Writer, f web.Filter) error {
	return a.queue.Scan(exporter(ctx, w, f))
}

// Verify checks the store's sealed files, as `buffer verify --json` prints it.
func (a *agent) Verify(context.Context) (json.RawMessage, error) {
	return json.Marshal(verdictsJSON(a.queue.Verify()))
}
