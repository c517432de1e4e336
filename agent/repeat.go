package main

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"roomcall/cgi"
	"roomcall/publish"
)

// repeatEvery is how often a failure that lasts is logged again.
const repeatEvery = 5 * time.Minute

// repeats logs a failure that comes again and again once, then every five
// minutes with the count, then one line when it is over.
type repeats struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	open map[string]*repeated
}

type repeated struct {
	kind   string
	count  int
	since  time.Time
	logged time.Time
}

func newRepeats(log *slog.Logger) *repeats {
	return &repeats{log: log, now: time.Now, open: map[string]*repeated{}}
}

// failed logs err about subject unless the same kind of trouble was logged
// lately.
func (r *repeats) failed(subject string, err error, attrs ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, kind := r.now(), troubleKind(err)
	f := r.open[subject]
	if f == nil {
		f = &repeated{since: now}
		r.open[subject] = f
	}
	f.count++
	if f.kind == kind && now.Sub(f.logged) < repeatEvery {
		return
	}
	attrs = append(attrs, "err", err.Error())
	if f.kind == kind {
		attrs = append(attrs, "times", f.count, "since", f.since.Format(time.RFC3339))
	}
	f.kind, f.logged = kind, now
	r.log.Error(subject+" failed", attrs...)
}

// worked logs one recovery line if subject had failed.
func (r *repeats) worked(subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.open[subject]
	if f == nil {
		return
	}
	delete(r.open, subject)
	r.log.Info(subject+" works again", "after", r.now().Sub(f.since).Round(time.Millisecond).String(), "failures", f.count)
}

// troubleKind is what stays the same when a failure repeats: its text, but for a
// broker or an endpoint its class, since the text names a port that changes every
// time.
func troubleKind(err error) string {
	var broker *publish.Error
	var endpoint *cgi.Error
	switch {
	case errors.As(err, &broker):
		return string(broker.Class) + " " + broker.Broker
	case errors.As(err, &endpoint):
		return endpoint.Kind.String() + " " + endpoint.Reason
	default:
		return err.Error()
	}
}
