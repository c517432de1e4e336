package publish

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"roomcall/publish/brokertest"
)

func TestCheckTellsEveryStageUpToTheFirstThatFails(t *testing.T) {
	ca := brokertest.NewCA(t)
	tests := []struct {
		name   string
		conf   brokertest.Conf
		pass   string
		stages string
		hint   Hint // of the last stage
		blind  bool // no verification
	}{
		{name: "all well", conf: brokertest.Conf{}, stages: "dns tcp login echo"},
		{name: "TLS", conf: brokertest.Conf{CA: ca}, stages: "dns tcp tls? login echo", hint: ""},
		{name: "TLS that is not verified", conf: brokertest.Conf{CA: ca}, blind: true, stages: "dns tcp tls? login echo"},
		{name: "websocket", conf: brokertest.Conf{WebSocket: true}, stages: "dns tcp login echo"},
		{name: "wrong password", conf: brokertest.Conf{Users: map[string]string{"agent": "right"}}, pass: secret, stages: "dns tcp login!", hint: hintLogin},
		{name: "no right to read", conf: brokertest.Conf{ACL: aclNoRead}, stages: "dns tcp login echo?", hint: hintNoRead},
		{name: "no right to write", conf: brokertest.Conf{ACL: aclNoWrite}, stages: "dns tcp login echo!", hint: hintNoWrite},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brokertest.Mosquitto(t, tt.conf)
			cfg := testConfig(s.URL())
			cfg.CAFile, cfg.ProofTimeout, cfg.InsecureSkipVerify = ca.File, proofTimeout, tt.blind
			tlsHint := hintEndsSoon
			if tt.blind {
				tlsHint = hintNotChecked
			}
			if tt.pass != "" {
				cfg.Username, cfg.Password = "agent", tt.pass
			}
			stages := runStages(t, newClient(t, cfg).Stages(0, false))
			if got := summary(stages); got != tt.stages {
				t.Errorf("stages are %q, want %q: %+v", got, tt.stages, stages)
			}
			for _, s := range stages {
				if s.name == "tls" && (!strings.Contains(s.detail, " days)") || s.hint() != tlsHint) {
					t.Errorf("the certificate of a test ends soon and is verified or not; detail: %s; hint: %s", s.detail, s.hint())
				}
			}
			last := stages[len(stages)-1]
			if last.hint() != tt.hint || strings.Contains(fmt.Sprint(last), secret) {
				t.Errorf("last stage: %+v", last)
			}
		})
	}
}

// outcome is what a stage of a check came to.
type outcome struct {
	name, detail string
	err          error
}

// runStages runs the stages in turn up to the first that fails.
func runStages(t *testing.T, stages []Stage) (all []outcome) {
	t.Helper()
	for _, s := range stages {
		detail, err := s.Run(testContext(t))
		all = append(all, outcome{s.Name, detail, err})
		if err != nil && classOf(err) != ClassWarning {
			break
		}
	}
	return all
}

func (o outcome) hint() Hint {
	var e *Error
	if errors.As(o.err, &e) {
		return e.Hint
	}
	return ""
}

// summary names the stages, with ? for a warning and ! for a failure.
func summary(stages []outcome) string {
	var names []string
	for _, s := range stages {
		switch {
		case classOf(s.err) == ClassWarning:
			s.name += "?"
		case s.err != nil:
			s.name += "!"
		}
		names = append(names, s.name)
	}
	return strings.Join(names, " ")
}

func TestCheckLeavesTheRunningAgentAlone(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/agent-1/availability"})
	c := newClient(t, testConfig(s.URL()))
	m := connect(t, c)
	sub.WaitFor("t/v1/agent-1/availability", "online")
	if stages := runStages(t, c.Stages(0, false)); summary(stages) != "dns tcp login echo" {
		t.Errorf("stages: %+v", stages)
	}
	if err := send(t, m, "room/sample", "x").Err(); err != nil {
		t.Errorf("the agent's connection: %v", err)
	}
	if got := texts(sub.Messages(), "t/v1/agent-1/availability"); len(got) != 1 {
		t.Errorf("availability said %v", got)
	}
}

// A will or an "online" of the check would speak for the agent.
func TestCheckDoesNotSpeakForTheAgent(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	if got := summary(runStages(t, newClient(t, testConfig(f.URL())).Stages(0, false))); got != "dns tcp login echo" {
		t.Fatalf("stages are %q", got)
	}
	for _, hello := range f.Connects() {
		if hello.Will != nil || hello.ClientID != "agent-1-check" {
			t.Errorf("the check said %+v", hello)
		}
	}
	if got := f.Received(); len(got) != 1 || got[0].Topic != "t/v1/agent-1/echo" {
		t.Errorf("the check published %+v, want an echo alone", got)
	}
}
