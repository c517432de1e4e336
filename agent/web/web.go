// Package web is the agent's local HTTP: the status page, health and readiness,
// Prometheus metrics and a small read-only API.
//
// Promise: it changes nothing. It answers GET and HEAD only, only to a Host
// name that means this listener, and never to a page of another site; every
// input is bounded, and a measurement that is not known is absent, never 0.
//
// Paths:
//
//	/                      status page for people
//	/healthz               200 while the process is alive
//	/readyz                200, or 503 with one reason a line
//	/metrics               Prometheus text, base units (seconds, bytes, ratios)
//	/api/v1/status         Status as JSON
//	/api/v1/samples        newest samples; ?device= and ?since= are optional
//	/api/v1/buffer         what waits in the store
//	/api/v1/buffer/export  the store's records, one JSON object a line
//	/api/v1/buffer/verify  checks the store's files
package web

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
)

// MaxSamples is the most samples that one answer of /api/v1/samples holds.
const MaxSamples = 1000

// Source is what the handler asks. Every method must be safe for concurrent
// use and must not wait for the network or for the poll and drain loops.
type Source interface {
	// Status is a snapshot of the whole agent.
	Status() health.Status
	// Samples are the newest sample payloads taken at or after since, oldest
	// first, at most max. An empty device means all devices.
	Samples(device string, since time.Time, max int) []json.RawMessage
	// Buffer is the JSON object that `buffer info --json` prints.
	Buffer(ctx context.Context) (json.RawMessage, error)
	// Export writes the records that match, one JSON object a line, in the
	// order of the queue. An error after the first byte cuts the answer.
	Export(ctx context.Context, w io.Writer, f Filter) error
	// Verify checks the store's files and returns the JSON object that
	// `buffer verify --json` prints. An error means that the check itself
	// could not run; damage is a result, not an error.
	Verify(ctx context.Context) (json.RawMessage, error)
}

// Filter chooses records for an export. The zero value means all records that
// wait for delivery.
type Filter struct {
	report.Filter
	Delivered bool // also the delivered records that are still kept
}
