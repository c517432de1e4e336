package run

import (
	"os"
	"path/filepath"
	"testing"

	"roomcall/agent/host"
)

func TestStartReason(t *testing.T) {
	const boot, next = "boot-1", "boot-2"
	was := &lastRun{Version: "1", Boot: boot}
	for _, c := range []struct {
		want           string
		was            *lastRun
		now            lastRun
		clean, tripped bool
	}{
		{"first", nil, lastRun{Version: "1", Boot: boot}, true, false},
		{"start", was, lastRun{Version: "1", Boot: boot}, true, false},
		{"crash", was, lastRun{Version: "1", Boot: boot}, false, false},
		{"watchdog", was, lastRun{Version: "1", Boot: boot}, false, true},
		{"boot", was, lastRun{Version: "1", Boot: next}, false, false},
		{"boot", was, lastRun{Version: "1", Boot: next}, true, true},
		{"upgrade", was, lastRun{Version: "2", Boot: boot}, true, false},
		{"upgrade", was, lastRun{Version: "2", Boot: next}, false, false},
	} {
		if got := startReason(c.was, c.now, c.clean, c.tripped); got != c.want {
			t.Errorf("startReason(%+v, %+v, clean %v, tripped %v) = %q, want %q", c.was, c.now, c.clean, c.tripped, got, c.want)
		}
	}
}

func TestAStoreThatWasMadeElsewhereIsACopy(t *testing.T) {
	here := lastRun{Version: "1", Machine: "m", Place: "7"}
	for _, c := range []struct {
		was  *lastRun
		want bool
	}{
		{nil, false},
		{&lastRun{Version: "1"}, false}, // of a version that did not note it
		{&here, false},
		{&lastRun{Machine: "m", Place: "7", Boot: "another", Version: "0"}, false},
		{&lastRun{Machine: "n", Place: "7"}, true},
		{&lastRun{Machine: "m", Place: "8"}, true},
		{&lastRun{Place: "8"}, true},
	} {
		if got := c.was.copied(here); got != c.want {
			t.Errorf("%+v: %v, want %v", c.was, got, c.want)
		}
	}
}

func TestACopyOfAFileIsToldFromTheFile(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	for _, f := range []string{"a", "b"} {
		if err := os.WriteFile(name(f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id := host.FileID(name("a"))
	if id == "" {
		t.Fatal("this system does not tell files apart")
	}
	if err := os.Rename(name("a"), name("c")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name("c"), []byte("longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := host.FileID(name("c")); got != id {
		t.Errorf("the same file is %s, was %s", got, id)
	}
	if got := host.FileID(name("b")); got == id {
		t.Errorf("a copy is %s too", got)
	}
}
