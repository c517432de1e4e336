package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/buffer"
)

// store looks whether the store can be written and has space.
func (c *checker) store(cfg *config.Config) {
	start := time.Now()
	s := stage{Name: "store", Result: stageOK}
	dir := cfg.Agent.DataDir
	info, err := buffer.InfoDir(dir)
	switch {
	case errors.Is(err, buffer.ErrLocked):
		s.Detail = dir + ": in use by the running agent"
		c.running = true
	case errors.Is(err, os.ErrNotExist):
		s = writable(nearest(dir), s)
		s.Detail += ": no store yet, the agent makes it at its first start"
	case err != nil:
		s.Result, s.Detail = stageFail, err.Error()
		s.Hint = "look at the permissions of data_dir; if its files are damaged, 'roomcall run' salvages what is whole and says so"
	default:
		s = writable(dir, s)
		s.Detail += fmt.Sprintf(": %d records wait, %s on disk", info.Waiting, health.Bytes(info.DiskBytes))
	}
	s = roomFor(cfg, info.DiskBytes, brokenFiles(dir, s))
	s.TookMs = since(start)
	c.add(s)
}

// brokenFiles warns of damaged files that were moved aside.
func brokenFiles(dir string, s stage) stage {
	files := run.DamagedFiles(dir)
	if len(files) > 0 && s.Result == stageOK {
		s.Result = stageWarn
		s.Detail += fmt.Sprintf(", %d damaged files kept aside", len(files))
		s.Hint = "look at the disk; the files *.corrupt-* in data_dir are kept for examination and may be removed"
	}
	return s
}

// nearest is the folder itself or the nearest one above it that exists.
func nearest(dir string) string {
	for {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// writable tries to make a file in dir.
func writable(dir string, s stage) stage {
	f, err := os.CreateTemp(dir, ".roomcall-check-*")
	if err != nil {
		s.Result, s.Detail = stageFail, err.Error()
		s.Hint = "give the user that runs roomcall the right to write there, or change [agent] data_dir"
		return s
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		s.Result, s.Hint = stageWarn, "remove the file "+f.Name()
	}
	s.Detail = dir + " is writable"
	return s
}

// roomFor compares the free space with what max_bytes may still take.
func roomFor(cfg *config.Config, used int64, s stage) stage {
	free, err := host.DiskFree(nearest(cfg.Agent.DataDir))
	if err != nil || s.Result == stageFail {
		return s
	}
	s.Detail += fmt.Sprintf(", %s free", health.Bytes(free))
	if free < spaceMin {
		s.Result, s.Hint = stageFail, "free space on the disk that holds data_dir"
		return s
	}
	if free < cfg.Buffer.MaxBytes-used {
		s.Result = stageWarn
		s.Hint = fmt.Sprintf("the store may grow to %s: free space, or lower [buffer] max_bytes", health.Bytes(cfg.Buffer.MaxBytes))
	}
	return s
}

// spaceMin is the free space below which nothing can be kept.
const spaceMin = 1 << 20

// plausibleSince is a time that no right clock shows any more.
var plausibleSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock looks whether the wall clock can be right.
func (c *checker) clock() {
	start := time.Now()
	s := stage{Name: "clock", Result: stageOK, Detail: start.UTC().Format(time.RFC3339)}
	synchronized, known := host.ClockSynchronized()
	switch {
	case start.Before(plausibleSince):
		s.Result, s.Hint = stageFail, "set the clock; records carry its time"
		s.Detail += ": in the past"
	case known && !synchronized:
		s.Result, s.Hint = stageWarn, "start a time service (NTP); records carry this clock's time"
		s.Detail += ": the system says that it is not synchronized"
	case known:
		s.Detail += ", synchronized"
	}
	s.TookMs = since(start)
	c.add(s)
}
