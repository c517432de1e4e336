package cli

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"roomcall/agent/health"
)

func TestProblemsAreAlarmsWithTheIDsOfTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/windows.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range alarmKinds {
		if row := fmt.Sprintf("| %d | %d | %d |", k.kind, k.kind+1, k.kind+2); !strings.Contains(string(docs), row) {
			t.Errorf("docs/windows.md has no row %q", row)
		}
	}
	problems := []health.Problem{
		{Code: "store_full", Bad: true, What: "The store is full", Hint: "free space"},
		{Code: "endpoint_unreachable", Device: "room-1", Bad: true, What: "room-1 cannot be reached"},
		{Code: "endpoint_unreachable", Device: "room-2", Bad: true, What: "room-2 \x1b[2Jcannot be reached"},
		{Code: "endpoint_poor_call", Device: "room-1", What: "poor"},
		{Code: "warning", What: "one"}, {Code: "warning", What: "two"},
		{Code: "other", Severity: health.Info, What: "good to know"},
	}
	got := alarmsOf(problems)
	kinds := []uint32{200, 400, 400, 500, 100, 100}
	keys := map[string]bool{}
	for i, a := range got {
		if i >= len(kinds) || a.Kind != kinds[i] || a.Bad != problems[i].Bad || keys[a.Key] || strings.Contains(a.Text, "\x1b") {
			t.Errorf("alarm %d: %+v", i, a)
		}
		keys[a.Key] = true
	}
	if len(got) != len(kinds) || got[0].Text != "The store is full (store_full)\r\nNext: free space" {
		t.Errorf("got %+v", got)
	}
}

// TestOneProcessorAndASmallHeapUnlessTheEnvironmentSaysOtherwise is not parallel: it sets
// what the whole process has.
func TestOneProcessorAndASmallHeapUnlessTheEnvironmentSaysOtherwise(t *testing.T) {
	procs, percent := runtime.GOMAXPROCS(3), debug.SetGCPercent(77)
	defer func() { runtime.GOMAXPROCS(procs); debug.SetGCPercent(percent) }()
	lean := func(env map[string]string) (procs, percent int) {
		(&app{getenv: func(name string) string { return env[name] }}).beLean()
		percent = debug.SetGCPercent(77)
		return runtime.GOMAXPROCS(3), percent
	}
	for _, c := range []struct {
		env            map[string]string
		procs, percent int
	}{
		{nil, 1, gcPercent},
		{map[string]string{"GOMAXPROCS": "3"}, 3, gcPercent},
		{map[string]string{"GOGC": "77"}, 1, 77},
	} {
		if procs, percent := lean(c.env); procs != c.procs || percent != c.percent {
			t.Errorf("with %v: %d processors and %d %%, want %d and %d", c.env, procs, percent, c.procs, c.percent)
		}
	}
}
