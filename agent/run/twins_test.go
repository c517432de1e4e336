package run

import (
	"fmt"
	"testing"

	"roomcall/agent/report"
)

// TestAnEchoTellsATwinFromABadNetwork: a suspicion alone begins no new epoch where the
// broker shows that nobody else was there.
func TestAnEchoTellsATwinFromABadNetwork(t *testing.T) {
	echo := func(epoch, position int) report.Identity {
		id, _ := report.ReadIdentity(fmt.Appendf(nil, `{"nonce":"x","epoch":%d,"position":%d}`, epoch, position))
		return id
	}
	state := report.Identity{Epoch: 7, Device: "room-1", Kind: "sample", Seq: 3}
	for name, c := range map[string]struct {
		suspected bool
		seen      []report.Identity
		want      bool
	}{
		"the last echo of ours":               {true, []report.Identity{state, echo(7, 20)}, false},
		"an older echo of ours":               {true, []report.Identity{echo(7, 10)}, false},
		"an echo of the same epoch":           {true, []report.Identity{echo(7, 15)}, true},
		"an echo of another epoch":            {true, []report.Identity{echo(6, 20), state}, true},
		"no echo":                             {true, []report.Identity{state}, true},
		"another echo, nobody was thrown out": {false, []report.Identity{echo(6, 20)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var tw twins
			tw.sent([]byte(`{"epoch":7,"position":10}`))
			tw.sent([]byte(`{"epoch":7,"position":20}`))
			if c.suspected {
				tw.suspect()
			}
			if got := tw.confirmed(c.seen); got != c.want {
				t.Errorf("confirmed %v, want %v", got, c.want)
			}
			if tw.confirmed(nil) {
				t.Error("confirmed twice")
			}
		})
	}
	var tw twins
	for i := range 10 * echoesKept {
		tw.sent(fmt.Appendf(nil, `{"epoch":7,"position":%d}`, i+1))
	}
	if len(tw.echoes) != echoesKept {
		t.Errorf("%d echoes are kept", len(tw.echoes))
	}
}
