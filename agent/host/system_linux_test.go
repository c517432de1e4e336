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

// TestNumbersOfFilesOnlyWhereTheyLast: a file system that numbers its files anew at each
// mount would make a store look like a copy at each boot.
func TestNumbersOfFilesOnlyWhereTheyLast(t *testing.T) {
	file := filepath.Join(t.TempDir(), "LOCK")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kind := fileSystem(file)
	if kind == 0 || fileSystem(file+"-not") != 0 {
		t.Fatalf("kind %#x of a file, %#x of none", kind, fileSystem(file+"-not"))
	}
	was := numbersAnew
	defer func() { numbersAnew = was }()
	numbersAnew = nil
	if FileID(file) == "" {
		t.Error("no number where they last")
	}
	numbersAnew = []int64{kind}
	if id := FileID(file); id != "" {
		t.Errorf("number %s where they do not last", id)
	}
}

// TestAMachineIDInMemoryIsNone: it is another one at each boot.
func TestAMachineIDInMemoryIsNone(t *testing.T) {
	kind := fileSystem("/etc/machine-id")
	if b, err := os.ReadFile("/etc/machine-id"); err != nil || len(b) == 0 {
		t.Skip("this machine has no machine-id")
	}
	was := inMemory
	defer func() { inMemory = was }()
	inMemory = nil
	if MachineID() == "" {
		t.Error("no id although it lasts")
	}
	inMemory = []int64{kind}
	if id := MachineID(); id != "" {
		t.Errorf("id %s although it does not last", id)
	}
}
