package soak

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// anonMiB reads the anonymous memory (RssAnon) of a process, "self" or a number,
// in MiB; see proc(5).
func anonMiB(pid string) (float64, error) {
	raw, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	var kib float64
	_, rest, _ := strings.Cut(string(raw), "\nRssAnon:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("read RssAnon of process %s: %w", pid, err)
	}
	return kib / 1024, nil
}

// peakAnon watches the agent's anonymous memory until the returned function is called,
// which returns the highest value in MiB.
func (a *agent) peakAnon() func() float64 {
	var top float64
	var wg sync.WaitGroup
	end, pid := make(chan struct{}), fmt.Sprint(a.cmd.Process.Pid)
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if now, err := anonMiB(pid); err == nil { // an ended agent is noticed elsewhere
				top = max(top, now)
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	return func() float64 {
		close(end)
		wg.Wait()
		return top
	}
}

// smallDisk mounts a file system of the given size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := mount("-t", "tmpfs", "-o", "size="+size, "tmpfs", dir); err != nil {
		t.Skipf("SKIPPED: a full disk cannot be tested without the right to mount: %v %s", err, out)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}
