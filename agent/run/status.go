package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/publish"
)

var _ web.Source = (*Agent)(nil)

// Status is a snapshot of the whole agent, for the local HTTP.
func (a *Agent) Status() health.Status {
	now := time.Now()
	path, err := filepath.Abs(a.cfg.Path) // who asks is in another folder
	if err != nil {
		path = a.cfg.Path
	}
	s := health.Status{
		Version: a.version, ClientID: a.cfg.Agent.ClientID, Site: a.cfg.Agent.Site,
		Started: a.started, StartReason: a.reason, UptimeS: int64(now.Sub(a.started).Seconds()),
		ConfigPath: path, ConfigHash: a.cfg.Hash(), WrittenHash: a.cfg.WrittenHash(), Broker: brokerStatus(a.client.Status(), a.cfg.MQTT.Brokers[0]),
	}
	s.Refused = a.refused.Load()
	if away := a.brokerAway(); !away.IsZero() {
		s.Broker.Since = away
	}
	s.Warnings = append(s.Warnings, a.warnings...)
	s.Limits = map[string]map[string]float64{}
	for i, p := range a.pollers {
		e := &a.cfg.Endpoints[i]
		if s.Limits[e.Limits] == nil {
			if profile, err := profileOf(a.cfg, e.Limits); err == nil {
				s.Limits[e.Limits] = profile.Values()
			}
		}
		s.Endpoints = append(s.Endpoints, endpointStatus(e, p.Stats(), a.newest.Of(p.Device), a.newest.Standing(p.Device)))
	}
	did, sent := a.recorder.Stats(), a.drainer.Stats()
	s.Buffer = bufferStatus(a.queue.Info(), did, sent)
	s.Buffer.Collected, s.Buffer.CommitIntervalS = did.Collected, a.cfg.Buffer.CommitInterval.Seconds()
	s.Buffer.DiskFree = a.free.get(func() (int64, error) { return host.DiskFree(a.cfg.Agent.DataDir) })
	s.Broker.Acked = sent.Acked
	a.unhealthy.show(&s.Broker, now)
	s.HTTP = a.page.status()
	logged := a.sink.State()
	s.Log = health.Log{Lost: logged.Lost, Failing: logged.Failing, Elsewhere: a.logProblem}
	if logged.Err != nil {
		s.Log.Error = logged.Err.Error()
	}
	s.Identity = health.Identity{
		Epoch: a.queue.Epoch(), ComparedWith: did.Compared, ComparedAll: did.ComparedAll, Compared: did.ComparedAt,
		NewEpoch: did.NewEpoch, NewEpochAt: did.NewEpochAt,
	}
	s.Clock = health.Clock{Steps: did.ClockSteps, LastStep: did.LastStep, LastStepS: did.StepBy.Seconds()}
	if synchronized, known := host.ClockSynchronized(); known {
		s.Clock.Synchronized = &synchronized
	}
	if s.Broker.Proof == string(publish.ProofFailed) {
		s.Broker.Class, s.Broker.Error = "acl", a.client.Status().Proof.Detail
	}
	return s
}

// brokerAway is since when there is no connection to the broker, zero = there is one. A
// reload does not begin it anew.
func (a *Agent) brokerAway() time.Time {
	p := a.client.Status()
	switch {
	case p.State == publish.Connected:
		return time.Time{}
	case p.Connects == 0 && !a.away.IsZero():
		return a.away
	}
	return p.Since
}

// lang is the language of what people read: as configured, else as the system's.
func (a *Agent) lang() health.Lang { return Lang(a.cfg) }

// Lang is the language of what a config's agent and commands tell people.
func Lang(cfg *config.Config) health.Lang { return health.Language(cfg.Agent.Language, host.Locale()) }

// brokerWords are the words of the status for the classes of trouble.
var brokerWords = map[publish.Class]string{
	publish.ClassBadCertificate: "certificate", publish.ClassRefusedLogin: "login",
}

