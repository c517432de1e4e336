package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/web"
	"roomcall/buffer"
)

// loadText loads a config of one endpoint and one broker that nobody needs to be at.
func loadText(t *testing.T, agent string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.toml")
	text := "[agent]\nclient_id = \"pc\"\ndata_dir = \"data\"\n" + agent + `
[[endpoint]]
device = "hub"
url = "http://127.0.0.1:1"
[mqtt]
broker = "tcp://127.0.0.1:1"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestATakenStatusPortStopsNothingAndIsTriedAgain(t *testing.T) {
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := other.Addr().String()
	log := &hosttest.Log{}
	a, err := New(t.Context(), "test", loadText(t, fmt.Sprintf("http_listen = %q", addr)), nil, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, func() {}) }()
	hosttest.WaitFor(t, "polls are recorded without the page", func() (bool, string) {
		return a.recorder.Stats().Appended > 1, log.String()
	})
	problems := health.English.Problems(a.Status(), time.Now())
	var told string
	for _, p := range problems {
		if p.Code == "page_unavailable" {
			told = p.What + "; " + p.Hint + "; " + p.Detail
		}
	}
	if !strings.Contains(told, "in use") || !strings.Contains(told, "http_listen") {
		t.Errorf("problems %+v", problems)
	}
	other.Close()
	hosttest.WaitFor(t, "the page is there again", func() (bool, string) {
		body, err := web.Get(ctx, addr, "/healthz", time.Minute)
		if err == nil {
			body.Close()
		}
		return err == nil, log.String()
	})
	if s := a.Status().HTTP; s.Error != "" || s.Fails == 0 || s.Listen != addr {
		t.Errorf("then: %+v", s)
	}
	if log.Count("local HTTP failed") != 1 || log.Count("local HTTP works again") != 1 {
		t.Errorf("logged:\n%s", log)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestThePauseBeforeThePageIsTriedAgainGrowsToAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := page{listen: "192.0.2.1:1", log: slog.New(slog.NewTextHandler(io.Discard, nil))} // an address that no machine has
		p.open()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.run(ctx); close(ended) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := p.status().Fails; n < 60 || n > 70 {
			t.Errorf("%d tries in an hour", n)
		}
		cancel()
		<-ended
	})
}

func TestTheStartWaitsForAStoreThatIsRead(t *testing.T) {
	cfg := loadText(t, `http_listen = ""`)
	q, err := buffer.Open(StoreOptions(cfg))
	if err != nil {
		t.Fatal(err)
	}
	log := &hosttest.Log{}
	s := NewSupervisor("test", nil, func(config.Agent) *slog.Logger { return log.Logger() })
	ready := make(chan error, 1)
	go func() {
		a, err := s.prepare(t.Context(), loaded{cfg: cfg})
		if err == nil {
			a.Close()
		}
		ready <- err
	}()
	hosttest.WaitFor(t, "the start waits", func() (bool, string) { return log.Count("the store is in use, waiting") == 1, log.String() })
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ready; err != nil {
		t.Errorf("after the lock was free: %v", err)
	}

	if q, err = buffer.Open(StoreOptions(cfg)); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.prepare(stopped, loaded{cfg: cfg}); !errors.Is(err, buffer.ErrLocked) || !strings.Contains(err.Error(), "already running") {
		t.Errorf("at a stop: %v", err)
	}
}

func TestAKeyThatNobodyNeedsEndsNothing(t *testing.T) {
	cfg := loadText(t, `http_listen = ""`)
	if err := os.MkdirAll(filepath.Join(cfg.Agent.DataDir, peerKeyFile), 0o700); err != nil { // no file
		t.Fatal(err)
	}
	a, err := New(t.Context(), "test", cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	cfg.Endpoints[0].PeerNames = "hash"
	if a, err = New(t.Context(), "test", cfg, nil, slog.New(slog.DiscardHandler)); err == nil {
		a.Close()
		t.Error("names are hashed without the key")
	}
}
