package run

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestADiskThatHangsHoldsUpNoStatus: the question about its free space is not waited for,
// and waits once only, however often it is asked.
func TestADiskThatHangsHoldsUpNoStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f freeSpace
		var asked atomic.Int32
		disk := make(chan struct{})
		hangs := func() (int64, error) { asked.Add(1); <-disk; return 7, nil }
		start := time.Now()
		for range 10 {
			if free := f.get(hangs); free != nil {
				t.Errorf("%d bytes are free of a disk that does not answer", *free)
			}
		}
		if took := time.Since(start); took > 10*freePatience || asked.Load() != 1 {
			t.Errorf("asked %d times in %v", asked.Load(), took)
		}
		close(disk)
		synctest.Wait()
		if free := f.get(hangs); free == nil || *free != 7 {
			t.Error("after the disk has answered nothing is known")
		}
		if free := f.get(func() (int64, error) { return 7, errors.New("no such folder") }); free != nil {
			t.Error("a failure is an answer")
		}
	})
}
