package web

import "golang.org/x/sys/windows"

// process adds what Windows says about this process.
func (o *scrape) process() {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) == nil {
		o.gauge(processCPU, seconds(kernel)+seconds(user))
	}
}

// seconds of a duration in Windows' units of 100 ns.
func seconds(t windows.Filetime) float64 {
	return float64(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) / 1e7
}
