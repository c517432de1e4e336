package web

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process adds what /proc says about this process; what cannot be read is left
// out.
func (o *scrape) process() {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) == nil {
		o.gauge(processCPU, float64(use.Utime.Nano()+use.Stime.Nano())/1e9)
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		o.gauge(processFDs, float64(len(fds)-1)) // without the one that reads the folder
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch {
		case err != nil:
		case key == "VmRSS":
			o.gauge(processRSS, kb*1024)
		case key == "RssAnon":
			o.gauge(processAnon, kb*1024)
		}
	}
}
