// Package telegraf tests the shipped configs with Telegraf's own code: its config
// loader, its MQTT input and its parsers, with a real broker.
//
// BROKER_URL names the broker (tcp://host:port), ROOMCALL_RECORDS a file with
// records, one JSON object per line. packaging/scripts/interop.sh sets both.
package telegraf

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/inputs/mqtt_consumer"
	_ "github.com/influxdata/telegraf/plugins/outputs/influxdb"
	_ "github.com/influxdata/telegraf/plugins/parsers/json"
	_ "github.com/influxdata/telegraf/plugins/parsers/json_v2"
	_ "github.com/influxdata/telegraf/plugins/parsers/xpath"
)

const patience = 60 * time.Second

// tags are the keys that distinguish series, by kind.
var tags = map[string][]string{
	"sample": nil, "call": nil, "minute": nil,
	"stream": {"media", "direction", "stream"},
	"event":  {"type", "severity", "metric", "of_device", "kind"},
}

var everywhere = []string{"client_id", "site", "room", "device"}

type record struct {
	topic, kind string
	payload     []byte
	keys        map[string]any
}

func (r record) text(key string) string { return fmt.Sprint(r.keys[key]) }

// records reads the flat records of the file, each id once (state is a copy of the
// newest sample); views and lines that are not records are skipped.
func records(t *testing.T) []record {
	t.Helper()
	f, err := os.Open(os.Getenv("ROOMCALL_RECORDS"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []record
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		r := record{payload: []byte(lines.Text())}
		if json.Unmarshal(r.payload, &r.keys) != nil {
			continue
		}
		r.kind = strings.TrimSuffix(strings.TrimPrefix(r.text("schema"), "roomcall."), "/1.0")
		if _, flat := tags[r.kind]; !flat || seen[r.text("id")] {
			continue
		}
		seen[r.text("id")] = true
		r.topic = "roomcall/v1/" + r.text("client_id") + "/" + r.text("device") + "/" + r.kind
		list = append(list, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// consume starts the inputs of a config as Telegraf does, publishes the records
// and returns the metrics by the record's id.
func consume(t *testing.T, file string, list []record) map[string]telegraf.Metric {
	t.Helper()
	t.Setenv("MQTT_URL", os.Getenv("BROKER_URL"))
	cfg := config.NewConfig()
	if err := cfg.LoadConfig(file); err != nil {
		t.Fatalf("Telegraf rejects %s: %v", file, err)
	}
	out := make(chan telegraf.Metric, 100)
	for _, in := range cfg.Inputs {
		if err := in.Init(); err != nil {
			t.Fatal(err)
		}
		if err := in.Start(agent.NewAccumulator(in, out)); err != nil {
			t.Fatal(err)
		}
		defer in.Stop()
	}
	publish(t, list)
	got := map[string]telegraf.Metric{}
	for limit := time.After(patience); len(got) < len(list); {
		select {
		case m := <-out:
			id, _ := m.GetField("id")
			got[fmt.Sprint(id)] = m
			m.Accept()
		case <-limit:
			t.Fatalf("%d of %d records arrived within %s", len(got), len(list), patience)
		}
	}
	return got
}

func publish(t *testing.T, list []record) {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL")).SetClientID("feeder"))
	if token := c.Connect(); token.WaitTimeout(patience) && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(1000)
	for _, r := range list {
		if token := c.Publish(r.topic, 1, false, r.payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal("publish: ", token.Error())
		}
	}
}

// lost names the keys that a config omits on purpose; data_format "json" drops every
// text that is not listed.
var lost = map[string][]string{
	"json.conf":       {"ts", "schema", "vendor", "source_api", "audio_send_codec", "audio_recv_codec", "video_send_codec", "video_recv_codec", "aux_send_codec", "aux_recv_codec"},
	"json_v2.conf":    {"v", "schema", "ts"},
	"xpath_json.conf": {"v", "schema", "ts"},
}

func TestTelegrafReadsEveryRecord(t *testing.T) {
	if os.Getenv("BROKER_URL") == "" || os.Getenv("ROOMCALL_RECORDS") == "" {
		t.Skip("BROKER_URL and ROOMCALL_RECORDS are not set; packaging/scripts/interop.sh sets them")
	}
	list := records(t)
	kinds := map[string]int{}
	for _, r := range list {
		kinds[r.kind]++
	}
	for kind := range tags {
		if kinds[kind] == 0 {
			t.Errorf("the records have no %s", kind)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(lost)) {
		t.Run(file, func(t *testing.T) {
			got := consume(t, file, list)
			series := map[string]string{}
			for _, r := range list {
				m := got[r.text("id")]
				compare(t, file, r, m)
				key := fmt.Sprint(m.Name(), m.TagList(), m.Time().UnixNano())
				if other := cmp.Or(series[key], r.text("id")); other != r.text("id") {
					t.Errorf("%s and %s would overwrite each other", other, r.text("id"))
				}
				series[key] = r.text("id")
			}
			t.Logf("%d records, all %d kinds", len(list), len(kinds))
		})
	}
}

// compare checks that each key of the record is in the metric: as the time, as a tag,
// or as a field with the same value.
func compare(t *testing.T, file string, r record, m telegraf.Metric) {
	t.Helper()
	id := r.text("id")
	if m == nil {
		t.Errorf("%s did not arrive", id)
		return
	}
	at, _ := r.keys["ts_ms"].(float64)
	if r.kind == "minute" {
		at, _ = r.keys["minute_ms"].(float64)
	}
	if m.Name() != "roomcall_"+r.kind || m.Time().UnixMilli() != int64(at) {
		t.Errorf("%s arrived as %s at %d, want roomcall_%s at %d", id, m.Name(), m.Time().UnixMilli(), r.kind, int64(at))
	}
	tagged := slices.Concat(everywhere, tags[r.kind])
	for key, want := range r.keys {
		got, there := m.GetField(key)
		if slices.Contains(tagged, key) {
			got, there = m.GetTag(key)
			there = there || want == "" // Telegraf has no empty tags
			want = fmt.Sprint(want)
			if got == "" {
				got = want
			}
		}
		isTime := key == "ts_ms" || r.kind == "minute" && key == "minute_ms"
		if !there && !isTime && !slices.Contains(lost[file], key) || there && !same(got, want) {
			t.Errorf("%s: %s is %v (%T), want %v", id, key, got, got, want)
		}
	}
}

// same compares by value; numbers are float64 or int64.
func same(got, want any) bool {
	if n, ok := got.(int64); ok {
		got = float64(n)
	}
	return got == want
}

// TestDatabasesAcceptEveryRecord writes the records with outputs.conf to each database of
// INFLUX_URLS, as Telegraf does.
func TestDatabasesAcceptEveryRecord(t *testing.T) {
	if os.Getenv("BROKER_URL") == "" || os.Getenv("INFLUX_URLS") == "" {
		t.Skip("BROKER_URL and INFLUX_URLS are not set; packaging/scripts/interop.sh sets them")
	}
	metrics := slices.Collect(maps.Values(consume(t, "xpath_json.conf", records(t))))
	for url := range strings.FieldsSeq(os.Getenv("INFLUX_URLS")) {
		t.Setenv("INFLUX_URL", url)
		t.Setenv("INFLUX_USER", "")
		t.Setenv("INFLUX_PASSWORD", "")
		cfg := config.NewConfig()
		if err := cfg.LoadConfig("outputs.conf"); err != nil {
			t.Fatalf("Telegraf rejects outputs.conf: %v", err)
		}
		for _, out := range cfg.Outputs {
			if err := out.Init(); err != nil {
				t.Fatal(err)
			}
			if err := out.Output.Connect(); err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(metrics, 1000) {
				if err := out.Output.Write(part); err != nil {
					t.Fatalf("%s: %v", url, err)
				}
			}
			if err := out.Output.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d records written", len(metrics))
}
