package soak

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// flatLimits are by how much the highest value of the last quarter of a run may be
// above that of the third one. In each quarter the broker is up and down. A poll under way
// is a goroutine, so their number changes by that of the rooms at any time.
var flatLimits = map[string]float64{
	"process_open_fds": 4, "go_goroutines": 8 + flatRooms, "RssAnon MiB": 1.5,
}

const flatRooms = 10

// TestNothingGrowsWhileTheBrokerFlaps polls ten rooms every 100 ms while the broker
// comes and goes, for SOAK_FLAT minutes.
func TestNothingGrowsWhileTheBrokerFlaps(t *testing.T) {
	t.Parallel()
	length := time.Duration(count(t, "SOAK_FLAT", 1)) * time.Minute
	if os.Getenv("SOAK_FLAT") == "" {
		length = 24 * time.Second
	}
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	// Without streams a machine that does other work too keeps pace for an hour.
	tables := []string{brokerTable(broker.URL()), "[publish]\nkinds = [\"sample\", \"event\", \"call\", \"minute\"]"}
	for i := range flatRooms {
		tables = append(tables, room(fmt.Sprint("room-", i), sim.url, "100ms"))
	}
	a := newAgent(t, "", tables...)
	a.start()
	sub.waitSize("room-0/sample", 3)
	steady := broker.Flap(6, 4*time.Second, 2*time.Second)
	defer steady()
	seen := map[string][]float64{}
	every := min(time.Second, length/60)
	for end := time.Now().Add(length); time.Now().Before(end); pause(t.Context(), every) {
		for name, v := range a.process() {
			seen[name] = append(seen[name], v)
		}
	}
	var text []string
	for name, limit := range flatLimits {
		list := seen[name]
		n := len(list)
		if n < 20 {
			t.Fatalf("%s was read %d times", name, n)
		}
		third, last := slices.Max(list[n/2:n*3/4]), slices.Max(list[n*3/4:])
		if last > third+limit {
			t.Errorf("%s grew from %.1f to %.1f in the second half", name, third, last)
		}
		text = append(text, fmt.Sprintf("%s %.1f, %.1f", name, third, last))
	}
	slices.Sort(text)
	st := a.await("it answers", func(status) bool { return true })
	steady()
	a.drained()
	sum := sub.check(a.data)
	if len(sub.gone) > 0 {
		t.Errorf("records were announced as gone: %v", sub.gone)
	}
	t.Logf("%v, %d connections: %d records, 0 lost, %d duplicates; highest in the third and in the last quarter: %s",
		length, st.Broker.Connects, sum.records, sum.dups, strings.Join(text, ", "))
}

// process reads what the agent says about itself as a process, and its anonymous
// memory.
func (a *agent) process() map[string]float64 {
	a.t.Helper()
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + a.http + "/metrics")
	if err != nil {
		a.t.Fatal(err)
	}
	defer answer.Body.Close()
	out := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(answer.Body, 4<<20))
	for lines.Scan() {
		var v float64
		if name, text, ok := strings.Cut(lines.Text(), " "); ok && name[0] != '#' {
			if _, err := fmt.Sscan(text, &v); err == nil {
				out[name] = v
			}
		}
	}
	if out["RssAnon MiB"], err = anonMiB(fmt.Sprint(a.cmd.Process.Pid)); err != nil {
		a.t.Fatal(err)
	}
	return out
}
