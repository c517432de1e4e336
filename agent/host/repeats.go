package host

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// repeatEvery is how often a failure that lasts is logged again.
const repeatEvery = 5 * time.Minute

// Repeats logs a failure that comes again and again once, then every five
// minutes with the count, then one line when it is over. Kinds of failure that
// take turns are each logged so, and a subject that fails and works in turns is
// silent, from the third time in five minutes on, until the next five minutes. It
// is safe for concurrent use.
type Repeats struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	open map[string]*repeated // by subject
	over map[string]*repeated // the same after Worked
}

type repeated struct {
	count  int
	since  time.Time
	logged map[string]time.Time // by kind of failure
	turns  []time.Time          // of the last times that it worked again
	silent bool                 // nothing of this turn was logged
}

// turnsLogged recoveries of a subject are logged in five minutes.
const turnsLogged = 2

// NewRepeats logs to log.
func NewRepeats(log *slog.Logger) *Repeats {
	return &Repeats{log: log, now: time.Now, open: map[string]*repeated{}, over: map[string]*repeated{}}
}

// Failed logs err about subject unless the same kind of failure was logged
// within the last five minutes.
func (r *Repeats) Failed(subject string, err error, attrs ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, kind := r.now(), kindOf(err)
	f := r.open[subject]
	if f == nil {
		f = r.again(subject, now)
	}
	f.count++
	last, known := f.logged[kind]
	if known && now.Sub(last) < repeatEvery {
		return
	}
	attrs = append(attrs, "err", err.Error())
	if known {
		attrs = append(attrs, "times", f.count, "since", f.since.Format(time.RFC3339))
	}
	f.logged[kind], f.silent = now, false
	r.log.Error(subject+" failed", attrs...)
}

// again begins a failure, and goes on with one that only seemed to be over.
func (r *Repeats) again(subject string, now time.Time) *repeated {
	f := r.over[subject]
	delete(r.over, subject)
	if f != nil {
		f.turns = slices.DeleteFunc(f.turns, func(t time.Time) bool { return now.Sub(t) >= repeatEvery })
	}
	switch {
	case f == nil:
		f = &repeated{since: now, logged: map[string]time.Time{}}
	case len(f.turns) < turnsLogged:
		f = &repeated{since: now, logged: map[string]time.Time{}, turns: f.turns}
	default:
		f.silent = true
	}
	r.open[subject] = f
	return f
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
	r.over[subject] = f
	if f.silent {
		return
	}
	f.turns = append(f.turns, r.now())
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
