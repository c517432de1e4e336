package main

import (
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
)

// audience is a subscriber that keeps which answer arrived when.
type audience struct {
	mu    sync.Mutex
	got   []heard
	wants int // reached is closed at so many
	reach chan struct{}
}

type heard struct {
	room string
	num  int
	at   time.Time
}

// A sample of each program has the name of its room and the answer's number.
var (
	roomIn = regexp.MustCompile(`room-[0-9]+`)
	numIn  = regexp.MustCompile(`(?:loss_packets|LossNum)":([0-9]+)`)
)

// listen connects to the broker, also to one that was started again.
func (a *audience) listen(tb testing.TB, broker, topic string) {
	tb.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("audience").SetAutoReconnect(false))
	settle(tb, c.Connect())
	tb.Cleanup(func() { c.Disconnect(0) })
	settle(tb, c.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) {
		now := time.Now()
		room, num := roomIn.Find(m.Payload()), numIn.FindSubmatch(m.Payload())
		if room == nil || num == nil { // a poll without an answer
			return
		}
		n, _ := strconv.Atoi(string(num[1]))
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, heard{string(room), n, now})
		if a.reach != nil && len(a.got) >= a.wants {
			close(a.reach)
			a.reach = nil
		}
	}))
}

func (a *audience) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// last is when the newest arrived.
func (a *audience) last() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.got) == 0 {
		return time.Time{}
	}
	return a.got[len(a.got)-1].at
}

// reaches is closed when so many have arrived.
func (a *audience) reaches(n int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	reach := make(chan struct{})
	if len(a.got) >= n {
		close(reach)
		return reach
	}
	a.wants, a.reach = n, reach
	return reach
}

// delays are the times from an answer between the two times to its arrival, and how many
// answers there were.
func (a *audience) delays(sim *rooms, from, to time.Time) (list []time.Duration, answers int) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.got {
		if at := sim.all[h.room].answered[h.num-1]; !at.Before(from) && at.Before(to) {
			list = append(list, h.at.Sub(at))
		}
	}
	for _, r := range sim.all {
		for _, at := range r.answered {
			if !at.Before(from) && at.Before(to) {
				answers++
			}
		}
	}
	return list, answers
}

// tally is what became of the answers.
type tally struct{ of, lost, doubled, disordered, inFlight int }

// tally compares what arrived with what was answered. A room's last answer before the
// program was killed counts only if it arrived: nobody may have read it.
func (a *audience) tally(sim *rooms, killed time.Time) (t tally) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	highest, times := map[string]int{}, map[heard]int{}
	for _, h := range a.got {
		one := heard{room: h.room, num: h.num}
		if times[one]++; times[one] > 1 {
			t.doubled++
			continue
		}
		if h.num < highest[h.room] {
			t.disordered++
		}
		highest[h.room] = max(highest[h.room], h.num)
	}
	for name, r := range sim.all {
		last := -1
		for i, at := range r.asked {
			if at.Before(killed) {
				last = i
			}
		}
		for i, at := range r.answered {
			switch {
			case times[heard{room: name, num: i + 1}] > 0:
				t.of++
			case at.IsZero() || i == last:
				t.inFlight++
			default:
				t.of++
				t.lost++
			}
		}
	}
	return t
}

func TestTheTallySeesWhatIsLostDoubledAndDisordered(t *testing.T) {
	start := time.Now()
	answered := func(n int) *room {
		r := &room{}
		for i := range n {
			at := start.Add(time.Duration(i) * time.Second)
			r.asked, r.answered = append(r.asked, at), append(r.answered, at.Add(time.Millisecond))
		}
		return r
	}
	sim := &rooms{all: map[string]*room{"room-1": answered(6), "room-2": answered(2)}}
	sim.all["room-2"].answered[1] = time.Time{} // it was asked and has not answered
	for name, c := range map[string]struct {
		got    []heard
		killed time.Time
		want   tally
	}{
		"nothing": {nil, time.Time{}, tally{of: 7, lost: 7, inFlight: 1}},
		"all, in order": {[]heard{{"room-1", 1, start}, {"room-2", 1, start}, {"room-1", 2, start}, {"room-1", 3, start}, {"room-1", 4, start}, {"room-1", 5, start}, {"room-1", 6, start}},
			time.Time{}, tally{of: 7, inFlight: 1}},
		"one late, one twice": {[]heard{{"room-1", 1, start}, {"room-2", 1, start}, {"room-1", 3, start}, {"room-1", 2, start}, {"room-1", 4, start}, {"room-1", 3, start}, {"room-1", 5, start}, {"room-1", 6, start}},
			time.Time{}, tally{of: 7, doubled: 1, disordered: 1, inFlight: 1}},
		"killed after the fourth": {[]heard{{"room-2", 1, start}, {"room-1", 1, start}, {"room-1", 2, start}, {"room-1", 6, start}},
			start.Add(3500 * time.Millisecond), tally{of: 6, lost: 2, inFlight: 2}},
	} {
		a := &audience{got: c.got}
		if diff := cmp.Diff(c.want, a.tally(sim, c.killed), cmp.AllowUnexported(tally{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
