package main

import (
	"fmt"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/publish"
)

// newReporter makes the reporter of a config. epoch is the store's; peerKey
// keys hashed names.
func newReporter(cfg *config.Config, epoch int64, peerKey []byte) (*report.Reporter, error) {
	s := report.Settings{
		ClientID: cfg.Agent.ClientID, Site: cfg.Agent.Site, Version: version, Epoch: epoch,
		Kinds: cfg.Publish.Kinds, Views: cfg.Publish.Views, PeerKey: peerKey,
	}
	for _, e := range cfg.Endpoints {
		limits, err := profileOf(cfg, e.Limits)
		if err != nil {
			return nil, configError{err}
		}
		s.Devices = append(s.Devices, report.Device{
			Name: e.Device, Room: e.Room, PollInterval: e.PollInterval, IdleInterval: e.IdleInterval,
			PeerNames: e.PeerNames, Limits: limits,
		})
	}
	return report.New(s)
}

// profileOf gives the limits that an endpoint names: built in or configured.
func profileOf(cfg *config.Config, name string) (report.Profile, error) {
	table, ok := cfg.Limits[name]
	if !ok {
		p, ok := report.ProfileByName(name)
		if !ok {
			return p, fmt.Errorf("limits: unknown profile %q", name)
		}
		return p, nil
	}
	return report.NewProfile(name, table.Base, table.Values)
}

func (a *agent) makeReporter() (err error) {
	key, err := peerKey(a.cfg.Agent)
	if err != nil {
		return err
	}
	a.reporter, err = newReporter(a.cfg, a.queue.Epoch(), key)
	return err
}

// makeClient prepares the way to the broker; it connects to nothing yet.
func (a *agent) makeClient() (err error) {
	cfg := publishConfig(a.cfg)
	birth := a.reporter.Birth(report.BirthInfo{Started: a.started, ConfigHash: a.cfg.Hash(), StartReason: a.reason})
	proof := make(chan struct{}, 1)
	cfg.Birth = func() []byte { return birth }
	cfg.Logger = a.log
	cfg.OnProof = func(p publish.Proof) {
		a.proofDecided(p)
		select {
		case proof <- struct{}{}:
		default:
		}
	}
	if a.client, err = publish.New(cfg); err != nil {
		return configError{err}
	}
	a.drainer = &drainer{
		queue: a.queue, client: a.client, live: a.live, window: a.cfg.MQTT.MaxInflight,
		pace: newPace(a.cfg.MQTT.ReplayRate), proof: proof, announce: a.recorder.announce,
		log: a.log, repeats: newRepeats(a.log), stats: newDeliveryStats(), memory: a.memory, steady: suspectSteady,
	}
	return nil
}

// proofDecided logs the result of a delivery proof, a lasting doubt as a warning
// only at its start, and announces a failed one once for as long as it lasts.
// "Pending", which stands between two connections, decides nothing.
func (a *agent) proofDecided(p publish.Proof) {
	if p.State == publish.ProofPending {
		return
	}
	changed := a.proof.Swap(string(p.State)) != string(p.State)
	switch {
	case p.State == publish.ProofFailed:
		a.log.Error("delivery proof failed, records are kept", "detail", p.Detail, "hint", p.Hint)
		if changed {
			a.recorder.announce(undeliveredEvent(time.Now(), p))
		}
	case p.State == publish.ProofUnproven && changed:
		a.log.Warn("delivery unproven", "detail", p.Detail, "hint", p.Hint)
	default:
		a.log.Info("delivery "+string(p.State), "detail", p.Detail)
	}
}

// publishConfig is the way to the broker as configured.
func publishConfig(c *config.Config) publish.Config {
	m := c.MQTT
	return publish.Config{
		Brokers: m.Brokers, ClientID: c.Agent.ClientID,
		Username: m.Username, Password: m.Password.Reveal(),
		CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile, ServerName: m.ServerName,
		InsecureSkipVerify: m.InsecureSkipVerify, Prefix: m.TopicPrefix, Confirm: m.Confirm,
		KeepAlive: m.KeepAlive, MaxInflight: m.MaxInflight,
		ReconnectMin: m.ReconnectMin, ReconnectMax: m.ReconnectMax,
	}
}
