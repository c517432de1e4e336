package run

import "testing"

func TestStartReason(t *testing.T) {
	const boot, next = "boot-1", "boot-2"
	was := &lastRun{Version: "1", Boot: boot}
	for _, c := range []struct {
		want           string
		was            *lastRun
		now            lastRun
		clean, tripped bool
	}{
		{"first", nil, lastRun{"1", boot}, true, false},
		{"start", was, lastRun{"1", boot}, true, false},
		{"crash", was, lastRun{"1", boot}, false, false},
		{"watchdog", was, lastRun{"1", boot}, false, true},
		{"boot", was, lastRun{"1", next}, false, false},
		{"boot", was, lastRun{"1", next}, true, true},
		{"upgrade", was, lastRun{"2", boot}, true, false},
		{"upgrade", was, lastRun{"2", next}, false, false},
	} {
		if got := startReason(c.was, c.now, c.clean, c.tripped); got != c.want {
			t.Errorf("startReason(%+v, %+v, clean %v, tripped %v) = %q, want %q", c.was, c.now, c.clean, c.tripped, got, c.want)
		}
	}
}
