package run

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"roomcall/agent/config"
	"roomcall/cgi"
	"roomcall/cgi/cgitest"
)

// personRig is an endpoint with an account, and a config for it.
type personRig struct {
	sim *cgitest.Endpoint
	cfg *config.Config
}

func newPersonRig(t *testing.T) *personRig {
	t.Helper()
	sim, err := cgitest.New(cgitest.Options{Scenario: "idle", Username: "api", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	return &personRig{sim, &config.Config{
		Agent:     config.Agent{DataDir: t.TempDir()},
		Endpoints: []config.Endpoint{{Device: "hub", URL: srv.URL, Username: "api", Password: config.NewSecret("wrong"), Login: "api"}},
	}}
}

// agent makes the client as a running agent does; byPerson: somebody started it.
func (r *personRig) agent(t *testing.T, reload bool, reason string) *cgi.Client {
	t.Helper()
	a := &Agent{cfg: r.cfg, log: slog.New(slog.DiscardHandler), reload: reload, reason: reason}
	if err := a.makePollers(); err != nil {
		t.Fatal(err)
	}
	return a.pollers[0].Endpoint.(*cgi.Client)
}

// command polls as a command that a person types.
func (r *personRig) command(t *testing.T, try bool) error {
	t.Helper()
	c, err := NewEndpoint(r.cfg, r.cfg.Endpoints[0], try, func(err error) { t.Errorf("the agent cannot be told: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Poll(t.Context())
	_ = c.Close(t.Context())
	return err
}

func (r *personRig) tries(t *testing.T, want int) {
	t.Helper()
	if n := r.sim.Count("WEB_RequestCertificateAPI"); n != want {
		t.Fatalf("%d tries, want %d", n, want)
	}
}

func pollOnce(t *testing.T, c *cgi.Client, good bool) {
	t.Helper()
	if _, err := c.Poll(t.Context()); (err == nil) != good {
		t.Fatalf("poll: %v, want good = %v", err, good)
	}
}

func TestCommandsAddNoWrongTries(t *testing.T) {
	r := newPersonRig(t)
	c := r.agent(t, false, "first")
	pollOnce(t, c, false)
	for range 3 { // check, poll, diag
		var e *cgi.Error
		if err := r.command(t, false); !errors.As(err, &e) || e.Reason != "auth_failed" || e.Hint != "endpoint_refused_before" || e.Facts["until"] == "" {
			t.Errorf("the command says %v", err)
		}
	}
	r.tries(t, 1)
	if r.command(t, true) == nil {
		t.Error("tried with a wrong password, and it works")
	}
	r.tries(t, 2)
	pollOnce(t, c, false)
	r.tries(t, 2)
}

func TestCommandsOfASetupWithoutAnAgentAddOneWrongTryTogether(t *testing.T) {
	r := newPersonRig(t)
	for range 3 {
		_ = r.command(t, false)
	}
	r.tries(t, 1)
	r.cfg.Endpoints[0].Password = config.NewSecret("right") // another password is not held back
	if err := r.command(t, false); err != nil {
		t.Error(err)
	}
}

func TestALoginOfACommandEndsThePauseOfTheAgent(t *testing.T) {
	r := newPersonRig(t)
	c := r.agent(t, false, "first")
	pollOnce(t, c, false)
	r.sim.SetPassword("wrong") // put right at the endpoint
	pollOnce(t, c, false)
	if err := r.command(t, true); err != nil {
		t.Fatal(err)
	}
	pollOnce(t, c, true)
	if _, err := os.Stat(filepath.Join(r.cfg.Agent.DataDir, pausesFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still remembered: %v", err)
	}
	if list, _ := filepath.Glob(filepath.Join(r.cfg.Agent.DataDir, "*")); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

func TestALoginWithAnotherPasswordTellsTheAgentNothing(t *testing.T) {
	r := newPersonRig(t)
	c := r.agent(t, false, "first")
	pollOnce(t, c, false)
	r.cfg.Endpoints[0].Password = config.NewSecret("right") // in the config, and not reloaded
	if err := r.command(t, false); err != nil {
		t.Fatal(err)
	}
	n := r.sim.Count("WEB_RequestCertificateAPI")
	pollOnce(t, c, false)
	r.tries(t, n)
}

func TestARestartByAPersonEndsThePauseAFewTimes(t *testing.T) {
	for name, c := range map[string]struct {
		reload bool
		reason string
		ends   bool
	}{
		"start": {false, "start", true}, "upgrade": {false, "upgrade", true}, "reload": {true, "start", false},
		"boot": {false, "boot", false}, "watchdog": {false, "watchdog", false}, "crash": {false, "crash", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPersonRig(t)
			pollOnce(t, r.agent(t, false, "first"), false)
			r.sim.SetPassword("wrong")
			pollOnce(t, r.agent(t, c.reload, c.reason), c.ends)
		})
	}
	r := newPersonRig(t)
	for range 20 {
		pollOnce(t, r.agent(t, false, "start"), false)
	}
	r.tries(t, restartTries+1)
}

func TestASecretFileIsReadAgain(t *testing.T) {
	r := newPersonRig(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	r.cfg.Endpoints[0].PasswordFile = file
	c := r.agent(t, false, "first")
	pollOnce(t, c, false)
	pollOnce(t, c, false)
	r.tries(t, 1)
	write("right")
	pollOnce(t, c, true)
	r.tries(t, 2)
	r.sim.SetPassword("third") // rotated: first at the endpoint, then in the file
	r.sim.ExpireSessions()
	write("third")
	pollOnce(t, c, true)
}

func TestWhatACommandToldIsHeardByTheNextStartToo(t *testing.T) {
	r := newPersonRig(t)
	pollOnce(t, r.agent(t, false, "first"), false)
	r.sim.SetPassword("wrong")
	if err := r.command(t, true); err != nil {
		t.Fatal(err)
	}
	pollOnce(t, r.agent(t, false, "crash"), true)
}
