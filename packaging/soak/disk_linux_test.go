package soak

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"roomcall/buffer"
	"roomcall/publish/brokertest"
)

// TestDiskThatIsFullAgainAndAgainLosesNothing simulates SOAK_DISK_HOURS hours on a
// file system of 24 MiB with the default settings: another file grows and is removed,
// the broker comes and goes, two rooms are in a call.
func TestDiskThatIsFullAgainAndAgainLosesNothing(t *testing.T) {
	hours := count(t, "SOAK_DISK_HOURS", 2)
	disk := smallDisk(t, "24m")
	other := newBallast(disk)
	r := newRecorder(t, buffer.Options{Dir: filepath.Join(disk, "store"), KeepDelivered: 24 * time.Hour}, 2)
	rnd := rand.New(rand.NewPCG(11, 11))
	down, sent, fullMinutes := true, 0, 0
	for minute := range hours * 60 {
		switch rnd.IntN(8) {
		case 0:
			other.remove()
		case 1:
			other.grow(t, rnd.IntN(24<<20))
		}
		if rnd.IntN(20) == 0 {
			down = !down
		}
		before := r.full
		for range 12 {
			r.poll(minute%90 < 80)
			r.now = r.now.Add(5 * time.Second)
		}
		if r.full > before {
			fullMinutes++
		}
		if !down {
			sent += r.deliver(1 + rnd.IntN(3000))
		}
	}
	other.remove()
	r.deliver(1 << 62)
	r.commit()
	if len(r.held) > 0 {
		t.Errorf("%d polls are still in memory although there is space", len(r.held))
	}
	accepted := r.finish()
	if fullMinutes == 0 || sent == 0 {
		t.Errorf("the disk was full in %d minutes and %d records were sent meanwhile: the test did not test", fullMinutes, sent)
	}
	t.Logf("%d hours, full in %d minutes: %d polls, %d records accepted, 0 lost, %d evicted; %d polls never accepted because memory was full too",
		hours, fullMinutes, r.polls, accepted, r.evicted, r.refused)
}

// TestAgentGoesOnWithAFullDisk fills the disk under the running program, kills it,
// starts it on the full disk and frees the space, SOAK_DISK_ROUNDS times.
func TestAgentGoesOnWithAFullDisk(t *testing.T) {
	rounds := count(t, "SOAK_DISK_ROUNDS", 1)
	disk := smallDisk(t, "32m")
	other := newBallast(disk)
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	a := newAgent(t, filepath.Join(disk, "data"), room("room-1", sim.url, "100ms"), brokerTable(broker.URL()), "[buffer]\nkeep_delivered = \"0s\"")
	isFull := func(s status) bool { return s.Buffer.State == "full" && s.Buffer.MemoryHeld > 3 }
	for range rounds {
		a.start()
		seen := sub.size("room-1/sample")
		sub.waitSize("room-1/sample", seen+3)
		broker.Stop()
		other.grow(t, 64<<20)
		st := a.await("the disk is full and polls wait in memory", isFull)
		polls := st.Endpoints[0].Polls
		a.await("polling continues", func(s status) bool { return s.Endpoints[0].Polls > polls+3 })
		a.kill()
		a.start()
		a.await("it runs on a full disk", func(s status) bool { return s.Buffer.State != "" })
		other.remove()
		broker.Start()
		a.await("it writes again", func(s status) bool { return s.Buffer.State == "open" && s.Buffer.MemoryHeld == 0 })
		a.drained()
	}
	sum := sub.check(a.data)
	if len(sub.gone) > 0 {
		t.Errorf("records were announced as gone: %v", sub.gone)
	}
	t.Logf("%d rounds: %d records, 0 lost, %d duplicates", rounds, sum.records, sum.dups)
}
