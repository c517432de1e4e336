package soak

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/buffer"
	"roomcall/publish/brokertest"
)

// TestAnOldStorePutBackUsesNoIDTwice puts the data folder back from a copy again and
// again, SOAK_RESTORES times: with new files as from a backup, or with the old
// contents in the same files as from a snapshot of a disk; the broker is up or down
// when the agent goes on. The copies are those of a clean stop, of a kill and of a
// process in the middle of its work, and at least a second old.
func TestAnOldStorePutBackUsesNoIDTwice(t *testing.T) {
	t.Parallel()
	restores := count(t, "SOAK_RESTORES", 6)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: broker.URL(), Filter: "roomcall/v1/" + clientID + "/#", ClientID: "ids"})
	a := newAgent(t, "", room("room-1", sim.url, "100ms"), room("room-2", sim.url, "100ms"), brokerTable(broker.URL()))
	up := true
	change := func(to bool) {
		if to != up && to {
			broker.Start()
		} else if to != up {
			broker.Stop()
		}
		up = to
	}
	var copies []string
	keep := func() {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(a.data)); err != nil {
			t.Fatal(err)
		}
		if copies = append(copies, dir); len(copies) > 10 {
			copies = copies[1:]
		}
	}
	some := func() time.Duration { return time.Duration(rnd.IntN(900)) * time.Millisecond }
	done, whole, same := 0, 0, 0
	for done < restores {
		a.start()
		a.await("it records", func(s status) bool { return s.Buffer.Appended > 0 })
		if rnd.IntN(3) == 0 {
			sim.toggle()
		}
		pause(t.Context(), some())
		change(rnd.IntN(2) == 0)
		pause(t.Context(), some())
		if rnd.IntN(2) == 0 { // a snapshot of the running process
			_ = a.cmd.Process.Signal(syscall.SIGSTOP) // one that has ended fails below
			keep()
			_ = a.cmd.Process.Signal(syscall.SIGCONT)
		}
		pause(t.Context(), time.Second+some())
		if rnd.IntN(2) == 0 {
			a.kill()
		} else {
			a.stop()
		}
		if len(copies) > 0 && rnd.IntN(3) > 0 {
			if from := copies[rnd.IntN(len(copies))]; rnd.IntN(2) == 0 {
				putBack(t, from, a.data)
				whole++
			} else {
				setBack(t, from, a.data)
				same++
			}
			done++
		} else {
			keep()
			pause(t.Context(), time.Second)
		}
		change(rnd.IntN(3) > 0)
	}
	change(true)
	a.start()
	a.await("it is connected", func(s status) bool { return s.Broker.State == "connected" && s.Buffer.Acked > 20 })
	a.drained()
	var sum lives
	waitFor(t, "the consumer has all", patience, func() string {
		sum = livesOf(sub.Messages())
		if n := len(sum.faults); n > 0 {
			return fmt.Sprint(n, " faults so far: ", sum.faults[0])
		}
		return sum.lacks(t, a.data)
	})
	t.Logf("%d restores (%d with new files, %d into the same files): %d records in %d epochs, each announced, 0 ids used twice, 0 holes, %d duplicates; seed %d",
		done, whole, same, len(sum.ids), len(sum.epochs), sum.dups, seed)
}

// putBack replaces the folder with a copy, as from a backup.
func putBack(t *testing.T, from, to string) {
	t.Helper()
	err := os.RemoveAll(to)
	if err == nil {
		err = os.CopyFS(to, os.DirFS(from))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// setBack gives the files of the folder the contents of a copy, as a disk that is set
// back to a snapshot has them: a file that is in both stays the same file.
func setBack(t *testing.T, from, to string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	now, err := os.ReadDir(to)
	must(err)
	for _, e := range now {
		if _, err := os.Stat(filepath.Join(from, e.Name())); err != nil || e.IsDir() {
			must(os.RemoveAll(filepath.Join(to, e.Name())))
		}
	}
	list, err := os.ReadDir(from)
	must(err)
	for _, e := range list {
		if e.IsDir() {
			must(os.CopyFS(filepath.Join(to, e.Name()), os.DirFS(filepath.Join(from, e.Name()))))
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		must(err)
		must(os.WriteFile(filepath.Join(to, e.Name()), text, 0o600))
	}
}

// lives is what a consumer knows of the lives of a store by what arrived.
type lives struct {
	ids    map[string]uint64 // checksum by id
	epochs map[int64]bool    // announced by agent.store_reset, or the first
	dups   int
	faults []string
}

func livesOf(msgs []brokertest.Message) lives {
	l := lives{ids: map[string]uint64{}, epochs: map[int64]bool{}}
	fault := func(format string, args ...any) { l.faults = append(l.faults, fmt.Sprintf(format, args...)) }
	first, seen := int64(0), map[int64]bool{}
	last, have := map[string]uint64{}, map[string]uint64{} // by topic and epoch: the highest number, how many
	for _, m := range msgs {
		var f struct {
			ID    string
			Epoch int64
			facts
		}
		if m.Retain || strings.HasSuffix(m.Topic, "/state") || json.Unmarshal(m.Payload, &f) != nil || f.ID == "" {
			continue
		}
		sum := checksum(m.Payload)
		if was, there := l.ids[f.ID]; there {
			if was != sum {
				fault("%s stands for two contents, the second is %s", f.ID, m.Payload)
			}
			l.dups++
			continue
		}
		if first == 0 {
			first = f.Epoch
			l.epochs[first] = true
		}
		seen[f.Epoch] = true
		if f.Type == "agent.store_reset" {
			l.epochs[f.Epoch] = true
		}
		if f.Type == "agent.gap" || f.Type == "agent.store_damaged" {
			fault("announced although nothing was lost: %s", m.Payload)
		}
		l.ids[f.ID] = sum
		of := f.ID[:strings.LastIndex(f.ID, ".")]
		last[of] = max(last[of], f.Seq)
		have[of]++
	}
	for of, n := range last {
		if have[of] != n {
			fault("%s: %d of %d numbers arrived and no gap is announced", of, have[of], n)
		}
	}
	for e := range seen {
		if !l.epochs[e] {
			fault("epoch %d was not announced", e)
		}
	}
	return l
}

// lacks names a record of a stopped agent's store that did not arrive, "" = none.
func (l lives) lacks(t *testing.T, dir string) (missing string) {
	t.Helper()
	err := buffer.ScanDir(dir, func(it buffer.Item, _ bool) error {
		var f struct{ ID string }
		if err := json.Unmarshal(it.Payload, &f); err != nil {
			return err
		}
		if l.ids[f.ID] == 0 {
			missing = f.ID + " has not arrived"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return missing
}
