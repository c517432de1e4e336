package web

import (
	"runtime"
	rt "runtime/metrics"
	"time"
)

// processStart is close enough to the start of the process: packages are
// initialised in its first milliseconds.
var processStart = time.Now()

var (
	goInfo       = foreign("go_info", "Version of Go; always 1.", "version")
	processBegan = foreign("process_start_time_seconds", "When the process started.")
	processCPU   = foreign("process_cpu_seconds_total", "Processor time of the process, user and system.")
	processRSS   = foreign("process_resident_memory_bytes", "Resident memory of the process, mapped files included.")
	processAnon  = desc("process_anonymous_memory_bytes", "Resident memory of the process without mapped files; the one to watch.")
	processFDs   = foreign("process_open_fds", "Open file descriptors of the process.")
)

// runtimeMetrics are what the Go runtime tells without stopping the program.
// The names are those of the official client library where it has the same.
var runtimeMetrics = []struct {
	key    string
	metric *metric
}{
	{"/sched/goroutines:goroutines", foreign("go_goroutines", "Goroutines that exist.")},
	{"/memory/classes/heap/objects:bytes", foreign("go_memstats_heap_alloc_bytes", "Bytes of heap objects, in use or not yet swept.")},
	{"/memory/classes/total:bytes", foreign("go_memstats_sys_bytes", "Bytes that the Go runtime got from the system.")},
	{"/gc/cycles/total:gc-cycles", foreign("go_gc_cycles_total", "Completed garbage collections.")},
}

func (o *scrape) runtime() {
	samples := make([]rt.Sample, len(runtimeMetrics))
	for i, m := range runtimeMetrics {
		samples[i].Name = m.key
	}
	rt.Read(samples)
	o.gauge(goInfo, 1, runtime.Version())
	for i, m := range runtimeMetrics {
		if samples[i].Value.Kind() == rt.KindUint64 {
			o.counter(m.metric, samples[i].Value.Uint64())
		}
	}
	o.time(processBegan, processStart)
}
