package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// The real runs of docs/scale.md:
//
//	ROOMS=10000 go test -v -timeout 30m -run 'Scale' ./packaging/fleet/sim
//
// Without ROOMS they are small and short. SCALE_RESULTS is a file to which each adds what it
// has measured.

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		beWorker()
		return
	}
	os.Exit(m.Run())
}

// roomsWanted is ROOMS, or few.
func roomsWanted(t *testing.T) int {
	text := os.Getenv("ROOMS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ROOMS=%s is no number of rooms", text)
	}
	return n
}

// lengthsFor: with few rooms nothing needs long.
func lengthsFor(rooms int) lengths {
	if rooms < 500 {
		return lengths{Steady: 4 * time.Second, ConsumerAway: 2 * time.Second, NetworkCut: 2 * time.Second, BrokerAway: time.Second, Patience: 2 * time.Minute, Silence: 5 * time.Second}
	}
	return lengths{Steady: 30 * time.Second, ConsumerAway: 10 * time.Second, NetworkCut: 30 * time.Second, BrokerAway: 10 * time.Second, Patience: 4 * time.Minute, Silence: 5 * time.Second}
}

// mosquitto is a broker with the shipped settings and access list, and a user for each room.
func mosquitto(t *testing.T, rooms int, conf brokertest.Conf) *brokertest.Server {
	t.Helper()
	conf.Persistence, conf.Quiet = true, true
	for line := range strings.Lines(shipped(t, "mosquitto/roomcall.conf")) {
		key, _, _ := strings.Cut(line, " ")
		switch strings.TrimSpace(key) {
		case "", "#", "allow_anonymous", "password_file", "acl_file", "persistence":
		default:
			conf.Extra = append(conf.Extra, strings.TrimSpace(line))
		}
	}
	conf.ACL = shipped(t, "mosquitto/roomcall.acl")
	conf.Users = map[string]string{"postgres": "consumer"}
	for n := 1; n <= rooms; n++ {
		conf.Users[fmt.Sprintf("sim-%05d", n)] = "room"
	}
	return brokertest.Mosquitto(t, conf)
}

func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../consumers", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ofMosquitto is a mosquitto as the broker of a play.
type ofMosquitto struct{ *brokertest.Server }

func (b ofMosquitto) Memory() (int64, error)      { return residentOf(b.PID()) }
func (b ofMosquitto) CPU() (time.Duration, error) { return cpuOf(b.PID()) }
func (b ofMosquitto) Start() error                { b.Server.Start(); return nil }

func TestScaleMosquitto(t *testing.T) {
	rooms := roomsWanted(t)
	b := mosquitto(t, rooms, brokertest.Conf{})
	playOn(t, "mosquitto", rooms, lengthsFor(rooms), fleetOn(b.URL(), ""), ofMosquitto{b}, "postgres", "consumer")
}

func TestScaleMosquittoTLS(t *testing.T) {
	if os.Getenv("ROOMS") == "" {
		t.Skip("SKIPPED: with few rooms TLS shows nothing new; ROOMS=200 runs it")
	}
	rooms, ca := roomsWanted(t), brokertest.NewCA(t)
	b := mosquitto(t, rooms, brokertest.Conf{CA: ca})
	l := lengthsFor(rooms)
	l.ConsumerAway, l.NetworkCut = 0, 0 // as without TLS
	playOn(t, "mosquitto, TLS", rooms, l, fleetOn(b.URL(), ca.File), ofMosquitto{b}, "postgres", "consumer")
}

// fleetOn is the fleet's agent.toml.
func fleetOn(url, ca string) string {
	text := fmt.Sprintf(`[agent]
client_id = "sim"
http_listen = ""

[mqtt]
broker = %q
username = "sim"
password = "room"
`, url)
	if ca != "" {
		text += fmt.Sprintf("ca_file = %q\n", ca)
	}
	return text + `
[buffer]
max_bytes = "1MiB"
keep_delivered = "5m"

[[endpoint]]
device = "main"
url = "https://192.0.2.1"
`
}

// playOn plays, keeps the result, and fails when a record is lost.
func playOn(t *testing.T, name string, rooms int, l lengths, toml string, b brokerProcess, user, password string) {
	file := filepath.Join(t.TempDir(), "fleet.toml")
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{file: file, rooms: rooms, user: user, password: password, speed: 30, perSecond: 500}
	out, err := try(t.Context(), o, l, b, t.Logf)
	out.Broker = name
	if results := os.Getenv("SCALE_RESULTS"); results != "" && out.Records > 0 {
		if err := keep(results, out); err != nil {
			t.Error(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	faults := 2
	for _, d := range []time.Duration{l.ConsumerAway, l.NetworkCut} {
		if d > 0 {
			faults++
		}
	}
	if len(out.Faults) != faults || out.Records == 0 {
		t.Errorf("%d faults, %d records in the steady part: the test did not test", len(out.Faults), out.Records)
	}
	for _, f := range out.Faults {
		if f.Left > 0 {
			t.Errorf("%s: %d records were made, %d arrived, %d are lost", f.What, f.Made, f.Arrived, f.Left)
		}
	}
	if out.Missed > 0 {
		t.Errorf("%d polls were not accepted", out.Missed)
	}
	for _, c := range out.Curves {
		if c.Err != "" {
			t.Errorf("%s: %s", c.After, c.Err)
		}
	}
}

// residentOf is VmRSS of a process in bytes; see proc(5).
func residentOf(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	var kib int64
	_, rest, _ := strings.Cut(string(raw), "\nVmRSS:")
	_, err = fmt.Sscan(rest, &kib)
	return kib << 10, err
}

// cpuOf is the CPU time of a process; see proc(5), stat. The kernel counts in hundredths.
func cpuOf(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of process %d: %q", pid, raw)
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}
