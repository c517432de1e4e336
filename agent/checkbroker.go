package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/web"
	"roomcall/publish"
)

// proofPatience bounds the wait for a connection and its delivery proof.
const proofPatience = 40 * time.Second

// broker goes the way to every broker. While the agent runs its own connection
// is looked at instead: a second one with its client id would throw it out.
func (c *checker) broker(ctx context.Context, cfg *config.Config) {
	if st, ok := runningStatus(ctx, cfg); ok {
		c.runningBroker(st.Broker)
		return
	}
	for _, url := range cfg.MQTT.Brokers {
		c.oneBroker(ctx, cfg, url)
	}
}

// runningStatus asks the agent of this config, if one runs.
func runningStatus(ctx context.Context, cfg *config.Config) (st web.Status, ok bool) {
	if cfg.Agent.HTTPListen == "" {
		return st, false
	}
	body, err := askAgent(ctx, cfg, "/api/v1/status")
	if err != nil || json.Unmarshal(body, &st) != nil {
		return st, false
	}
	return st, st.ClientID == cfg.Agent.ClientID
}

func (c *checker) runningBroker(b web.Broker) {
	s := stage{Name: "broker", Result: stageOK, Detail: fmt.Sprintf("%s: the running agent is %s", b.URL, b.State)}
	if b.State != string(publish.Connected) {
		s.Result, s.Hint = stageFail, b.Hint
		s.Detail += ": " + b.Error
		c.add(s)
		return
	}
	c.add(s)
	c.add(proofStage(publish.Proof{State: publish.ProofState(b.Proof), Detail: b.ProofDetail, Hint: b.Hint}, time.Now()))
}

// brokerStages are the stages of a connection and the class of trouble that
// each stands for.
var brokerStages = []struct {
	name  string
	class publish.Class
}{
	{"broker tcp", publish.ClassUnreachable},
	{"broker tls", publish.ClassBadCertificate},
	{"broker login", publish.ClassRefusedLogin},
}

// oneBroker connects to one broker and waits for the delivery proof.
func (c *checker) oneBroker(ctx context.Context, cfg *config.Config, url string) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	one := publishConfig(cfg)
	one.Brokers = []string{url}
	client, err := publish.New(one)
	if err != nil {
		c.add(stage{Name: "broker", Result: stageFail, Detail: err.Error(), Hint: hintOf(err), TookMs: since(start)})
		return
	}
	conn, err := client.Connect(ctx)
	c.connected(client, err, start)
	if err != nil {
		return
	}
	proofStart := time.Now()
	proof := conn.WaitProof(ctx)
	for proof.State == publish.ProofPending && ctx.Err() == nil {
		if conn, err = client.Connect(ctx); err != nil { // the broker was asked by MQTT 5 in between
			c.add(stage{Name: "broker echo", Result: stageFail, Detail: err.Error(), Hint: hintOf(err), TookMs: since(proofStart)})
			return
		}
		proof = conn.WaitProof(ctx)
	}
	c.add(proofStage(proof, proofStart))
	_ = conn.Close(ctx)
}

// connected shows the stages up to the one that failed.
func (c *checker) connected(client *publish.Client, err error, start time.Time) {
	st := client.Status()
	var why *publish.Error
	errors.As(err, &why)
	for _, b := range brokerStages {
		if b.class == publish.ClassBadCertificate && st.BrokerCertExpires.IsZero() && (why == nil || why.Class != b.class) {
			continue
		}
		s := stage{Name: b.name, Result: stageOK, Detail: st.Broker, TookMs: since(start)}
		if b.class == publish.ClassBadCertificate && !st.BrokerCertExpires.IsZero() {
			s.Detail += fmt.Sprintf(", certificate valid until %s", st.BrokerCertExpires.UTC().Format(time.DateOnly))
		}
		if why != nil && (why.Class == b.class || b.class == publish.ClassRefusedLogin) {
			s.Result, s.Detail, s.Hint = stageFail, why.Error(), why.Hint
			c.add(s)
			return
		}
		c.add(s)
	}
}

func proofStage(p publish.Proof, start time.Time) stage {
	s := stage{Name: "broker echo", Result: stageOK, Detail: string(p.State), Hint: p.Hint, TookMs: since(start)}
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
