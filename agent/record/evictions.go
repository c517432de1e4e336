package record

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"roomcall/buffer"
)

// evictions collects what was evicted until it is logged.
type evictions struct {
	records uint64
	topics  map[string]bool
	reasons map[string]bool
	logged  time.Time
}

// evictedEvery is the least time between two lines of the log about evictions.
const evictedEvery = 5 * time.Minute

func (e *evictions) add(g buffer.Gap) {
	if e.records == 0 {
		e.topics, e.reasons = map[string]bool{}, map[string]bool{}
	}
	e.records += g.Count
	e.topics[g.Lane], e.reasons[g.Reason] = true, true
}

// log writes one line at the beginning of a burst of evictions and then every five
// minutes, with what went since the last one.
func (e *evictions) log(log *slog.Logger, now time.Time) {
	if e.records == 0 || !e.logged.IsZero() && now.Sub(e.logged) < evictedEvery {
		return
	}
	log.Warn("evicted undelivered records, because of a limit of [buffer]", "records", e.records, "topics", len(e.topics),
		"reason", strings.Join(slices.Sorted(maps.Keys(e.reasons)), ","))
	*e = evictions{logged: now}
}
