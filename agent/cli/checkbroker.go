package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/run"
	"roomcall/publish"
)

// proofPatience bounds the wait for a connection and its delivery proof.
const proofPatience = 40 * time.Second

// settlePatience bounds the wait for a running agent that has just started.
const settlePatience = 8 * time.Second

// broker goes the way to every broker. While the agent runs its own connection
// is looked at instead: a second one with its client id would throw it out.
func (c *checker) broker(ctx context.Context, cfg *config.Config) {
	if b, ok := settledBroker(ctx, cfg); ok {
		c.runningBroker(b)
		return
	}
	for i := range cfg.MQTT.Brokers {
		c.oneBroker(ctx, cfg, i)
	}
}

// settledBroker asks the running agent until its connection and proof are
// decided, or it says what fails. ok: an agent runs.
func settledBroker(ctx context.Context, cfg *config.Config) (b health.Broker, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		st, running := runningStatus(ctx, cfg)
		if !running {
			return b, ok
		}
		b, ok = st.Broker, true
		undecided := b.Error == "" && (b.State != string(publish.Connected) || b.Proof == string(publish.ProofPending))
		if !undecided {
			return b, true
		}
		select {
		case <-ctx.Done():
			return b, true
		case <-tick.C:
		}
	}
}

// runningStatus asks the agent of this config, if one runs.
func runningStatus(ctx context.Context, cfg *config.Config) (st health.Status, ok bool) {
	if cfg.Agent.HTTPListen == "" {
		return st, false
	}
	body, err := askAgent(ctx, cfg, "/api/v1/status")
	if err != nil || json.Unmarshal(body, &st) != nil {
		return st, false
	}
	return st, st.ClientID == cfg.Agent.ClientID
}

func (c *checker) runningBroker(b health.Broker) {
	s := stage{Name: "broker", Result: stageOK, Detail: fmt.Sprintf("%s: the running agent is %s", b.URL, b.State)}
	switch {
	case b.State == string(publish.Connected):
	case b.Error == "":
		s.Result, s.Hint = stageWarn, "ask again in a moment"
	default:
		s.Result, s.Hint = stageFail, b.Hint
		s.Detail += ": " + b.Error
	}
	c.add(s)
	if b.State == string(publish.Connected) {
		c.add(proofStage(publish.Proof{State: publish.ProofState(b.Proof), Detail: b.ProofDetail, Hint: b.Hint}))
	}
}

// oneBroker goes the way to one broker. While an agent that cannot be asked has
// the store open, another client id keeps the check from throwing it out.
func (c *checker) oneBroker(ctx context.Context, cfg *config.Config, index int) {
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	client, err := publish.New(run.PublishConfig(cfg))
	if err != nil {
		c.add(stage{Name: "broker", Result: stageFail, Detail: err.Error(), Hint: health.Hint(err)})
		return
	}
	name := "broker"
	if len(cfg.MQTT.Brokers) > 1 {
		name = fmt.Sprintf("broker %d", index+1)
	}
	for _, s := range client.Check(ctx, index, !c.running) {
		c.add(stage{
			Name: name + " " + s.Name, Result: resultOf(s.OK, s.Warn), Detail: s.Detail, Hint: s.Hint,
			TookMs: float64(s.Took.Microseconds()) / 1000,
		})
	}
}

func proofStage(p publish.Proof) stage {
	s := stage{Name: "broker echo", Result: stageOK, Detail: string(p.State), Hint: p.Hint}
	if p.Detail != "" {
		s.Detail += ": " + p.Detail
	}
	switch p.State {
	case publish.ProofProven:
	case publish.ProofFailed:
		s.Result = stageFail
	default:
		s.Result = stageWarn
	}
	return s
}
