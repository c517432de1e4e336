package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// natsEnv names the built nats-server and usersEnv the built packaging/consumers/nats/users;
// packaging/scripts/scale.sh builds both.
const (
	natsEnv  = "SCALE_NATS_SERVER"
	usersEnv = "SCALE_NATS_USERS"
)

// natsServer is one node with the shipped config, on free ports, with its stores in a
// folder of the test.
type natsServer struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// sync is its sync_interval, "" = as shipped: flushed to disk before each PUBACK.
func newNATS(t *testing.T, rooms int, sync string) *natsServer {
	t.Helper()
	for _, env := range []string{natsEnv, usersEnv} {
		if os.Getenv(env) == "" {
			t.Skipf("SKIPPED: NATS is not tried, %s names no program; packaging/scripts/scale.sh nats builds it", env)
		}
	}
	b := &natsServer{t: t, dir: t.TempDir(), port: freePort(t)}
	b.writeUsers(rooms)
	const always = "sync_interval: always"
	for name, changes := range map[string][]string{
		"single.conf": {"0.0.0.0:4222", fmt.Sprintf("127.0.0.1:%d", freePort(t))},
		"roomcall.conf": {
			always, cmp.Or(sync, always), "0.0.0.0:1883", fmt.Sprintf("127.0.0.1:%d", b.port), "127.0.0.1:8222", fmt.Sprintf("127.0.0.1:%d", freePort(t)),
			`"/var/lib/nats"`, fmt.Sprintf("%q", filepath.Join(b.dir, "js")),
		},
	} {
		text := shipped(t, "nats/"+name)
		for i := 0; i < len(changes); i += 2 {
			if !strings.Contains(text, changes[i]) {
				t.Fatalf("%s has no %s", name, changes[i])
			}
			text = strings.ReplaceAll(text, changes[i], changes[i+1])
		}
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.Kill)
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

// writeUsers makes a user for each room, all with the password of the fleet.
func (b *natsServer) writeUsers(rooms int) {
	passwords := filepath.Join(b.dir, "passwords")
	if err := os.Mkdir(passwords, 0o700); err != nil {
		b.t.Fatal(err)
	}
	ids := []string{"admin"}
	for n := 1; n <= rooms; n++ {
		ids = append(ids, fmt.Sprintf("sim-%05d", n))
	}
	for _, id := range ids {
		if err := os.WriteFile(filepath.Join(passwords, id), []byte("room"), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Getenv(usersEnv), b.dir)
	cmd.Stdin = strings.NewReader(strings.Join(ids[1:], "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("make the users: %v\n%s", err, out)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Start waits until it accepts connections.
func (b *natsServer) Start() error {
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, gone := exec.Command(os.Getenv(natsEnv), "-c", filepath.Join(b.dir, "single.conf")), make(chan struct{})
	cmd.Env = append(os.Environ(), "NODE=nats-1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd, b.gone = cmd, gone
	go func() {
		_ = cmd.Wait() // the exit code of a killed server says nothing
		close(gone)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port)); err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
			continue
		case <-gone:
		}
		break
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("nats-server does not get ready:\n%s", text)
}

// Kill ends it with SIGKILL.
func (b *natsServer) Kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
		<-b.gone
	}
}

func (b *natsServer) Memory() (int64, error)      { return residentOf(b.cmd.Process.Pid) }
func (b *natsServer) CPU() (time.Duration, error) { return cpuOf(b.cmd.Process.Pid) }

// flushedRooms is how many rooms a NATS has at most that flushes before each PUBACK: its
// disk decides how many records that is.
const flushedRooms = 500

func TestScaleNATS(t *testing.T) {
	rooms := min(roomsWanted(t), flushedRooms)
	playOnNATS(t, "NATS", rooms, newNATS(t, rooms, ""), lengthsFor(rooms))
}

func TestScaleNATSThatFlushesLater(t *testing.T) {
	rooms := roomsWanted(t)
	l := lengthsFor(rooms)
	l.ConsumerAway, l.NetworkCut = 0, 0 // as with the other
	playOnNATS(t, "NATS, flushing every 2 minutes", rooms, newNATS(t, rooms, "sync_interval: 2m"), l)
}

func playOnNATS(t *testing.T, name string, rooms int, b *natsServer, l lengths) {
	l.Silence = 45 * time.Second // after 30 s it hands over again what was not acknowledged
	playOn(t, name, rooms, l, fleetOn(fmt.Sprintf("tcp://127.0.0.1:%d", b.port), ""), b, "admin", "room")
}
