package web

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsHandler serves a registry of its own: the agent's status, read at
// scrape time, and the Go runtime and process collectors. Nothing is counted
// here, so metrics cost no memory between scrapes.
func metricsHandler(src Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{src: src}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		DisableCompression:  true, // loopback; the compressor's buffers cost more than the bytes
		MaxRequestsInFlight: 4,
		Timeout:             readTimeout,
	})
}

// described are all the metrics below, in their order.
var described []*prometheus.Desc

// desc names a metric; labels are its variable labels.
func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("roomcall_"+name, help, labels, nil)
	described = append(described, d)
	return d
}

var (
	buildInfo = desc("build_info", "Version of the agent; always 1.", "version", "goversion")

	endpointUp       = desc("endpoint_up", "1 if the newest poll of the endpoint was good.", "device")
	endpointInfo     = desc("endpoint_info", "What the endpoint is; always 1.", "device", "room", "model", "source_api")
	endpointState    = desc("endpoint_state", "1 for the state the endpoint is in, 0 for the others.", "device", "state")
	endpointInCall   = desc("endpoint_in_call", "1 while the endpoint is in a call.", "device")
	endpointGrade    = desc("endpoint_grade", "1 for the grade of the call, 0 for the others; only in a call.", "device", "grade")
	endpointOddities = desc("endpoint_not_understood_values", "Values of the newest poll that could not be read.", "device")
	polls            = desc("polls_total", "Polls since the start.", "device")
	pollFailures     = desc("poll_failures_total", "Polls that failed since the start.", "device")
	pollsSkipped     = desc("polls_skipped_total", "Polls left out because one was still running.", "device")
	pollDuration     = desc("poll_duration_seconds", "Duration of the newest poll.", "device")
	pollInterval     = desc("poll_interval_seconds", "Poll interval in force.", "device")
	lastPoll         = desc("last_poll_timestamp_seconds", "When the newest poll ended.", "device")
	lastGoodPoll     = desc("last_good_poll_timestamp_seconds", "When the newest good poll ended.", "device")

	brokerConnected = desc("broker_connected", "1 while the broker connection is up.")
	brokerConnects  = desc("broker_connects_total", "Connections made since the start.")
	brokerLosses    = desc("broker_connection_losses_total", "Connections lost since the start.")
	brokerPublished = desc("broker_records_published_total", "Records sent since the start, repeats included.")
	brokerAcked     = desc("broker_records_acked_total", "Records that the broker acknowledged since the start.")
	brokerInFlight  = desc("broker_in_flight_records", "Records sent and not acknowledged yet.")
	brokerLastAck   = desc("broker_last_ack_timestamp_seconds", "When the broker acknowledged last.")
	deliveryProof   = desc("delivery_proof", "1 for the state of the delivery proof, 0 for the others.", "state")

	bufferOpen        = desc("buffer_open", "1 while the store is open and takes records.")
	bufferWaiting     = desc("buffer_waiting_records", "Records that wait for delivery.")
	bufferOldest      = desc("buffer_oldest_timestamp_seconds", "Time of the oldest record that waits.")
	bufferKept        = desc("buffer_delivered_kept_records", "Delivered records that are still kept.")
	bufferBytes       = desc("buffer_bytes", "Size of the store on disk.")
	bufferLimit       = desc("buffer_limit_bytes", "Most that the store may take on disk.")
	bufferSegments    = desc("buffer_segments", "Files of the store.")
	bufferMemory      = desc("buffer_memory_held_records", "Records in memory until the disk has space again.")
	bufferEvicted     = desc("records_evicted_total", "Undelivered records thrown away by a limit since the start.")
	bufferQuarantined = desc("buffer_quarantined_records", "Records set aside because the broker will not take them.")
	diskFree          = desc("disk_free_bytes", "Free space where the store lies.")
	appended          = desc("records_appended_total", "Records stored since the start.", "kind")
	acked             = desc("records_acked_total", "Records delivered since the start.", "kind")

	clockSteps = desc("clock_steps_total", "Jumps of the wall clock of more than 2 s since the start.")
)

