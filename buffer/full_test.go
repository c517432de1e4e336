//go:build linux

package buffer

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of the given size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED: NOBODY WATCHES WHAT A REAL FULL DISK DOES: that needs the right to mount: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	return dir
}

func TestFullDiskRefusesCleanlyAndGoesOnWhenThereIsSpace(t *testing.T) {
	c, dir := newClock(), smallDisk(t, "3m")
	o := Options{Dir: dir + "/store", MaxBytes: 64 << 20, SegmentBytes: 256 << 10, KeepDelivered: time.Hour, Now: c.now}
	q := open(t, o)
	accepted := uint64(0)
	grow := func() {
		t.Helper()
		for range 5000 {
			err := q.Append(Batch{Records: []Record{rec("a", accepted+1, c.t, 1000)}, State: map[string][]byte{"n": {byte(accepted + 1)}}})
			if err != nil {
				if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("append on a full disk: %v", err)
				}
				return
			}
			accepted++
		}
		t.Fatal("the disk never got full")
	}
	check := func(first uint64) {
		t.Helper()
		items := drain(t, q, false)
		if uint64(len(items)) != accepted-first+1 || items[0].Num != first || q.State()["n"][0] != byte(accepted) || len(q.Damage()) > 0 {
			t.Fatalf("%d records from %d, want %d to %d; damage %+v", len(items), items[0].Num, first, accepted, q.Damage())
		}
	}
	grow()
	full := accepted
	check(1)
	crash(q)
	q = open(t, o)
	check(1)
	grow()
	if err := q.Ack(full / 2); err != nil {
		t.Fatal(err)
	}
	grow() // delivered records make room, although they are kept
	if accepted < full+full/4 {
		t.Fatalf("only %d more records after half of %d was delivered", accepted-full, full)
	}
	check(full/2 + 1)
	if err := os.WriteFile(dir+"/ballast", make([]byte, 64<<10), 0o600); err == nil {
		os.Remove(dir + "/ballast")
	}
	if err := q.Close(); err != nil && !errors.Is(err, ErrFull) {
		t.Fatalf("close on a full disk: %v", err)
	}
	q = open(t, o)
	check(full/2 + 1)
}

func TestDeadHandleAfterAFailedCommitIsReplaced(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: t.TempDir(), Now: c.now})
	fill(t, q, c, "a", 1, 10, 100)
	q.w.db.Close() // as after a failed remap: every call fails from now on
	if err := q.Append(Batch{Records: []Record{rec("a", 11, c.t, 100)}}); err == nil {
		t.Fatal("append through a dead handle succeeded")
	}
	fill(t, q, c, "a", 11, 5, 100)
	if n := len(drain(t, q, false)); n != 15 {
		t.Fatalf("%d records, want 15", n)
	}
}
