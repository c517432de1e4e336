package web

import "golang.org/x/sys/windows"

// thisProcess reads what Windows says about this process.
func thisProcess() (p process) {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) == nil {
		cpu := seconds(kernel) + seconds(user)
		p.cpuSeconds = &cpu
	}
	return p
}

// seconds of a duration in Windows' units of 100 ns.
func seconds(t windows.Filetime) float64 {
	return float64(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) / 1e7
}
