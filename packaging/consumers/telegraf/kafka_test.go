package telegraf

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/outputs/kafka"
	_ "github.com/influxdata/telegraf/plugins/parsers/value"
	_ "github.com/influxdata/telegraf/plugins/serializers/template"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMain runs Telegraf instead of the tests where TELEGRAF_CONFIG names its config, so
// that a test can kill it.
func TestMain(m *testing.M) {
	file := os.Getenv("TELEGRAF_CONFIG")
	if file == "" {
		os.Exit(m.Run())
	}
	cfg := config.NewConfig()
	if err := cfg.LoadConfig(file); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(agent.NewAgent(cfg).Run(context.Background()))
	os.Exit(1)
}

// TestKafkaGetsEveryRecord writes the records with kafka.conf to a broker that speaks
// Kafka's protocol (kfake, not Apache Kafka). It is not there at first, then it is
// restarted, and Telegraf is killed, all in mid-load.
func TestKafkaGetsEveryRecord(t *testing.T) {
	if os.Getenv("BROKER_URL") == "" || os.Getenv("ROOMCALL_RECORDS") == "" {
		t.Skip("BROKER_URL and ROOMCALL_RECORDS are not set; packaging/scripts/interop.sh sets them")
	}
	list := records(t)
	data, port := t.TempDir(), freePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	kafka := startKafka(t, data, port)
	kill := startTelegraf(t, address)
	reader, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeRegex(), kgo.ConsumeTopics(`roomcall\..*`),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for ready := false; !ready && ctx.Err() == nil; { // until Telegraf's session is at the broker
		publish(t, []record{{topic: "roomcall/v1/first/x/event", payload: []byte(`{"id":"first"}`)}})
		soon, done := context.WithTimeout(ctx, 2*time.Second)
		ready = len(reader.PollFetches(soon).Records()) > 0
		done()
	}
	kafka.Close()
	publish(t, list)
	kafka = startKafka(t, data, port)
	want := map[string]int{} // the place in list
	for i, r := range list {
		want[r.text("id")] = i
	}
	got, copies, faults := map[string]bool{}, 0, 0
	newest := map[string]int{} // by topic
	for len(got) < len(want) {
		for _, m := range reader.PollRecords(ctx, 50).Records() {
			var is record
			if err := json.Unmarshal(m.Value, &is.keys); err != nil {
				t.Fatalf("%s: %v", m.Value, err)
			}
			id := is.text("id")
			if got[id] || id == "first" {
				copies++
				continue
			}
			got[id] = true
			r := list[want[id]]
			if string(m.Value) != string(r.payload) || string(m.Key) != r.text("client_id") || m.Topic != "roomcall."+r.kind {
				t.Errorf("%s arrived in %s with the key %s as %s", id, m.Topic, m.Key, m.Value)
			}
			if want[id] < newest[r.topic] {
				t.Errorf("%s came after %s", id, list[newest[r.topic]].text("id"))
			}
			newest[r.topic] = max(newest[r.topic], want[id])
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records arrived", len(got), len(want))
		}
		switch {
		case faults == 0 && len(got) > len(want)/20:
			faults++
			kill()
			startTelegraf(t, address)
		case faults == 1 && len(got) > len(want)/4:
			faults++
			kafka.Close()
			kafka = startKafka(t, data, port)
		}
	}
	if faults != 2 {
		t.Errorf("%d of 2 faults happened", faults)
	}
	t.Logf("%d records to Kafka, %d copies", len(got), copies)
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

// startKafka starts a broker with the data that one before it left.
func startKafka(t *testing.T, data string, port int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(data), kfake.SyncWrites(), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startTelegraf starts Telegraf as a process and returns what kills it.
func startTelegraf(t *testing.T, kafka string) (kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "TELEGRAF_CONFIG=kafka.conf", "MQTT_URL="+os.Getenv("BROKER_URL"), "KAFKA_BROKER="+kafka)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	t.Cleanup(kill)
	return kill
}
