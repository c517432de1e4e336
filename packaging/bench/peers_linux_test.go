package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peersEnv names the folder with the programs that are compared, an absolute path:
// floor, telegraf-minimal, telegraf-full and npm/node_modules/node-red, as
// packaging/scripts/bench.sh makes them.
const peersEnv = "ROOMCALL_BENCH_PEERS"

// job is what each program has to do: poll all rooms that often, and publish a record
// a poll.
type job struct {
	sim    *rooms
	every  time.Duration
	broker string
	batch  int // Telegraf's metric_batch_size
}

// peer is one of the programs that are compared, in its own process.
type peer struct {
	*process
	topic    string // of its samples
	dir      string
	command  []string
	restarts int // of a program that ended by itself
}

// peers prepare the programs by name.
var peers = map[string]func(testing.TB, job) *peer{
	"floor":    newFloor,
	"samples":  func(tb testing.TB, j job) *peer { return newRoomcall(tb, j, "[publish]\nkinds = [\"sample\"]") },
	"roomcall": func(tb testing.TB, j job) *peer { return newRoomcall(tb, j, "") },
	"samples-collected": func(tb testing.TB, j job) *peer {
		return newRoomcall(tb, j, "commit_interval = \"6s\"\n[publish]\nkinds = [\"sample\"]")
	},
	"roomcall-collected": func(tb testing.TB, j job) *peer { return newRoomcall(tb, j, "commit_interval = \"6s\"") },
	"telegraf-minimal":   newTelegraf("telegraf-minimal"),
	"telegraf-full":      newTelegraf("telegraf-full"),
	"node-red":           newNodeRED,
}

// eachPeer runs a measurement for the peers named.
func eachPeer(b *testing.B, names []string, measure func(b *testing.B, name string)) {
	for _, name := range names {
		b.Run(name, func(b *testing.B) { measure(b, name) })
	}
}

// program returns the path of a file in the folder of the programs.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(os.Getenv(peersEnv), name)
	if _, err := os.Stat(path); os.Getenv(peersEnv) == "" || err != nil {
		tb.Skipf("NOT RUN: %s is not in %s; packaging/scripts/bench.sh compare makes it", name, peersEnv)
	}
	return path
}

func newFloor(tb testing.TB, j job) *peer {
	dir := tb.TempDir()
	return &peer{topic: "floor/sample", dir: dir, command: []string{program(tb, "floor"), "-broker", "tcp://" + j.broker, "-url", j.sim.url,
		"-rooms", strconv.Itoa(len(j.sim.all)), "-every", j.every.String(), "-dir", dir}}
}

// newRoomcall has default settings except for what would only make the run longer: the
// pause between two tries to connect, and the limit of what is sent later.
func newRoomcall(tb testing.TB, j job, more string) *peer {
	a := newAgent(tb, j.broker, more, j.sim.devices(j.every.String())...)
	return &peer{topic: "roomcall/v1/+/+/sample", dir: a.dir, command: []string{binary(tb), "--config", filepath.Join(a.dir, "agent.toml"), "run"}}
}

func newTelegraf(name string) func(testing.TB, job) *peer {
	return func(tb testing.TB, j job) *peer {
		dir := tb.TempDir()
		fill := map[string]string{"EVERY": j.every.String(), "BATCH": strconv.Itoa(j.batch), "DIR": dir, "URLS": urls(j.sim, `"`), "BROKER": j.broker}
		return &peer{topic: "telegraf/sample", dir: dir, command: []string{program(tb, name), "--config", expand(tb, dir, "telegraf.conf", fill)}}
	}
}

func newNodeRED(tb testing.TB, j job) *peer {
	dir, red := tb.TempDir(), program(tb, "npm/node_modules/node-red/red.js")
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Skip("NOT RUN: node is not installed")
	}
	host, port, _ := net.SplitHostPort(j.broker)
	_, uiPort, _ := net.SplitHostPort(freeAddr(tb))
	fill := map[string]string{"SECONDS": fmt.Sprint(j.every.Seconds()), "DIR": dir, "URLS": urls(j.sim, "'"), "HOST": host, "BROKERPORT": port, "PORT": uiPort}
	expand(tb, dir, "flow.json", fill)
	return &peer{topic: "nodered/sample", dir: dir, command: []string{node, red, "--settings", expand(tb, dir, "settings.js", fill)}}
}

// urls lists the addresses of the media requests.
func urls(sim *rooms, quote string) string {
	var list []string
	for i := range len(sim.all) {
		list = append(list, quote+sim.url+"/"+roomName(i)+"/action.cgi?ActionID="+mediaAction+quote)
	}
	return strings.Join(list, ", ")
}

// expand fills in a file of the folder compare and returns where it is.
func expand(tb testing.TB, dir, name string, values map[string]string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("compare", name))
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, name)
	write(tb, path, os.Expand(string(text), func(key string) string {
		value, ok := values[key]
		if !ok {
			tb.Fatalf("%s has ${%s}", name, key)
		}
		return value
	}))
	return path
}

// start starts it, also again.
func (p *peer) start(tb testing.TB) {
	tb.Helper()
	p.process = start(tb, p.dir, p.command[0], p.command[1:]...)
}

// supervise lets time pass until done is closed. A program that ends is started again,
// as its service would be.
func (p *peer) supervise(tb testing.TB, done <-chan time.Time) {
	tb.Helper()
	for {
		select {
		case <-done:
			return
		case <-p.done:
			p.restarts++
			time.Sleep(100 * time.Millisecond)
			p.start(tb)
		}
	}
}
