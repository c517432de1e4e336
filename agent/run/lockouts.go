package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/cgi"
)

// lockoutsFile holds which endpoints refused their password and until when they
// are left alone, so that neither a restart nor a reload tries it again.
const lockoutsFile = "refused-logins.json"

// lockouts are those of all endpoints, by device. They are advice: a file that
// cannot be read or written costs one login more, nothing else.
type lockouts struct {
	file string
	log  *slog.Logger

	mu   sync.Mutex
	list map[string]cgi.Lockout
}

// readLockouts reads what is kept, of the devices that are configured.
func readLockouts(cfg *config.Config, log *slog.Logger) *lockouts {
	dataDir := cfg.Agent.DataDir
	l := &lockouts{file: filepath.Join(dataDir, lockoutsFile), log: log, list: map[string]cgi.Lockout{}}
	b, err := os.ReadFile(l.file)
	if err == nil {
		err = json.Unmarshal(b, &l.list)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("refused logins of the last run cannot be read; a wrong password is tried once more", "file", l.file, "err", err)
	}
	known := map[string]cgi.Lockout{}
	for _, e := range cfg.Endpoints {
		if one, ok := l.list[e.Device]; ok {
			known[e.Device] = one
		}
	}
	l.list = known
	return l
}

func (l *lockouts) of(device string) cgi.Lockout {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[device]
}

// set keeps the lockout of a device; the zero value removes it.
func (l *lockouts) set(device string, lockout cgi.Lockout) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(lockout.Account) == 0 {
		delete(l.list, device)
	} else {
		l.list[device] = lockout
	}
	if err := l.write(); err != nil {
		l.log.Warn("refused login cannot be kept for the next start", "device", device, "err", err)
	}
}

func (l *lockouts) write() error {
	if len(l.list) == 0 {
		if err := os.Remove(l.file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(l.list)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	return host.WriteFile(l.file, b)
}
