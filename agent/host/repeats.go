package host

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// repeatEvery is how often a failure that lasts is logged again.
const repeatEvery = 5 * time.Minute

// Repeats logs a failure that comes again and again once, then every five
// minutes with the count, then one line when it is over. It is safe for
// concurrent use.
type Repeats struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	open map[string]*repeated // by subject
}

type repeated struct {
	kind   string
	count  int
	since  time.Time
	logged time.Time
}

// NewRepeats logs to log.
func NewRepeats(log *slog.Logger) *Repeats {
	return &Repeats{log: log, now: time.Now, open: map[string]*repeated{}}
}

// Failed logs err about subject unless the same kind of failure was logged
// within the last five minutes.
func (r *Repeats) Failed(subject string, err error, attrs ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, kind := r.now(), kindOf(err)
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

// Worked logs one line if subject had failed before.
func (r *Repeats) Worked(subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.open[subject]
	if f == nil {
		return
	}
	delete(r.open, subject)
	r.log.Info(subject+" works again", "after", r.now().Sub(f.since).Round(time.Millisecond).String(), "failures", f.count)
}

// kindOf is what stays the same when a failure repeats. An error can name it
// with a method LogKind, because its text may change every time (a port number);
// otherwise it is the error's text.
func kindOf(err error) string {
	var k interface{ LogKind() string }
	if errors.As(err, &k) {
		return k.LogKind()
	}
	return err.Error()
}
