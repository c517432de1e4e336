package run

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/agent/record"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/durable"
)

// Bounds of what a start reads of the store to fill the page's history.
const (
	historyRecords = 400_000 // the newest; all of a day of some ten rooms
	historyTime    = time.Minute
	historyAge     = 24 * time.Hour
)

// newHistory is the page's history of the config's devices.
func newHistory(cfg *config.Config) *web.History {
	var devices []string
	for _, e := range cfg.Endpoints {
		devices = append(devices, e.Device)
	}
	return web.NewHistory(devices)
}

// restoreHistory fills the page's history from so many of the newest records that the
// store holds, while the loops run already. It is bounded, and what it cannot read is
// left out.
func (a *Agent) restoreHistory(ctx context.Context, records uint64) {
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	past := newHistory(a.cfg)
	_, newest := a.queue.Progress()
	first := newest - min(newest, records) + 1
	oldest := time.Now().Add(-historyAge)
	err := a.queue.ScanFrom(first, func(it buffer.Item, _ bool) error {
		if it.Time.After(oldest) {
			past.Add(record.Device(it.Lane), record.Kind(it.Lane), it.Payload)
		}
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		a.log.Info("the status page's history has holes: the store was not read to the end", "err", err)
	}
	a.history.Restore(past)
}

// keyFile has the key to what may have names of people. Who may read data_dir may read
// it: the user that the agent runs as, root, administrators.
const keyFile = "names.key"

// LocalKey is the key of the agent with this data_dir to what may have names of people.
func LocalKey(dataDir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, keyFile))
	return strings.TrimSpace(string(b)), err
}

// makeLocalKey is LocalKey, and makes the file at the first start.
func makeLocalKey(dataDir string) (string, error) {
	key, err := LocalKey(dataDir)
	if len(key) >= 32 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	random := make([]byte, 32)
	rand.Read(random)
	key, file := hex.EncodeToString(random), filepath.Join(dataDir, keyFile)
	if err := durable.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("make the key to records with names: %w", err)
	}
	return key, host.OwnAsFolder(file)
}
