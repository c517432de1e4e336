package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// clockTick is the kernel's unit of CPU time in /proc (USER_HZ), see proc(5);
// it is 100 on every platform that Go runs on.
const clockTick = 10 * time.Millisecond

// memory reads a value of /proc/PID/status such as VmRSS, in MiB.
func (p *process) memory(key string) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var kib float64
	_, rest, _ := strings.Cut(string(raw), "\n"+key+":")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("read %s of the process: %w", key, err)
	}
	return kib / 1024, nil
}

// mustMemory is memory for a process that must be alive.
func (p *process) mustMemory(tb testing.TB, key string) float64 {
	tb.Helper()
	mib, err := p.memory(key)
	if err != nil {
		p.fail(tb, "%v", err)
	}
	return mib
}

// cpu is the CPU time that the process has used so far, user and system.
func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.fail(tb, "read the process: %v", err)
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	var user, system time.Duration // fields 14 and 15 of proc(5)
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		p.fail(tb, "no CPU time in /proc: %v", err)
	}
	return (user + system) * clockTick
}

// peak watches a memory figure until stop, which returns the highest value seen.
func (p *process) peak(key string) (stop func() float64) {
	var top float64
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if now, err := p.memory(key); err == nil { // an ended process is noticed elsewhere
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
