package run

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"roomcall/agent/host"
	"roomcall/buffer"
)

func TestTheProcessThatHoldsTheStoreIsNamed(t *testing.T) {
	dir := t.TempDir()
	q, err := buffer.Open(buffer.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if pid := host.LockHolder(filepath.Join(dir, "LOCK")); pid != os.Getpid() && pid != 0 { // 0: a file system whose numbers differ
		t.Fatalf("process %d", pid)
	}
	err = alreadyRunning(dir)
	if pid := host.LockHolder(filepath.Join(dir, "LOCK")); pid != 0 && !strings.Contains(err.Error(), "process "+strconv.Itoa(pid)) {
		t.Errorf("got %v", err)
	}
}
