package soak

import (
	"os"
	"testing"
	"time"

	"roomcall/buffer"
)

// TestOutageOfManyDaysTakesNoMemory simulates an outage of SOAK_DAYS days in fast
// time: two rooms, eight hours a day in a call at 5 s, otherwise idle at 15 s. What
// does not fit into the store's 256 MiB is evicted; the rest is delivered at the end.
func TestOutageOfManyDaysTakesNoMemory(t *testing.T) {
	days := count(t, "SOAK_DAYS", 1)
	length := 24 * time.Hour
	if os.Getenv("SOAK_DAYS") == "" {
		length = 3 * time.Hour // a short day in the short form
	}
	r := newRecorder(t, buffer.Options{Dir: memoryDir(t), MaxAge: 720 * time.Hour, KeepDelivered: 24 * time.Hour}, 2)
	var memory []float64
	for day := range days {
		for end := day0.Add(time.Duration(day+1) * length); r.now.Before(end); {
			inCall := r.now.Hour()%3 == 1
			r.poll(inCall)
			if inCall {
				r.now = r.now.Add(5 * time.Second)
			} else {
				r.now = r.now.Add(15 * time.Second)
			}
		}
		mib, err := anonMiB("self")
		if err != nil {
			t.Fatal(err)
		}
		memory = append(memory, mib)
		in := r.q.Info()
		if in.DiskBytes > in.MaxBytes {
			t.Errorf("on day %d the store uses %d bytes of %d", day+1, in.DiskBytes, in.MaxBytes)
		}
		t.Logf("day %d: %d wait in %d MiB, RssAnon of the test %.1f MiB", day+1, in.Waiting, in.DiskBytes>>20, mib)
	}
	first, last := memory[min(2, len(memory)-1)], memory[len(memory)-1]
	if last > first+16 {
		t.Errorf("memory grew from %.1f MiB on the third day to %.1f MiB on the last", first, last)
	}
	accepted := r.finish()
	t.Logf("%d days, %d polls, %d records accepted, %d evicted and announced, 0 lost; RssAnon %.1f MiB on the third day, %.1f MiB on the last",
		days, r.polls, accepted, r.evicted, first, last)
}
