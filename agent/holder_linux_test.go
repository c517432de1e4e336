package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"roomcall/buffer"
)

func TestTheProcessThatHoldsTheStoreIsNamed(t *testing.T) {
	dir := t.TempDir()
	q, err := buffer.Open(buffer.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if pid := storeHolder(dir); pid != os.Getpid() && pid != 0 { // 0: a file system whose numbers differ
		t.Fatalf("process %d", pid)
	}
	err = alreadyRunning(dir)
	if pid := storeHolder(dir); pid != 0 && !strings.Contains(err.Error(), "process "+strconv.Itoa(pid)) {
		t.Errorf("got %v", err)
	}
}

func TestTheHolderOfALockIsFoundInTheKernelsList(t *testing.T) {
	list := "1: POSIX  ADVISORY  WRITE 11 fe:00:7 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n" +
		"3: FLOCK  ADVISORY  WRITE 13 fe:00:7 0 EOF\n" +
		"3: -> FLOCK  ADVISORY  WRITE 14 fe:00:7 0 EOF\n" +
		"4: FLOCK  ADVISORY  WRITE 0 fe:00:8 0 EOF\n" +
		"4: FLOCK\n"
	for file, want := range map[string]int{"fe:00:7": 13, "fe:00:77": 12, "fe:00:8": 0, "fe:00:9": 0, "": 0} {
		if got := lockHolder(list, file); got != want {
			t.Errorf("%s: process %d, want %d", file, got, want)
		}
	}
}
