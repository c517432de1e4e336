// Command sim is a fleet of rooms for trying a broker: thousands of agents with one
// endpoint each, and a consumer that counts what arrives.
//
//	go run ./packaging/fleet/sim -config fleet.toml -rooms 1000
//
// What is real: agent/poll, agent/record, agent/report, buffer, agent/drain and publish, one
// of each a room, as agent/run wires them; so sessions, births, states, health, delivery
// proofs, reconnects and records are those of as many agents. What is not: the endpoint's
// HTTP (what it says comes from a script), the status page, the machine of each agent (all
// share this one), and the disk: the stores lie in memory.
//
// The config is an agent.toml. Room 17 of client_id "sim" has the client id sim-00017, and
// that as its user too where username is client_id.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"roomcall/agent/config"
)

// options are what a fleet is made from.
type options struct {
	file           string // the fleet's agent.toml
	rooms          int
	stores         string // "" = in memory
	user, password string // of the consumer
	speed          int
	perSecond      int // rooms that begin a second
}

func main() {
	if os.Getenv(workerEnv) != "" {
		beWorker()
		return
	}
	o := options{password: os.Getenv("CONSUMER_PASSWORD")}
	flag.StringVar(&o.file, "config", "fleet.toml", "agent.toml of the fleet: broker, user, kinds, one endpoint")
	flag.IntVar(&o.rooms, "rooms", 1000, "number of rooms")
	flag.StringVar(&o.stores, "stores", "", "folder for the stores (default: in memory)")
	flag.StringVar(&o.user, "consumer", "", "user of the consumer; its password is in CONSUMER_PASSWORD")
	flag.IntVar(&o.speed, "speed", 30, "seconds of the scripted day in one second")
	flag.IntVar(&o.perSecond, "begin", 500, "rooms that begin a second")
	steady := flag.Duration("for", time.Minute, "how long to measure")
	doc := flag.String("doc", "", "do not run: write the tables of this document from -results")
	results := flag.String("results", "bin/scale", "folder of the results")
	flag.Parse()
	if *doc != "" {
		if err := writeDoc(*doc, *results); err != nil {
			fmt.Fprintln(os.Stderr, "sim:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l := lengths{Steady: *steady, ConsumerAway: 10 * time.Second, NetworkCut: 30 * time.Second, Patience: 5 * time.Minute, Silence: 45 * time.Second}
	res, err := try(ctx, o, l, nil, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err == nil {
		for _, f := range res.Faults {
			if f.Left > 0 {
				err = fmt.Errorf("%d records are lost: %s", f.Left, f.What)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// scriptBegins is the time of the scripted day at which a fleet begins.
const scriptBegins = 10 * time.Hour

// try plays with a fleet and a broker.
func try(ctx context.Context, o options, l lengths, b brokerProcess, say func(string, ...any)) (out result, err error) {
	text, err := os.ReadFile(o.file)
	if err != nil {
		return out, err
	}
	cfg, _, err := config.LoadText(o.file, text, config.Options{})
	if err != nil {
		return out, err
	}
	dir, err := filepath.Abs(filepath.Dir(o.file))
	if err != nil {
		return out, err
	}
	stores, err := newStores(o.stores)
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(stores)
	c, err := newConsumer(cfg.MQTT, o.user, o.password)
	if err != nil {
		return out, err
	}
	defer c.leave()
	f, err := newFleet(job{
		Config: string(text), Dir: dir, Stores: stores, First: 1, Rooms: o.rooms, At: scriptBegins, Speed: o.speed,
		Ramp: time.Second * time.Duration(o.rooms) / time.Duration(o.perSecond),
	})
	if err != nil {
		return out, err
	}
	p := &play{f: f, c: c, broker: b, say: say, length: l}
	err = p.run(ctx)
	if e := f.stop(); err == nil {
		err = e
	}
	return p.out, err
}

// keep adds a result to a file of results, one a line.
func keep(file string, out result) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewEncoder(f).Encode(out)
}
