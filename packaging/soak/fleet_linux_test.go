package soak

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"roomcall/publish/brokertest"
)

// writtenPerByte is the most that the agent may write to disk for a byte of an accepted
// record.
const writtenPerByte = 8

// TestAThousandRoomsInTheSmallestStore polls 1,000 rooms with the smallest max_bytes
// that the config accepts. The store is full when it begins, and the broker is away
// until SOAK_FLEET records more are accepted.
func TestAThousandRoomsInTheSmallestStore(t *testing.T) {
	more := uint64(count(t, "SOAK_FLEET", 12_000))
	const rooms, smallest = 1000, 1000 * 64 // KiB
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	tables := []string{brokerTable(broker.URL())}
	for i := range rooms {
		tables = append(tables, room(fmt.Sprint("room-", i), sim.url, "5s"))
	}
	buffer := func(kib int) string {
		return fmt.Sprintf("[buffer]\nmax_bytes = \"%dKiB\"\nkeep_delivered = \"0s\"\n", kib)
	}
	a := newAgent(t, "", append(tables, buffer(smallest-1))...)
	if out, err := a.command("config", "check").CombinedOutput(); err == nil {
		t.Fatalf("less than the smallest max_bytes is accepted:\n%s", out)
	}
	a.configure(append(tables, buffer(smallest))...)
	broker.Stop()
	const past = 44_000
	fill(t, a.data, past, 1450)
	a.start()
	over, times := int64(0), 0 // a commit that evicts is on disk a moment before the old files are gone
	a.await("records are evicted", func(s status) bool {
		if now := s.Buffer.BytesOnDisk - smallest<<10; now <= 0 {
			times = 0
		} else if over, times = max(over, now), times+1; times == 20 || now > smallest<<10/16 {
			t.Errorf("%d bytes on disk, at most %d are allowed", s.Buffer.BytesOnDisk, smallest<<10)
		}
		return s.Buffer.Appended >= more
	})
	broker.Start()
	a.await("the broker has all", func(s status) bool { return s.Broker.State == "connected" && s.Buffer.Waiting < 1000 })
	waitFor(t, "all that was evicted is announced", patience, func() string { // at most once a minute for a topic
		st, err := a.status()
		if n := sub.told(); err != nil || n < st.Buffer.Evicted {
			return fmt.Sprintf("%d of %d %v", n, st.Buffer.Evicted, err)
		}
		return ""
	})
	st := a.await("it answers", func(status) bool { return true })
	written := a.written()
	a.drained()
	sum := sub.check(a.data)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	accepted := float64(st.Buffer.Appended) * float64(sub.bytes) / float64(sum.records)
	per := float64(written) / accepted
	if per > writtenPerByte {
		t.Errorf("%.1f bytes are written for a byte of an accepted record, at most %d are promised", per, writtenPerByte)
	}
	if sum.announced == 0 {
		t.Error("nothing was evicted: the test did not test")
	}
	for _, f := range []string{"agent.store_damaged", "agent.store_reset"} {
		if strings.Contains(fmt.Sprint(sub.types), f) {
			t.Errorf("there was an %s", f)
		}
	}
	t.Logf("%d rooms in %d KiB: %d records accepted, %d evicted of which %d announced with numbers that never arrived, 0 unannounced, %d duplicates; %.1f bytes written for a byte accepted; at most %d bytes over the limit, for a moment",
		rooms, smallest, st.Buffer.Appended, st.Buffer.Evicted, sum.announced, sum.dups, per, over)
}

// told is how many records were announced as gone.
func (a *audience) told() (n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, list := range a.gone {
		for _, g := range list {
			n += g[1] - g[0] + 1
		}
	}
	return n
}

// written is how many bytes the agent has made the system write to a disk so far; see
// proc(5), write_bytes. In a folder that is in memory it is 0.
func (a *agent) written() (n int64) {
	a.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "\nwrite_bytes: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		a.t.Fatal(err)
	}
	return n
}
