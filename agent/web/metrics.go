package web

import (
	"maps"
	"net/http"
	"runtime"
	"slices"

	"roomcall/agent/health"
)

// metrics answers with the agent's status as metrics, read at scrape time.
// Nothing is counted here, so metrics cost no memory between scrapes.
func (h *handler) metrics(w http.ResponseWriter, _ *http.Request) {
	s, out := h.src.Status(), newScrape()
	out.gauge(buildInfo, 1, s.Version, runtime.Version())
	seen := map[string]bool{}
	for _, e := range s.Endpoints {
		if !seen[e.Device] { // a series may stand in a scrape only once
			seen[e.Device] = true
			out.endpoint(e)
			out.media(e)
		}
	}
	out.broker(s.Broker)
	out.buffer(s.Buffer)
	out.counter(clockSteps, s.Clock.Steps)
	out.runtime()
	out.process()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(out.text())
}

func (o *scrape) endpoint(e health.Endpoint) {
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
func up(e health.Endpoint) bool { return !e.LastPoll.IsZero() && e.LastOK.Equal(e.LastPoll) }

func (o *scrape) broker(b health.Broker) {
	o.gauge(brokerConnected, oneIf(b.State == "connected"))
	o.counter(brokerConnects, b.Connects)
	o.counter(brokerLosses, b.Losses)
	o.counter(brokerPublished, b.Published)
	o.counter(brokerAcked, b.Acked)
	o.gauge(brokerInFlight, float64(b.InFlight))
	o.time(brokerLastAck, b.LastAck)
	o.oneOf(deliveryProof, proofs, b.Proof)
}

func (o *scrape) buffer(b health.Buffer) {
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
	o.gauge(bufferDamaged, float64(b.DamagedFiles))
	if b.DiskFree != nil {
		o.gauge(diskFree, float64(*b.DiskFree))
	}
	for _, kind := range slices.Sorted(maps.Keys(b.AppendedByKind)) {
		o.counter(appended, b.AppendedByKind[kind], kind)
	}
	for _, kind := range slices.Sorted(maps.Keys(b.AckedByKind)) {
		o.counter(acked, b.AckedByKind[kind], kind)
	}
}
