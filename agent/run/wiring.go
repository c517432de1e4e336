package run

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/host"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/publish"
)

// NewReporter makes the reporter of a config. epoch is the store's; peerKey
// keys hashed names.
func NewReporter(version string, cfg *config.Config, epoch int64, peerKey []byte) (*report.Reporter, error) {
	s := report.Settings{
		ClientID: cfg.Agent.ClientID, Site: cfg.Agent.Site, Version: version, Epoch: epoch,
		Kinds: cfg.Publish.Kinds, Views: cfg.Publish.Views, PeerKey: peerKey, Lang: Lang(cfg),
	}
	if zone, err := config.ParseZone(cfg.Publish.ViewTimezone); err == nil {
		s.ViewZone = zone
	}
	for _, e := range cfg.Endpoints {
		limits, err := profileOf(cfg, e.Limits)
		if err != nil {
			return nil, ConfigError{err}
		}
		s.Devices = append(s.Devices, report.Device{
			Name: e.Device, Room: e.Room, PollInterval: e.PollInterval, IdleInterval: e.IdleInterval,
			PeerNames: e.PeerNames, Limits: limits,
		})
	}
	return report.New(s)
}

// profileOf returns the limits that an endpoint names: built in or configured.
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

const (
	peerKeyFile = "peer-names.key"
	peerKeyMin  = 16 // bytes
)

// PeerKey is the key that hashes peer names. Without the file peer-names.key in
// data_dir it comes from the site, so that all agents of a site make the same
// hash; who knows the site can then test a guessed name. A file with the same
// random bytes on all agents of a site ends that.
func PeerKey(cfg config.Agent) ([]byte, error) {
	file := filepath.Join(cfg.DataDir, peerKeyFile)
	key, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		sum := sha256.Sum256([]byte("roomcall peer names\n" + cfg.Site))
		return sum[:], nil
	case err != nil:
		return nil, fmt.Errorf("read key of peer names: %w", err)
	case len(key) < peerKeyMin:
		return nil, fmt.Errorf("read key of peer names %s: %d bytes are too few, at least %d are needed", file, len(key), peerKeyMin)
	}
	return key, nil
}

func (a *Agent) openStore(ctx context.Context) error {
	opts := StoreOptions(a.cfg)
	opts.Logger, opts.Context = a.log, ctx
	q, err := buffer.Open(opts)
	if err != nil {
		return OpenError(opts.Dir, err)
	}
	a.queue = q
	a.findReason()
	return nil
}

func (a *Agent) makeReporter() (err error) {
	key, err := PeerKey(a.cfg.Agent)
	hashes := func(e config.Endpoint) bool { return e.PeerNames == "hash" }
	if err != nil && slices.ContainsFunc(a.cfg.Endpoints, hashes) { // else nobody needs the key
		return err
	}
	a.reporter, err = NewReporter(a.version, a.cfg, a.queue.Epoch(), key)
	return err
}

// makeDrainer prepares the way to the broker; it connects to nothing yet.
func (a *Agent) makeDrainer() (err error) {
	a.secret = newBrokerSecret(a.cfg.MQTT)
	a.drainer = drain.New(drain.Options{
		Queue: a.queue, Newest: a.newest, Window: a.cfg.MQTT.MaxInflight, ReplayRate: a.cfg.MQTT.ReplayRate,
		Announce: a.recorder.Announce, Ended: a.ended, Log: a.log,
		Retry: a.secret.retry,
	})
	cfg := PublishConfig(a.cfg)
	info := report.BirthInfo{Started: a.started, ConfigHash: a.cfg.Hash(), StartReason: a.reason, CommitInterval: a.cfg.Buffer.CommitInterval}
	cfg.Birth = func() []byte { return a.reporter.WithEpoch(a.queue.Epoch()).Birth(info) }
	short := info
	short.Short = true
	cfg.ShortBirth = func() []byte { return a.reporter.WithEpoch(a.queue.Epoch()).Birth(short) }
	cfg.Logger = a.log
	cfg.PasswordAgain = a.secret.again
	cfg.Echo, cfg.OnRecall = a.echo, a.compare
	cfg.OnProof = a.drainer.Proof
	if a.client, err = publish.New(cfg); err != nil {
		return ConfigError{err}
	}
	a.drainer.Broker = drain.Client{Client: a.client}
	return nil
}

