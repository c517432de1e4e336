package run

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/cgi"
)

// TestALoginPauseEndsByTheTimeThatWasCounted, whatever the wall clock of the next run
// says: a wrong password that is sent too early may lock the account.
func TestALoginPauseEndsByTheTimeThatWasCounted(t *testing.T) {
	const length = 2 * time.Hour
	first := host.Reading{Wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Boot: host.Boot{ID: "a", Up: time.Hour}}
	up := func(d time.Duration) host.Boot { return host.Boot{ID: "a", Up: time.Hour + d} }
	for name, c := range map[string]struct {
		now  host.Reading
		left time.Duration
	}{
		"half an hour later":               {host.Reading{Wall: first.Wall.Add(30 * time.Minute), Boot: up(30 * time.Minute)}, 90 * time.Minute},
		"set forward by a day":             {host.Reading{Wall: first.Wall.Add(24 * time.Hour), Boot: up(30 * time.Minute)}, 90 * time.Minute},
		"set back by a day":                {host.Reading{Wall: first.Wall.Add(-24 * time.Hour), Boot: up(30 * time.Minute)}, 90 * time.Minute},
		"another boot, 200 days ahead":     {host.Reading{Wall: first.Wall.Add(4800 * time.Hour), Boot: host.Boot{ID: "b", Up: time.Minute}}, length},
		"another boot, in 1970":            {host.Reading{Wall: time.Unix(100, 0), Boot: host.Boot{ID: "b", Up: time.Minute}}, length},
		"three hours of sleep: it is over": {host.Reading{Wall: first.Wall.Add(3 * time.Hour), Boot: up(3 * time.Hour)}, -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &config.Config{Agent: config.Agent{DataDir: t.TempDir()}, Endpoints: []config.Endpoint{{Device: "hub"}}}
			log := slog.New(slog.DiscardHandler)
			readLoginPauses(cfg, log, func() host.Reading { return first }).
				set("hub", cgi.LoginPause{Until: first.Wall.Add(length), Times: 3, Reason: "auth_failed", Account: []byte("x")})
			got := readLoginPauses(cfg, log, func() host.Reading { return c.now }).of("hub")
			if left := got.Until.Sub(c.now.Wall); left != c.left || got.Times != 3 || got.Reason != "auth_failed" {
				t.Errorf("%v are left of %+v, want %v", left, got, c.left)
			}
		})
	}
}

// TestALoginPauseOfAnOlderProgramIsRead: it has no moment at which it began.
func TestALoginPauseOfAnOlderProgramIsRead(t *testing.T) {
	cfg := &config.Config{Agent: config.Agent{DataDir: t.TempDir()}, Endpoints: []config.Endpoint{{Device: "hub"}}}
	text := `{"hub":{"until":"2026-03-01T14:00:00Z","times":2,"reason":"auth_failed","account":"eA==","salt":"eA=="}}`
	if err := os.WriteFile(filepath.Join(cfg.Agent.DataDir, pausesFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readLoginPauses(cfg, slog.New(slog.DiscardHandler), host.Now).of("hub")
	if want := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC); !got.Until.Equal(want) || got.Times != 2 {
		t.Errorf("read is %+v", got)
	}
}
