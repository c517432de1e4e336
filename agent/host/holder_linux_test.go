package host

import (
	"testing"
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
