package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// TestEachPollIsASampleOrAnnouncedAsMissed polls 20 rooms every 100 ms of made-up
// time, recorder and store together, while the disk is full SOAK_FLAPS times: mostly
// for longer than memory holds polls. Device by device, samples and announced misses
// are the polls.
func TestEachPollIsASampleOrAnnouncedAsMissed(t *testing.T) {
	flaps := count(t, "SOAK_FLAPS", 4)
	disk := smallDisk(t, "12m")
	other := newBallast(disk)
	rnd := rand.New(rand.NewPCG(5, 5))
	synctest.Test(t, func(t *testing.T) {
		q, err := buffer.Open(buffer.Options{Dir: filepath.Join(disk, "store"), MaxBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		s := report.Settings{ClientID: clientID, Epoch: q.Epoch(), Kinds: []string{"sample", "event"}}
		var rooms []string
		for i := range 20 {
			rooms = append(rooms, fmt.Sprint("room-", i))
			s.Devices = append(s.Devices, report.Device{Name: rooms[i], PollInterval: 100 * time.Millisecond, IdleInterval: 100 * time.Millisecond})
		}
		reporter, err := report.New(s)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.New(record.Options{Reporter: reporter, Store: q, Newest: record.NewNewest(20), Devices: 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { r.Run(ctx) })
		polls, samples, missed, last := 0, map[string]int{}, map[string]int{}, map[string]uint64{}
		deliver := func() {
			for {
				items, err := q.Peek(0, 2000, 4<<20)
				if err != nil {
					t.Fatal(err)
				}
				if len(items) == 0 {
					return
				}
				for _, it := range items {
					if last[it.Lane]++; it.Num != last[it.Lane] {
						t.Fatalf("%s: number %d follows %d", it.Lane, it.Num, last[it.Lane]-1)
					}
					if device, ok := strings.CutSuffix(it.Lane, "/sample"); ok {
						samples[device]++
					}
					var f struct {
						facts
						Count int
					}
					if err := json.Unmarshal(it.Payload, &f); err != nil {
						t.Fatal(err)
					}
					if f.Type == "agent.missed" {
						missed[f.OfDevice] += f.Count
					}
				}
				if q.Ack(items[len(items)-1].Pos) != nil {
					return // a full disk keeps the place in memory
				}
			}
		}
		seconds := func(n int) {
			for i := range 10 * n {
				polls++
				for _, d := range rooms {
					r.Submit(report.Poll{Device: d, At: time.Now(), Took: time.Millisecond, Status: cgi.Status{Call: cgi.CallIdle, SourceAPI: "WEB_GetMultiCallStatusInfoAPI"}}, 0)
				}
				time.Sleep(100 * time.Millisecond)
				if i%10 == 0 {
					synctest.Wait()
					deliver()
				}
			}
		}
		for range flaps {
			seconds(1 + rnd.IntN(5))
			other.grow(t, 12<<20)
			seconds(5 + rnd.IntN(40))
			other.remove()
		}
		seconds(130) // announcements are one a minute
		cancel()
		wg.Wait()
		deliver()
		all := 0
		for _, d := range rooms {
			all += missed[d]
			if samples[d]+missed[d] != polls {
				t.Errorf("%s: %d polls, %d samples and %d announced as missed", d, polls, samples[d], missed[d])
			}
		}
		if all == 0 || len(q.Damage()) > 0 {
			t.Errorf("%d polls were missed, damage %+v: the test did not test", all, q.Damage())
		}
		t.Logf("full %d times: %d polls of each of 20 rooms, %d of all announced as missed, each other one is a sample", flaps, polls, all)
	})
}
