package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheHolderOfALockIsFoundInTheKernelsList(t *testing.T) {
	list := "1: POSIX  ADVISORY  WRITE 11 fe:00:7 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n" +
		"3: FLOCK  ADVISORY  WRITE 13 fe:00:7 0 EOF\n" +
		"3: -> FLOCK  ADVISORY  WRITE 14 fe:00:7 0 EOF\n" +
		"4: FLOCK  ADVISORY  WRITE 0 fe:00:8 0 EOF\n" +
		"4: FLOCK\n"
	for file, want := range map[string]int{"fe:00:7": 13, "fe:00:77": 12, "fe:00:8": 0, "fe:00:9": 0, "": 0} {
		if got := holderIn(list, file); got != want {
			t.Errorf("%s: process %d, want %d", file, got, want)
		}
	}
}

// TestPriorityOnlyWhereTheJournalReads: a process that a service started inherits
// JOURNAL_STREAM also when its log goes into a file.
func TestPriorityOnlyWhereTheJournalReads(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	stream := ""
	for _, stream = range []string{fmt.Sprintf("%d:%d", st.Dev, st.Ino), fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), "nonsense", ""} {
		sink := NewSink(file)
		NewLogger(LogOptions{Format: "json", Level: "info", Out: sink, JournalStream: stream}).Info("hello")
		sink.Flush(time.Minute)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 4 {
		t.Fatalf("got %q", lines)
	}
	for i, line := range lines {
		if want := []string{"<6>{", "{", "{", "{"}[i]; !strings.HasPrefix(line, want) {
			t.Errorf("line %d is %s, want it to begin with %s", i, line, want)
		}
	}
}
