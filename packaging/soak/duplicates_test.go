package soak

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"roomcall/buffer"
	"roomcall/publish/brokertest"
)

// offeredAgain is how many records the agent sends again at most after a kill: 1,000
// whose acknowledgement waits to be persisted (or those of 5 s), as many that arrive
// during a commit, and those in flight (max_inflight, 100).
const offeredAgain = 2*1000 + 100

// TestDuplicatesAfterAKillAreBounded kills the agent at random instants while it
// drains as fast as it can. SOAK_DRAIN_KILLS is the number of kills. The store is in
// memory, because more is acknowledged while a commit waits for a slow disk.
func TestDuplicatesAfterAKillAreBounded(t *testing.T) {
	t.Parallel()
	kills := count(t, "SOAK_DRAIN_KILLS", 2)
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	a := newAgent(t, filepath.Join(memoryDir(t), "data"), room("room-1", "http://"+freeAddr(t), "1h"), brokerTable(broker.URL()), "[buffer]\nmax_bytes = \"4GiB\"")
	records := kills * 10_000
	fill(t, a.data, records, 200)
	done := 0
	for range kills {
		a.start()
		a.await("the drain continues", func(s status) bool { return s.Buffer.Acked > 0 })
		pause(t.Context(), time.Duration(rnd.IntN(400))*time.Millisecond)
		a.kill()
		done++
	}
	a.start()
	a.drained()
	sum := sub.check(a.data)
	past := sub.topics["past/sample"]
	if len(past.sums) != records {
		t.Errorf("%d of %d records arrived", len(past.sums), records)
	}
	if past.back > offeredAgain {
		t.Errorf("after a kill %d records were sent again, at most %d are promised", past.back, offeredAgain)
	}
	t.Logf("%d kills in a drain of %d records: 0 lost, %d duplicates, at most %d after one kill", done, records, sum.dups, past.back)
}

// fill puts n waiting records with a text of size bytes on the topic past/sample of a
// store that nobody has open.
func fill(t testing.TB, dir string, n, size int) {
	t.Helper()
	fillSizes(t, dir, n, func(int) int { return size })
}

// fillSizes is fill with a size for each number, from 1.
func fillSizes(t testing.TB, dir string, n int, size func(num int) int) {
	t.Helper()
	q, err := buffer.Open(buffer.Options{Dir: dir, MaxBytes: 64 << 30})
	if err != nil {
		t.Fatal(err)
	}
	made := time.Now().Add(-time.Hour)
	for num := 0; num < n; {
		var b buffer.Batch
		for range min(1000, n-num) {
			num++
			b.Records = append(b.Records, buffer.Record{
				Lane: "past/sample", Num: uint64(num), Time: made, Fresh: 2 * time.Second,
				Payload: fmt.Appendf(nil, `{"seq":%d,"ts_ms":%d,"text":"%s"}`, num, made.UnixMilli(), letters(size(num))),
			})
		}
		if err := q.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// letters is a text that packing does not make shorter.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(rand.IntN(26))
	}
	return b
}
