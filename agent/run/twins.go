package run

import (
	"slices"
	"sync"

	"roomcall/agent/report"
)

// echoesKept bounds the echoes that are remembered: one or two a connection.
const echoesKept = 64

// twins tells a second agent with the same client id from a bad network. Both end
// connections soon, again and again; but a twin leaves an echo of its own at the
// broker, which the next connection finds there.
type twins struct {
	mu        sync.Mutex
	suspected bool
	echoes    []report.Identity // that this agent, or the one before it, may have left; the newest last
}

// suspect notes that connections ended as if another agent had made them end.
func (t *twins) suspect() {
	t.mu.Lock()
	t.suspected = true
	t.mu.Unlock()
}

// sent notes an echo of this process.
func (t *twins) sent(echo []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id, ok := report.ReadIdentity(echo); ok {
		t.know(id)
	}
}

// know notes an echo that says nothing of a twin. Under mu.
func (t *twins) know(echo report.Identity) {
	if slices.Contains(t.echoes, echo) {
		return
	}
	t.echoes = append(t.echoes, echo)
	t.echoes = t.echoes[max(0, len(t.echoes)-echoesKept):]
}

// confirmed reports, once for each suspicion, whether what the broker had retained
// speaks for a twin. A broker that shows no echo leaves it at the suspicion: a new
// epoch too many loses nothing, two agents that use one epoch use ids twice.
func (t *twins) confirmed(seen []report.Identity) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.suspected
	t.suspected = false
	i := slices.IndexFunc(seen, func(id report.Identity) bool { return id.Device == "" && id.Position > 0 })
	if !was {
		if i >= 0 { // the agent before this one left it
			t.know(seen[i])
		}
		return false
	}
	return i < 0 || !slices.Contains(t.echoes, seen[i])
}