// makeRecorder makes the recorder, which goes on from the store's states. The
// first commit keeps this run for the next start.
func (a *Agent) makeRecorder() (err error) {
	states := map[string][]byte{}
	if a.remember != nil {
		if states[runKey], err = json.Marshal(a.remember); err != nil {
			return err
		}
	}
	before := a.queue.Before()
	a.recorder, err = record.New(record.Options{
		Reporter: a.reporter, Store: a.queue, Saved: a.queue.State(), States: states,
		Copied: a.copied, Unsaid: a.unsaid, Newest: a.newest, Made: a.history.Add, Devices: len(a.cfg.Endpoints), MaxBytes: a.cfg.Buffer.MaxBytes,
		CommitInterval: a.cfg.Buffer.CommitInterval, Log: a.log,
		Clock: host.Now, Before: host.Reading{Wall: before.Wall, Boot: host.Boot{ID: before.Boot, Up: before.Up}},
	})
	return err
}

func (a *Agent) makePollers() error {
	pauses := readLoginPauses(a.cfg, a.log, host.Now)
	if !a.reload && slices.Contains([]string{"first", "start", "upgrade"}, a.reason) {
		pauses.endByRestart()
	}
	var list []poll.Config
	for _, e := range a.cfg.Endpoints {
		if pauses.works(e.Device) {
			pauses.set(e.Device, cgi.LoginPause{})
		}
		client, err := newEndpoint(e, a.log, func(c *cgi.Config) {
			c.LoginPause = pauses.of(e.Device)
			c.OnLoginPause = func(p cgi.LoginPause) { pauses.set(e.Device, p) }
			c.LoginWorks = func() bool { return pauses.works(e.Device) }
		})
		if err != nil {
			return err
		}
		list = append(list, poll.Config{
			Device: e.Device, Endpoint: client, InCallEvery: e.PollInterval, IdleEvery: e.IdleInterval, Timeout: e.Timeout,
		})
	}
	a.pollers = poll.New(list, a.recorder, a.log)
	return nil
}

// PublishConfig is the way to the broker as configured.
func PublishConfig(c *config.Config) publish.Config {
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

// StoreOptions are the store's settings of a config.
func StoreOptions(cfg *config.Config) buffer.Options {
	return buffer.Options{
		Dir:           cfg.Agent.DataDir,
		MaxBytes:      cfg.Buffer.MaxBytes,
		MaxAge:        cfg.Buffer.MaxAge,
		KeepDelivered: cfg.Buffer.KeepDelivered,
		Uptime: func() (string, time.Duration) {
			boot := host.Now().Boot
			return boot.ID, boot.Up
		},
	}
}

// ConfigError is a config that loads but cannot work.
type ConfigError struct{ Err error }

func (e ConfigError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e ConfigError) Unwrap() error { return e.Err }

// compare has the recorder compare the store with what the broker had retained of this
// agent, and waits until that is decided: publish sends no record before.
func (a *Agent) compare(ctx context.Context, r publish.Recalled) {
	var seen []report.Identity
	for _, m := range r.Messages {
		if id, ok := report.ReadIdentity(m.Payload); ok {
			seen = append(seen, id)
		}
	}
	a.log.Debug("compared the store with what the broker had retained", "broker", r.Broker,
		"messages", len(r.Messages), "with_identity", len(seen), "complete", r.Complete)
	if a.twins.confirmed(seen) {
		a.recorder.SameClientID()
	}
	select {
	case <-a.recorder.Compare(seen, r.Complete):
	case <-ctx.Done():
	}
}

// echo is what the broker keeps of this agent's identity.
func (a *Agent) echo() []byte {
	echo := a.recorder.Echo()
	a.twins.sent(echo)
	return echo
}

// ended tells the recorder that a connection has ended. Whether another agent was to
// blame turns out at the next one.
func (a *Agent) ended(why error) {
	var e *publish.Error
	if errors.As(why, &e) && e.Class == publish.ClassSameID {
		a.twins.suspect()
	}
	a.recorder.Offline()
}
