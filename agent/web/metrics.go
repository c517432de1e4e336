package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"runtime"
	rt "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomcall/agent/health"
)

// This file writes the Prometheus text format, version 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats). The official client
// library is not linked: with it the stripped program was 2.3 MB larger and
// used 2.1 MB more memory, for a format of three kinds of lines. The tests
// check the text with that library's linter and parser.

// metric is a family of series with one name. read adds its series as they are at
// the moment of a scrape; a value that is not known is not added. Nothing is
// counted here, so metrics cost no memory between scrapes.
type metric struct {
	name, help string
	labels     []string
	read       func(s scrape, add addSeries)
}

// addSeries adds one series; the label values are in the order of the labels.
type addSeries func(v float64, labels ...string)

// scrape is what is read once for one answer.
type scrape struct {
	health.Status
	measured map[string]map[string]float64 // by device, the numbers of its newest sample
	process  process
}

// process is what the system says about this process; a key that it does not tell
// is missing.
type process struct{ cpuSeconds, rss, anon, fds *float64 }

var device = []string{"device"}

// metrics are all metrics, in the order in which they are written. Counters, and
// only they, end in _total.
var metrics = append(mediaMetrics(), []metric{
	{"roomcall_build_info", "Version of the agent; always 1.", []string{"version", "goversion"},
		func(s scrape, add addSeries) { add(1, s.Version, runtime.Version()) }},

	{"roomcall_endpoint_up", "1 if the newest poll of the endpoint was good.", device,
		polled(func(e health.Endpoint, add addSeries) { add(oneIf(up(e)), e.Device) })},
	{"roomcall_endpoint_info", "What the endpoint is; always 1.", []string{"device", "room", "model", "source_api"},
		each(func(e health.Endpoint, add addSeries) { add(1, e.Device, e.Room, e.Model, e.SourceAPI) })},
	{"roomcall_endpoint_state", "1 for the state the endpoint is in, 0 for the others.", []string{"device", "state"},
		polled(func(e health.Endpoint, add addSeries) {
			for _, state := range []string{"idle", "in_call", "unreachable", "refused", "busy", "upgrading", "error"} {
				add(oneIf(e.State == state), e.Device, state)
			}
		})},
	{"roomcall_endpoint_in_call", "1 while the endpoint is in a call.", device,
		polled(func(e health.Endpoint, add addSeries) { add(oneIf(e.InCall), e.Device) })},
	{"roomcall_endpoint_grade", "1 for the grade of the call, 0 for the others; only in a call.", []string{"device", "grade"},
		polled(func(e health.Endpoint, add addSeries) {
			for _, grade := range []string{"unknown", "good", "fair", "poor"} {
				if e.InCall {
					add(oneIf(e.Grade == grade), e.Device, grade)
				}
			}
		})},
	{"roomcall_endpoint_not_understood_values", "Values of the newest poll that could not be read.", device,
		polled(func(e health.Endpoint, add addSeries) { add(float64(e.NotUnderstood), e.Device) })},
	{"roomcall_polls_total", "Polls since the start.", device,
		each(func(e health.Endpoint, add addSeries) { add(float64(e.Polls), e.Device) })},
	{"roomcall_poll_failures_total", "Polls that failed since the start.", device,
		each(func(e health.Endpoint, add addSeries) { add(float64(e.Failures), e.Device) })},
	{"roomcall_polls_skipped_total", "Polls left out because one was still running.", device,
		each(func(e health.Endpoint, add addSeries) { add(float64(e.Skipped), e.Device) })},
	{"roomcall_poll_duration_seconds", "Duration of the newest poll.", device,
		polled(func(e health.Endpoint, add addSeries) { add(e.PollMs/1000, e.Device) })},
	{"roomcall_poll_interval_seconds", "Poll interval in force.", device,
		each(func(e health.Endpoint, add addSeries) { add(e.IntervalS, e.Device) })},
	{"roomcall_last_poll_timestamp_seconds", "When the newest poll ended.", device,
		each(func(e health.Endpoint, add addSeries) { add.time(e.LastPoll, e.Device) })},
	{"roomcall_last_good_poll_timestamp_seconds", "When the newest good poll ended.", device,
		each(func(e health.Endpoint, add addSeries) { add.time(e.LastOK, e.Device) })},

	{"roomcall_broker_connected", "1 while the broker connection is up.", nil,
		func(s scrape, add addSeries) { add(oneIf(s.Broker.State == "connected")) }},
	{"roomcall_broker_connects_total", "Connections made since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Connects)) }},
	{"roomcall_broker_connection_losses_total", "Connections lost since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Losses)) }},
	{"roomcall_broker_connect_failures_total", "Tries to connect that failed since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Failures)) }},
	{"roomcall_broker_skipped_messages", "Messages of the broker that were too large to be read, over the connection of the moment.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Skipped)) }},
	{"roomcall_broker_ignored_answers", "Answers of the broker that belong to no question, over the connection of the moment.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Ignored)) }},
	{"roomcall_health_message_failures_total", "Health messages that the broker did not confirm since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.HealthFailures)) }},
	{"roomcall_broker_records_published_total", "Records sent since the start, repeats included.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Published)) }},
	{"roomcall_broker_records_acked_total", "Records that the broker acknowledged since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.Acked)) }},
	{"roomcall_broker_in_flight_records", "Records sent and not acknowledged yet.", nil,
		func(s scrape, add addSeries) { add(float64(s.Broker.InFlight)) }},
	{"roomcall_broker_last_ack_timestamp_seconds", "When the broker acknowledged last.", nil,
		func(s scrape, add addSeries) { add.time(s.Broker.LastAck) }},
	{"roomcall_delivery_proof", "1 for the state of the delivery proof, 0 for the others.", []string{"state"},
		func(s scrape, add addSeries) {
			for _, proof := range []string{"pending", "proven", "unproven", "failed"} {
				add(oneIf(s.Broker.Proof == proof), proof)
			}
		}},

	{"roomcall_buffer_open", "1 while the store is open and accepts records.", nil,
		func(s scrape, add addSeries) { add(oneIf(s.Buffer.State == "open")) }},
	{"roomcall_buffer_waiting_records", "Records that wait for delivery.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.Waiting)) }},
	{"roomcall_buffer_oldest_timestamp_seconds", "Time of the oldest record that waits.", nil,
		func(s scrape, add addSeries) { add.time(s.Buffer.Oldest) }},
	{"roomcall_buffer_delivered_kept_records", "Delivered records that are still kept.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.DeliveredKept)) }},
	{"roomcall_buffer_bytes", "Size of the store on disk.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.BytesOnDisk)) }},
	{"roomcall_buffer_limit_bytes", "Largest size that the store may have on disk.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.MaxBytes)) }},
	{"roomcall_buffer_segments", "Files of the store.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.Segments)) }},
	{"roomcall_buffer_memory_held_records", "Polls in memory until the disk has space again; a poll makes several records.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.MemoryHeld)) }},
	{"roomcall_records_evicted_total", "Undelivered records evicted by a limit since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.Evicted)) }},
	{"roomcall_polls_missed_total", "Polls that were never recorded since the start; device agent stands for the agent's own events.", []string{"device", "reason"},
		func(s scrape, add addSeries) {
			failing := map[string]bool{}
			for _, m := range s.Buffer.Missed {
				add(float64(m.Count), m.Device, m.Reason)
				failing[m.Device] = failing[m.Device] || m.Reason == "store_failing"
			}
			for _, e := range s.Endpoints { // a counter that is there before it rises
				if !failing[e.Device] {
					add(0, e.Device, "store_failing")
				}
			}
		}},
	{"roomcall_buffer_quarantined_records", "Records quarantined because the broker rejects them.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.Quarantined)) }},
	{"roomcall_buffer_damaged_files", "Damaged files of the store that are kept for examination.", nil,
		func(s scrape, add addSeries) { add(float64(s.Buffer.DamagedFiles)) }},
	{"roomcall_log_lines_lost_total", "Log lines that could not be written since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Log.Lost)) }},
	{"roomcall_http_failures_total", "Times that the local HTTP could not be opened or ended by itself since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.HTTP.Fails)) }},
	{"roomcall_disk_free_bytes", "Free space on the disk that holds the store.", nil,
		func(s scrape, add addSeries) {
			if s.Buffer.DiskFree != nil {
				add(float64(*s.Buffer.DiskFree))
			}
		}},
	{"roomcall_records_appended_total", "Records stored since the start.", []string{"kind"},
		func(s scrape, add addSeries) { add.byKind(s.Buffer.AppendedByKind) }},
	{"roomcall_records_acked_total", "Records delivered since the start.", []string{"kind"},
		func(s scrape, add addSeries) { add.byKind(s.Buffer.AckedByKind) }},
	{"roomcall_clock_steps_total", "Jumps of the wall clock since the start.", nil,
		func(s scrape, add addSeries) { add(float64(s.Clock.Steps)) }},

	{"roomcall_problem", "1 for each problem there is now, by its code in the agent's status; 0 for those of the agent itself that there are not.", []string{"code", "severity", "device"},
		func(s scrape, add addSeries) {
			seen := map[[2]string]bool{}
			for _, p := range s.Problems {
				if at := [2]string{p.Code, p.Device}; !seen[at] {
					seen[at] = true
					add(1, p.Code, string(p.Severity), p.Device)
				}
			}
			for _, code := range health.Codes() {
				if !strings.HasPrefix(code, "endpoint_") && !seen[[2]string{code, ""}] {
					add(0, code, string(health.English.NewProblem(code, nil).Severity), "")
				}
			}
		}},

	// Go and the process, under the names of the official client library
	{"go_info", "Version of Go; always 1.", []string{"version"},
		func(_ scrape, add addSeries) { add(1, runtime.Version()) }},
	{"go_goroutines", "Goroutines that exist.", nil, ofGo("/sched/goroutines:goroutines")},
	{"go_memstats_heap_alloc_bytes", "Bytes of heap objects, in use or not yet swept.", nil, ofGo("/memory/classes/heap/objects:bytes")},
	{"go_memstats_sys_bytes", "Bytes that the Go runtime got from the system.", nil, ofGo("/memory/classes/total:bytes")},
	{"go_gc_cycles_total", "Completed garbage collections.", nil, ofGo("/gc/cycles/total:gc-cycles")},
	{"process_start_time_seconds", "When the process started.", nil,
		func(_ scrape, add addSeries) { add.time(processStart) }},
	{"process_cpu_seconds_total", "Processor time of the process, user and system.", nil,
		func(s scrape, add addSeries) { add.known(s.process.cpuSeconds) }},
	{"process_resident_memory_bytes", "Resident memory of the process, mapped files included.", nil,
		func(s scrape, add addSeries) { add.known(s.process.rss) }},
	{"roomcall_process_anonymous_memory_bytes", "Resident memory of the process without mapped files; the one to watch.", nil,
		func(s scrape, add addSeries) { add.known(s.process.anon) }},
	{"process_open_fds", "Open file descriptors of the process.", nil,
		func(s scrape, add addSeries) { add.known(s.process.fds) }},
}...)

// processStart is close enough to the start of the process: packages are
// initialised in its first milliseconds.
var processStart = time.Now()

// each reads a metric of every endpoint.
func each(read func(health.Endpoint, addSeries)) func(scrape, addSeries) {
	return func(s scrape, add addSeries) {
		for _, e := range s.Endpoints {
			read(e, add)
		}
	}
}

// polled reads a metric of every endpoint that was polled.
func polled(read func(health.Endpoint, addSeries)) func(scrape, addSeries) {
	return each(func(e health.Endpoint, add addSeries) {
		if !e.LastPoll.IsZero() {
			read(e, add)
		}
	})
}

// up reports whether the newest poll was good.
func up(e health.Endpoint) bool { return !e.LastPoll.IsZero() && e.LastOK.Equal(e.LastPoll) }

// ofGo reads a value that the Go runtime tells without stopping the program.
func ofGo(key string) func(scrape, addSeries) {
	return func(_ scrape, add addSeries) {
		sample := []rt.Sample{{Name: key}}
		if rt.Read(sample); sample[0].Value.Kind() == rt.KindUint64 {
			add(float64(sample[0].Value.Uint64()))
		}
	}
}

// time adds a Unix time, and nothing for a time that is not known.
func (add addSeries) time(t time.Time, labels ...string) {
	if !t.IsZero() {
		add(float64(t.UnixMilli())/1000, labels...)
	}
}

func (add addSeries) known(v *float64) {
	if v != nil {
		add(*v)
	}
}

func (add addSeries) byKind(counts map[string]uint64) {
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		add(float64(counts[kind]), kind)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// medium is one medium in one direction of a sample.
type medium struct{ media, direction string }

func (m medium) key(name string) string { return m.media + "_" + m.direction + "_" + name }

// media are in the order in which they are shown.
var media = [...]medium{
	{"audio", "recv"}, {"audio", "send"}, {"video", "recv"}, {"video", "send"}, {"aux", "recv"}, {"aux", "send"},
}

// mediaMetrics are the measurements of the newest sample in base units: value x
// scale. The JSON payload keeps kbit/s, percent and milliseconds. A failed poll's
// sample has no media keys, so the series end at once.
func mediaMetrics() (list []metric) {
	for _, m := range []struct {
		key        string
		scale      float64
		name, help string
	}{
		{"bitrate_kbps", 1000.0 / 8, "bytes_per_second", "Media bytes a second that the endpoint reports."},
		{"loss_pct", 1.0 / 100, "loss_ratio", "Share of packets lost, 0 to 1, as the endpoint reports it over some seconds."},
		{"jitter_ms", 1.0 / 1000, "jitter_seconds", "Jitter that the endpoint reports."},
		{"delay_ms", 1.0 / 1000, "delay_seconds", "Network delay that the endpoint reports; one-way or round trip is not documented."},
		{"fps", 1, "frames_per_second", "Frames a second of the main stream."},
		{"height", 1, "frame_height_pixels", "Height of the picture of the main stream."},
		{"mos_est", 1, "mos_estimate", "Estimated mean opinion score of the audio, 1 to 5."},
	} {
		list = append(list, metric{"roomcall_media_" + m.name, m.help, []string{"device", "media", "direction"},
			func(s scrape, add addSeries) {
				for _, e := range s.Endpoints {
					for _, in := range media {
						if v, ok := s.measured[e.Device][in.key(m.key)]; ok {
							add(v*m.scale, e.Device, in.media, in.direction)
						}
					}
				}
			}})
	}
	return list
}

// measurements are the numbers of a flat sample payload by key. What is not a
// number, and a payload that cannot be read, is left out.
func measurements(sample json.RawMessage) map[string]float64 {
	return health.CallOf(sample, nil).Values
}

var labelEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// metrics answers with the agent's status as metrics. A metric without a series is
// left out.
func (h *handler) metrics(w http.ResponseWriter, _ *http.Request) {
	s := scrape{Status: h.src.Status(), measured: map[string]map[string]float64{}, process: thisProcess()}
	s.Problems = health.English.Problems(s.Status, h.now())
	s.Endpoints = slices.DeleteFunc(slices.Clone(s.Endpoints), func(e health.Endpoint) bool {
		_, again := s.measured[e.Device]
		s.measured[e.Device] = measurements(e.Sample)
		return again // a series may be in a scrape only once
	})
	var out, series bytes.Buffer
	for _, m := range metrics {
		series.Reset()
		m.read(s, func(v float64, values ...string) {
			series.WriteString(m.name)
			for i, label := range m.labels {
				series.WriteByte("{,"[min(i, 1)])
				series.WriteString(label + `="` + labelEscape.Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`)
			}
			if len(m.labels) > 0 {
				series.WriteByte('}')
			}
			series.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
		})
		if series.Len() > 0 {
			kind := "gauge"
			if strings.HasSuffix(m.name, "_total") {
				kind = "counter"
			}
			out.WriteString("# HELP " + m.name + " " + m.help + "\n# TYPE " + m.name + " " + kind + "\n")
			out.Write(series.Bytes())
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(out.Bytes())
}
