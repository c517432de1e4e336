package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"roomcall/cgi/cgitest"
)

const (
	demoUser     = "api"
	demoPassword = "demo-only"
	pollAction   = "WEB_GetMultiCallStatusInfoAPI"
)

// stage holds the demo's parts.
type stage struct {
	binary, dir string
	endpoint    *cgitest.Endpoint
	endpointURL string
	server      *http.Server
	broker      *broker
	brokerURL   string
	httpAddr    string
	agent       *exec.Cmd
	agentEnded  chan error
	seen        *audience
	begun       time.Time
}

func newStage(binary string) (*stage, error) {
	s := &stage{binary: binary, agentEnded: make(chan error, 1), begun: time.Now()}
	s.seen = newAudience(s.say)
	steps := []func() error{s.makeDir, s.startEndpoint, s.startBroker, s.writeConfig}
	for _, step := range steps {
		if err := step(); err != nil {
			s.clear()
			return nil, err
		}
	}
	return s, nil
}

func (s *stage) makeDir() (err error) {
	s.dir, err = os.MkdirTemp("", "roomcall-demo-")
	return err
}

func (s *stage) startEndpoint() error {
	endpoint, err := cgitest.New(cgitest.Options{Scenario: "bad-spell", Username: demoUser, Password: demoPassword})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open simulated endpoint: %w", err)
	}
	s.endpoint, s.endpointURL = endpoint, "http://"+l.Addr().String()
	s.server = &http.Server{Handler: endpoint, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return nil
}

func (s *stage) startBroker() (err error) {
	if s.broker, err = newBroker(s.seen.arrived); err != nil {
		return err
	}
	s.brokerURL = "tcp://" + s.broker.addr
	s.httpAddr, err = freeAddr()
	return err
}

const demoConfig = `[agent]
client_id = "demo"
site = "Demo"
data_dir = "data"
http_listen = %q

[[endpoint]]
device = "room-1"
room = "Room 1"
url = %q
username = %q
password_file = "endpoint-password"
poll_interval = "1s"
idle_interval = "1s"

[mqtt]
broker = %q
reconnect_min = "100ms"
reconnect_max = "1s"
`

func (s *stage) writeConfig() error {
	text := fmt.Sprintf(demoConfig, s.httpAddr, s.endpointURL, demoUser, s.brokerURL)
	secret := filepath.Join(s.dir, "endpoint-password")
	return errors.Join(
		os.WriteFile(secret, []byte(demoPassword+"\n"), 0o600),
		os.WriteFile(s.config(), []byte(text), 0o600))
}

func (s *stage) config() string   { return filepath.Join(s.dir, "agent.toml") }
func (s *stage) agentLog() string { return filepath.Join(s.dir, "agent.log") }

func (s *stage) startAgent() error {
	out, err := os.Create(s.agentLog())
	if err != nil {
		return err
	}
	defer out.Close()
	s.agent = exec.Command(s.binary, "--config", s.config(), "run")
	s.agent.Stdout, s.agent.Stderr = out, out
	if err := s.agent.Start(); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	go func() {
		err := s.agent.Wait()
		if err == nil {
			err = errors.New("exit code 0")
		}
		s.agentEnded <- err
	}()
	s.say("agent started: %s run (process %d)", s.binary, s.agent.Process.Pid)
	return nil
}

// waiting asks the agent how many records wait in its store.
func (s *stage) waiting(ctx context.Context) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.httpAddr+"/api/v1/status", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the agent: %w", err)
	}
	defer answer.Body.Close()
	var status struct {
		Buffer struct {
			Waiting uint64 `json:"waiting"`
		} `json:"buffer"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return 0, fmt.Errorf("read the agent's status: %w", err)
	}
	return status.Buffer.Waiting, nil
}

// finish stops the agent right after a sample arrived, so that no poll is interrupted,
// and counts.
func (s *stage) finish() error {
	if s.agent == nil {
		return nil
	}
	s.seen.awaitNext(2 * time.Second)
	if err := s.stopAgent(); err != nil {
		return err
	}
	polled := s.endpoint.Count(pollAction)
	return errors.Join(s.seen.verdict(polled), s.report())
}

// report shows what the program says of it all, from its store.
func (s *stage) report() error {
	s.say("roomcall report:\n")
	cmd := exec.Command(s.binary, "--config", s.config(), "report")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func (s *stage) stopAgent() error {
	signal := os.Signal(os.Interrupt)
	if runtime.GOOS == "windows" {
		signal = os.Kill // another process cannot interrupt a console process there
	}
	if err := s.agent.Process.Signal(signal); err != nil {
		return fmt.Errorf("stop the agent: %w", err)
	}
	select {
	case <-s.agentEnded:
		s.agent = nil
		return nil
	case <-time.After(patience):
		return fmt.Errorf("the agent did not stop within %s", patience)
	}
}

// clear stops what still runs and removes the demo's folder.
func (s *stage) clear() {
	if s.agent != nil {
		_ = s.agent.Process.Kill()
	}
	if s.broker != nil {
		s.broker.stop()
	}
	if s.server != nil {
		_ = s.server.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *stage) printAgentLog() {
	text, err := os.ReadFile(s.agentLog())
	if err == nil {
		fmt.Fprintf(os.Stderr, "the agent's log:\n%s\n", strings.TrimSpace(string(text)))
	}
}

// say prints one line with the seconds since the start.
func (s *stage) say(format string, args ...any) {
	fmt.Printf("%5.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}
