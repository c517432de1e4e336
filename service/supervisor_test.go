package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// manager is the Windows service manager as a test sees it.
type manager struct {
	controls chan control
	told     []string
	notes    []string
	reloads  int
}

func (m *manager) supervise(ctx context.Context, work Work) error {
	s := supervisor{work: work, reload: func() { m.reloads++ }, log: m,
		running:  func() { m.told = append(m.told, "running") },
		stopping: func(count uint32) { m.told = append(m.told, fmt.Sprint("stopping ", count)) }}
	return s.run(ctx, m.controls)
}

// The Event Log.
func (m *manager) write(id uint32, l level, text string) {
	m.notes = append(m.notes, fmt.Sprintf("%d %s: %s", id, [...]string{"info", "warning", "error"}[l], text))
}

func TestRunningIsReportedBeforeStartUpIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		begin := time.Now()
		running := time.Duration(-1)
		s := supervisor{log: m, running: func() { running = time.Since(begin) },
			work: func(context.Context, func()) error { time.Sleep(time.Minute); return nil }}
		if err := s.run(t.Context(), m.controls); err != nil || running != 0 {
			t.Errorf("running was reported after %s, %v", running, err)
		}
	})
}

func TestStopIsOverWithinThePatience(t *testing.T) {
	for name, c := range map[string]struct {
		stopping time.Duration // what the work takes to end
		err      error
		took     time.Duration
		told     []string
		last     string
	}{
		"orderly":         {time.Second / 2, nil, time.Second / 2, []string{"running", "stopping 1"}, "2 info: stopped"},
		"with an error":   {time.Second / 2, errors.New("boom"), time.Second / 2, []string{"running", "stopping 1"}, "5 warning: stopped with an error: boom"},
		"work that hangs": {time.Hour, nil, StopPatience, []string{"running", "stopping 1", "stopping 2", "stopping 3"}, "6 warning: did not stop within 3s and was ended; accepted records are on disk"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &manager{controls: make(chan control)}
				go func() { time.Sleep(time.Minute); m.controls <- controlStop }()
				begin := time.Now()
				err := m.supervise(t.Context(), func(ctx context.Context, _ func()) error {
					<-ctx.Done()
					time.Sleep(c.stopping)
					return c.err
				})
				took := time.Since(begin) - time.Minute
				if err != nil {
					t.Errorf("a requested stop became a failure: %v", err)
				}
				if took != c.took || !slices.Equal(m.told[:min(len(m.told), len(c.told))], c.told) || m.notes[len(m.notes)-1] != c.last {
					t.Errorf("took %s, told %v, noted %v", took, m.told, m.notes)
				}
				time.Sleep(2 * time.Hour) // the hanging work's goroutine ends
			})
		})
	}
}

func TestFailureOfTheWorkIsAFailureOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		boom := errors.New("data folder is gone")
		err := m.supervise(t.Context(), func(context.Context, func()) error { return boom })
		if !errors.Is(err, boom) || !slices.Equal(m.notes, []string{"1 info: started", "4 error: failed: data folder is gone"}) {
			t.Errorf("got %v, noted %q", err, m.notes)
		}
	})
}

func TestParameterChangeReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		go func() { m.controls <- controlReload; m.controls <- controlReload; m.controls <- controlStop }()
		if err := m.supervise(t.Context(), untilStopped); err != nil || m.reloads != 2 {
			t.Errorf("%d reloads, %v", m.reloads, err)
		}
	})
}

func TestReloadIsOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		go func() { m.controls <- controlReload; m.controls <- controlStop }()
		s := supervisor{work: untilStopped, log: m, running: func() {}, stopping: func(uint32) {}}
		if err := s.run(t.Context(), m.controls); err != nil {
			t.Error(err)
		}
	})
}

func TestEndOfTheContextIsAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := m.supervise(ctx, func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			time.Sleep(time.Second / 2)
			return errors.New("boom")
		})
		if err != nil || !slices.Equal(m.told, []string{"running", "stopping 1"}) {
			t.Errorf("got %v, told %v", err, m.told)
		}
	})
}

func TestAlarmsAreWrittenWhenTheyLastAndWhenTheyAreOver(t *testing.T) {
	store := Alarm{Key: "store_full", Kind: 200, Bad: true, Text: "The store is full"}
	early := Alarm{Key: "store_full", Kind: 200, Text: "The store is almost full"}
	room := Alarm{Key: "endpoint_unreachable room-1", Kind: 400, Bad: true, Text: "room-1 cannot be reached"}
	m := &manager{}
	a := alarms{log: m}
	for _, now := range [][]Alarm{
		{room}, {}, {room}, // flaps
		{room, early}, {room, early}, {room, store}, {room, store}, // lasts, and gets worse
		{store}, {room, store}, {store}, {store}, {}, {}, {},
	} {
		a.look(now)
	}
	want := []string{"402 error: room-1 cannot be reached", "201 warning: The store is almost full", "202 error: The store is full",
		"400 info: Over: room-1 cannot be reached", "200 info: Over: The store is full"}
	if !slices.Equal(m.notes, want) || len(a.seen) != 0 {
		t.Errorf("noted %q, still %d", m.notes, len(a.seen))
	}
}

func TestAnAlarmThatIsThereTwiceHasToLastAsLong(t *testing.T) {
	m := &manager{}
	a := alarms{log: m}
	twice := []Alarm{{Key: "x", Kind: 300, Text: "one"}, {Key: "x", Kind: 300, Text: "two"}}
	for beat, want := range []int{0, 1, 1} {
		if a.look(twice); len(m.notes) != want {
			t.Errorf("beat %d: %q", beat, m.notes)
		}
	}
}

func TestManyAlarmsAreSpreadOverBeats(t *testing.T) {
	var all []Alarm
	for i := range 3 * alarmsMost {
		all = append(all, Alarm{Key: fmt.Sprint(i), Kind: 400, Text: strings.Repeat("ä", alarmText)})
	}
	m := &manager{}
	a := alarms{log: m}
	for beat, want := range []int{0, alarmsMost, 2 * alarmsMost, 3 * alarmsMost, 3 * alarmsMost} {
		if a.look(all); len(m.notes) != want {
			t.Errorf("beat %d: %d events, want %d", beat, len(m.notes), want)
		}
	}
	if n := len(m.notes[0]); n > alarmText+40 {
		t.Errorf("an event of %d bytes", n)
	}
}

func TestTheSupervisorLooksForAlarmsAtEachBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		go func() { time.Sleep(3*alarmBeat + time.Second); m.controls <- controlStop }()
		s := supervisor{work: untilStopped, log: m, running: func() {}, stopping: func(uint32) {},
			alarms: func() []Alarm { return []Alarm{{Key: "x", Kind: 300, Text: "The broker is away"}} }}
		if err := s.run(t.Context(), m.controls); err != nil || !slices.Equal(m.notes, []string{"1 info: started", "301 warning: The broker is away", "2 info: stopped"}) {
			t.Errorf("%v, %q", err, m.notes)
		}
	})
}

func TestTheServicesOwnEventsHaveTheIDsOfTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/windows.md")
	if err != nil {
		t.Fatal(err)
	}
	for id, row := range map[int]string{
		eventStarted: "information | started", eventStopped: "information | stopped", eventEnded: "information | ended by itself",
		eventFailed: "error | failed", eventStoppedIll: "warning | stopped with an error", eventStoppedLate: "warning | did not stop in time",
		eventReload: "information | reads its config again",
	} {
		if row = fmt.Sprintf("| %d | %s", id, row); !strings.Contains(string(docs), row) {
			t.Errorf("docs/windows.md has no row %q", row)
		}
	}
}