// States and proofs that are exported as 0/1 series.
var (
	endpointStates = []string{"idle", "in_call", "unreachable", "refused", "busy", "upgrading", "error"}
	grades         = []string{"unknown", "good", "fair", "poor"}
	proofs         = []string{"pending", "proven", "unproven", "failed"}
)

// collector turns a Status into metrics when it is scraped.
type collector struct{ src Source }

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s, out := c.src.Status(), sink{ch}
	out.gauge(buildInfo, 1, s.Version, runtime.Version())
	for _, e := range s.Endpoints {
		out.endpoint(e)
		out.media(e)
	}
	out.broker(s.Broker)
	out.buffer(s.Buffer)
	out.counter(clockSteps, s.Clock.Steps)
}

// sink sends metrics of one scrape.
type sink struct{ ch chan<- prometheus.Metric }

func (o sink) send(d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	if m, err := prometheus.NewConstMetric(d, t, v, labels...); err == nil {
		o.ch <- m
	}
}

func (o sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	o.send(d, prometheus.GaugeValue, v, labels)
}

func (o sink) counter(d *prometheus.Desc, v uint64, labels ...string) {
	o.send(d, prometheus.CounterValue, float64(v), labels)
}

// time sends a Unix time, and nothing for a time that is not known.
func (o sink) time(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		o.gauge(d, float64(t.UnixMilli())/1000, labels...)
	}
}

// oneOf sends 1 for the value that holds and 0 for the others.
func (o sink) oneOf(d *prometheus.Desc, all []string, value string, labels ...string) {
	for _, v := range all {
		o.gauge(d, oneIf(v == value), append(labels[:len(labels):len(labels)], v)...)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (o sink) endpoint(e Endpoint) {
	d := e.Device
	o.gauge(endpointInfo, 1, d, e.Room, e.Model, e.SourceAPI)
	o.gauge(pollInterval, e.IntervalS, d)
	o.counter(polls, e.Polls, d)
	o.counter(pollFailures, e.Failures, d)
	o.counter(pollsSkipped, e.Skipped, d)
	o.time(lastPoll, e.LastPoll, d)
	o.time(lastGoodPoll, e.LastOK, d)
	if e.LastPoll.IsZero() {
		return
	}
	o.gauge(endpointUp, oneIf(up(e)), d)
	o.oneOf(endpointState, endpointStates, e.State, d)
	o.gauge(endpointInCall, oneIf(e.InCall), d)
	o.gauge(endpointOddities, float64(e.NotUnderstood), d)
	o.gauge(pollDuration, e.PollMs/1000, d)
	if e.InCall {
		o.oneOf(endpointGrade, grades, e.Grade, d)
	}
}

// up tells whether the newest poll was good.
func up(e Endpoint) bool { return !e.LastPoll.IsZero() && e.LastOK.Equal(e.LastPoll) }

func (o sink) broker(b Broker) {
	o.gauge(brokerConnected, oneIf(b.State == "connected"))
	o.counter(brokerConnects, b.Connects)
	o.counter(brokerLosses, b.Losses)
	o.counter(brokerPublished, b.Published)
	o.counter(brokerAcked, b.Acked)
	o.gauge(brokerInFlight, float64(b.InFlight))
	o.time(brokerLastAck, b.LastAck)
	o.oneOf(deliveryProof, proofs, b.Proof)
}

func (o sink) buffer(b Buffer) {
	o.gauge(bufferOpen, oneIf(b.State == "open"))
	o.gauge(bufferWaiting, float64(b.Waiting))
	o.time(bufferOldest, b.Oldest)
	o.gauge(bufferKept, float64(b.DeliveredKept))
	o.gauge(bufferBytes, float64(b.BytesOnDisk))
	o.gauge(bufferLimit, float64(b.MaxBytes))
	o.gauge(bufferSegments, float64(b.Segments))
	o.gauge(bufferMemory, float64(b.MemoryHeld))
	o.counter(bufferEvicted, b.Evicted)
	o.gauge(bufferQuarantined, float64(b.Quarantined))
	if b.DiskFree != nil {
		o.gauge(diskFree, float64(*b.DiskFree))
	}
	for kind, n := range b.AppendedByKind {
		o.counter(appended, n, kind)
	}
	for kind, n := range b.AckedByKind {
		o.counter(acked, n, kind)
	}
}
