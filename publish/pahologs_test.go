package publish

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"roomcall/publish/brokertest"
)

// logText is a log that may be read while the library still writes to it.
type logText struct {
	mu   sync.Mutex
	text []byte
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func TestNoSecretInTheLibrarysLog(t *testing.T) {
	var out logText
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.Username, cfg.Password = "agent", secret
	cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := newClient(t, cfg)
	m := connect(t, c)
	f.Cut()
	waitDone(t, "loss", m.Lost())
	waitGoroutines(t, m)
	f.Set(brokertest.Faults{Refuse: 4})
	_, err := c.Connect(testContext(t))
	wantClass(t, err, ClassRefusedLogin)
	routePahoLogs(slog.New(slog.DiscardHandler)) // the library may still be saying goodbye
	if text := out.String(); text == "" || strings.Contains(text, secret) {
		t.Errorf("log: %q", text)
	}
}