func brokerStatus(p publish.Status, first string) health.Broker {
	b := health.Broker{
		URL: p.Broker, State: string(p.State), Since: p.Since,
		Proof: string(p.Proof.State), ProofDetail: p.Proof.Detail, ProofSince: p.Proof.Since, SameIDSince: p.SameIDSince,
		Connects: p.Connects, Losses: p.Losses, Failures: p.Failures, Skipped: p.Skipped, Ignored: p.Ignored, Published: p.Published, Acked: p.Acked,
		InFlight: p.InFlight, LastAck: p.LastAck,
	}
	advise := func(a health.Advice) { b.Advice, b.Hint = a, health.English.HintFor(a.Code, a.Facts) }
	code, facts := p.Proof.Advice()
	advise(health.Advice{Code: code, Facts: facts})
	for _, r := range p.LeftOut {
		b.LeftOut = append(b.LeftOut, health.LeftOut{What: string(r.Extra), Since: r.Since, Until: r.Until})
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
		b.Error, b.Class = e.Error(), string(e.Class)
		advise(health.AdviceOf(e))
		if word := brokerWords[e.Class]; word != "" {
			b.Class = word
		}
		if e.Class == publish.ClassRefusedLogin {
			b.State = "refused"
		}
	}
	return b
}

// bufferStatus is the store's part of the status, from what it says of itself, what
// the recorder put in and what the drain took out.
func bufferStatus(in buffer.Info, did record.Stats, sent drain.Stats) health.Buffer {
	b := health.Buffer{
		State: "open", Waiting: in.Waiting, Oldest: in.Oldest, DeliveredKept: in.DeliveredKept,
		BytesOnDisk: in.DiskBytes, MaxBytes: in.MaxBytes, Segments: in.Segments,
		Quarantined: uint64(in.Quarantined), DamagedFiles: len(DamagedFiles(in.Dir)),
		Appended: did.Appended, AppendedByKind: did.AppendedByKind, Evicted: did.Evicted, MemoryHeld: did.Held,
		Acked: sent.Acked, AckedByKind: sent.AckedByKind,
	}
	for _, m := range did.Missed {
		b.Missed = append(b.Missed, health.Missed{Device: m.Device, Reason: m.Reason, Count: m.Count, Last: m.Last})
	}
	if did.Err == nil {
		return b
	}
	b.State, b.Error, b.Cause, b.Since = "failed", did.Err.Error(), record.StoreCause(did.Err), did.FailingSince
	if errors.Is(did.Err, buffer.ErrFull) {
		b.State = "full"
	}
	b.Hint = health.English.HintFor(health.StoreCode(b), nil)
	return b
}

// endpointStatus is an endpoint's part of the status; newest is its newest accepted
// sample, which brings the call and its grade.
func endpointStatus(e *config.Endpoint, p poll.Stats, newest json.RawMessage, standing health.Standing) health.Endpoint {
	v := health.Endpoint{
		Device: e.Device, Room: e.Room, URL: e.URL, Model: p.Model, State: p.State, InCall: p.InCall,
		SourceAPI: p.SourceAPI, Err: p.Err, Advice: p.Advice, AdviceSince: p.AdviceSince, Hint: health.English.HintFor(p.Advice.Code, p.Advice.Facts), Limits: e.Limits,
		LastPoll: p.LastPoll, LastOK: p.LastOK, NextPoll: p.NextPoll, IntervalS: p.Interval.Seconds(),
		PollMs: float64(p.Took.Microseconds()) / 1000, Polls: p.Polls, Failures: p.Failures, Skipped: p.Skipped,
		NotUnderstood: p.NotUnderstood, Sample: newest, Standing: standing,
	}
	var meaning struct {
		CallID       string `json:"call_id"`
		Grade        string `json:"grade"`
		GradeReasons string `json:"grade_reasons"`
	}
	if v.Err == "" && newest != nil && json.Unmarshal(newest, &meaning) == nil {
		v.CallID, v.Grade, v.GradeReasons = meaning.CallID, meaning.Grade, meaning.GradeReasons
	}
	return v
}

// Samples are the newest accepted samples.
func (a *Agent) Samples(device string, since time.Time, max int) (list []json.RawMessage, cut bool) {
	return a.newest.Samples(device, since, max)
}

// Buffer is what `buffer info --json` prints.
func (a *Agent) Buffer(context.Context) (json.RawMessage, error) {
	return json.Marshal(StoreInfoOf(a.queue.Info()))
}

// Export writes the records' payloads, one a line.
func (a *Agent) Export(ctx context.Context, w io.Writer, f web.Filter) error {
	return a.queue.Scan(Exporter(ctx, w, f))
}

// Verify checks the store's sealed files, as `buffer verify --json` prints it.
func (a *Agent) Verify(context.Context) (json.RawMessage, error) {
	return json.Marshal(VerificationOf(a.queue.Verify()))
}
