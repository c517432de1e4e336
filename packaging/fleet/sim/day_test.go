package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"roomcall/agent/config"
)

// fixedDay has 4 hours of calls, of which one call lasts from 13:00 to 14:15.
func fixedDay() *day {
	d := officeDay(0)
	at := func(hour, minute int) time.Duration {
		return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	}
	d.calls = []call{{span{at(9, 0), at(10, 0)}}, {span{at(10, 30), at(11, 30)}}, {span{at(13, 0), at(14, 15)}}, {span{at(15, 0), at(15, 45)}}}
	d.poor = []span{{at(10, 50), at(11, 10)}}
	d.gone = []span{{at(16, 0), at(16, 10)}}
	return d
}

func (c choice) toml() string {
	text := "[agent]\nclient_id = \"sim\"\nhttp_listen = \"\"\n[mqtt]\nbroker = \"tcp://broker\"\n"
	if c.Keep != "" {
		text += fmt.Sprintf("keepalive = %q\n", c.Keep)
	}
	text += "[publish]\n"
	if c.Kinds != "" {
		text += fmt.Sprintf("kinds = [%q]\n", strings.ReplaceAll(c.Kinds, ", ", `", "`))
		text = strings.ReplaceAll(text, `\"`, `"`)
	}
	if c.State != "" {
		text += fmt.Sprintf("state_interval = %q\n", c.State)
	}
	text += "[[endpoint]]\ndevice = \"main\"\nurl = \"https://192.0.2.1\"\n"
	if c.IdlePoll != "" {
		text += fmt.Sprintf("idle_interval = %q\n", c.IdlePoll)
	}
	return text
}

// choices are the rows of docs/scale.md, the default first.
var choices = []choice{
	{},
	{State: "1m"},
	{State: "1m", IdlePoll: "1m"},
	{Kinds: "sample, event, call, minute"},
	{Kinds: "sample, event, call, minute", State: "1m"},
	{Kinds: "event, call, minute"},
	{Kinds: "event, call, minute", State: "1m"},
	{Kinds: "event, call"},
	{Kinds: "event, call", State: "1m"},
	{Kinds: "event, call", State: "1h", Keep: "5m"},
}

// TestADayOnTheWire counts what a room sends and gets in a day, in fake time: the real
// loops, store and connection, and a broker in memory. Nothing is extrapolated.
func TestADayOnTheWire(t *testing.T) {
	list, begin, end := choices, time.Duration(0), 24*time.Hour-time.Minute
	if os.Getenv("SCALE_DAY") == "" { // only the hours that are looked at, and the end of the day's calls
		list, begin, end = []choice{choices[0], choices[len(choices)-1]}, 11*time.Hour+50*time.Minute, 16*time.Hour+20*time.Minute
	}
	var bills []bill
	for _, c := range list {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { bills = append(bills, dayOf(t, c, begin, end)) })
		})
	}
	first, last := bills[0], bills[len(bills)-1]
	if first.InCall < 2*first.Idle || first.Day < 10*last.Day || first.Records < 10*last.Records {
		t.Errorf("all kinds: %+v, few: %+v", first, last)
	}
	if file := os.Getenv("SCALE_DAY"); file != "" {
		text, err := json.MarshalIndent(bills, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// dayOf runs a room for a part of the day.
func dayOf(t *testing.T, c choice, begin, end time.Duration) bill {
	dir, err := newStores("")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg, _, err := config.LoadText(filepath.Join(dir, "agent.toml"), []byte(c.toml()), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := mqtt.New(&mqtt.Options{SysTopicResendInterval: 24 * 3600, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	wire := newNetwork(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go server.EstablishConnection("pipe", far)
		return near, nil
	})
	e := &endpoint{day: fixedDay(), begins: time.Now(), at: begin, speed: 1}
	r, err := newRoom(configOf(cfg, 1, dir), e, wire.dial, clocks{fake: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { r.serve(ctx); done <- struct{}{} }()
	go func() { r.loop.Run(ctx); done <- struct{}{} }()
	bytesAt := func(at time.Duration) float64 {
		time.Sleep(at - e.time())
		synctest.Wait()
		return float64(wire.sent.Load() + wire.got.Load())
	}
	b := bill{choice: c}
	b.Idle = -bytesAt(11*time.Hour+55*time.Minute) + bytesAt(12*time.Hour+55*time.Minute)
	b.InCall = -bytesAt(13*time.Hour+5*time.Minute) + bytesAt(14*time.Hour+5*time.Minute)
	b.Day = bytesAt(end)
	b.Up = float64(wire.sent.Load())
	b.Records = int(r.recorder.Stats().Appended)
	if s := r.client.Status(); s.Connects != 1 || !r.proven() || s.InFlight > 0 {
		t.Errorf("at the end of the day: %+v", s)
	}
	if delivered, newest := r.queue.Progress(); delivered != newest {
		t.Errorf("%d of %d records were delivered", delivered, newest)
	}
	for _, topic := range []string{"availability", "birth", "echo", "health", "main/state"} {
		if _, ok := server.Topics.Retained.Get(r.client.Topic(topic)); !ok {
			t.Errorf("the broker has no %s", topic)
		}
	}
	t.Logf("%+v", b)
	stop()
	<-done
	<-done
	time.Sleep(time.Minute) // the MQTT library's own patience ends
	return b
}
