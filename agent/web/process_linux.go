package web

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// thisProcess reads what /proc says about this process.
func thisProcess() (p process) {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) == nil {
		cpu := float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
		p.cpuSeconds = &cpu
	}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		fds := float64(len(list) - 1) // without the one that reads the folder
		p.fds = &fds
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		bytes := kb * 1024
		switch {
		case err != nil:
		case key == "VmRSS":
			p.rss = &bytes
		case key == "RssAnon":
			p.anon = &bytes
		}
	}
	return p
}
