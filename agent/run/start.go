package run

import (
	"encoding/json"
	"os"
	"path/filepath"

	"roomcall/agent/host"
	"roomcall/durable"
)

// runKey is the key of the last run among the store's states; no device can
// have this name.
const runKey = ".run"

// lastRun is what a start remembers for the next one.
type lastRun struct {
	Version string `json:"version"`
	Boot    string `json:"boot,omitempty"` // the system's id of this boot, "" = not known
	// Where the store was: the system's id of the machine, and what distinguishes the
	// store's files from a copy of them; "" = not known.
	Machine string `json:"machine,omitempty"`
	Place   string `json:"place,omitempty"`
}

// copied says that the store was made somewhere else: on another machine, or it is a
// copy, restored from a backup.
func (was *lastRun) copied(now lastRun) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return was != nil && (differ(was.Machine, now.Machine) || differ(was.Place, now.Place))
}

// watchdogFile marks a process of which a loop did not move, so that the next start
// knows why the service manager ended it.
const watchdogFile = "watchdog-trip"

// startReason is why this process was started: "first", "boot", "upgrade",
// "watchdog", "crash" or "start".
func startReason(was *lastRun, now lastRun, clean, tripped bool) string {
	switch {
	case was == nil:
		return "first"
	case was.Version != now.Version:
		return "upgrade"
	case was.Boot != now.Boot:
		return "boot"
	case tripped:
		return "watchdog"
	case !clean:
		return "crash"
	default:
		return "start"
	}
}

// findReason compares this start with what the store remembers.
func (a *Agent) findReason() {
	now := lastRun{
		Version: a.version, Boot: host.BootID(),
		Machine: host.MachineID(), Place: host.FileID(filepath.Join(a.cfg.Agent.DataDir, "LOCK")),
	}
	var was *lastRun
	if blob := a.queue.State()[runKey]; blob != nil {
		was = &lastRun{}
		if json.Unmarshal(blob, was) != nil {
			was = nil
		}
	}
	mark := filepath.Join(a.cfg.Agent.DataDir, watchdogFile)
	err := os.Remove(mark)
	a.copied = was.copied(now)
	clean := a.queue.Clean() || a.reload
	a.reason = startReason(was, now, clean, err == nil)
	a.uncommitted = was != nil && !clean && a.cfg.Buffer.CommitInterval > 0
	if was == nil || *was != now {
		a.remember = &now
	}
}

// markTrip leaves a mark while a loop does not move, and removes it when all move
// again. Without the mark a trip looks like a crash. The disk may be what does not
// move, so it waits for nothing: a mark that is not written yet is looked for with
// the next beat.
func (a *Agent) markTrip(err error) {
	if (err != nil) == a.tripped.Load() || a.marking.Swap(true) {
		return
	}
	mark := filepath.Join(a.cfg.Agent.DataDir, watchdogFile)
	go func() {
		defer a.marking.Store(false)
		if err == nil {
			_ = os.Remove(mark)
			a.tripped.Store(false)
		} else {
			a.tripped.Store(durable.WriteFile(mark, []byte(err.Error()+"\n"), 0o600) == nil)
		}
	}()
}
