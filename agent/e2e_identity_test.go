package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// TestARestoredStoreUsesNoIDTwice puts the store back from a copy, once so that the files
// show it (copied), once so that only the broker can (the copy is moved into the old
// files), and lets it record before the broker is back.
func TestARestoredStoreUsesNoIDTwice(t *testing.T) {
	for name, restore := range map[string]func(t *testing.T, from, to string){
		"a backup put back": func(t *testing.T, from, to string) {
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		},
		"a disk set back": func(t *testing.T, from, to string) { // as a snapshot: the lock file stays the same
			lock, err := os.ReadFile(filepath.Join(to, "LOCK"))
			if err != nil {
				t.Fatal(err)
			}
			list, err := os.ReadDir(to)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				if e.Name() != "LOCK" {
					if err := os.RemoveAll(filepath.Join(to, e.Name())); err != nil {
						t.Fatal(err)
					}
				}
			}
			list, err = os.ReadDir(from)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				text := lock
				if e.Name() != "LOCK" {
					if text, err = os.ReadFile(filepath.Join(from, e.Name())); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(to, e.Name()), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			sim := newSimulator(t, cgitest.Options{Scenario: "quiet-meeting"})
			broker := brokertest.Mosquitto(t, kept)
			sub := r.consumer(broker)
			tables := []string{endpointTable("room-1", sim.url()), mqttTable(broker.URL())}
			r.configure(tables...)
			r.run()
			r.waitSamples(sub, "room-1", 5, pollOK)
			r.drained()
			backup := filepath.Join(t.TempDir(), "backup")
			if err := os.CopyFS(backup, os.DirFS(r.data())); err != nil {
				t.Fatal(err)
			}
			r.run()
			r.waitSamples(sub, "room-1", 15, pollOK)
			r.drained()

			restore(t, backup, r.data())
			broker.Stop() // it keeps what it holds retained
			r.run()
			hosttest.WaitFor(t, "records wait", func() (bool, string) {
				st := r.waitStatus("an answer", func(health.Status) bool { return true })
				return st.Buffer.Waiting > 20, ""
			})
			broker.Start()
			r.waitSamples(sub, "room-1", 40, pollOK)
			r.drained()
			noIDTwice(t, sub.Messages())
		})
	}
}

// noIDTwice fails the test if an id stands for two contents, or a topic's numbers have a
// hole within an epoch, or there is no agent.store_reset.
func noIDTwice(t *testing.T, msgs []brokertest.Message) {
	t.Helper()
	byID, last, resets := map[string]string{}, map[string]float64{}, 0
	for _, m := range msgs {
		var f map[string]any
		if json.Unmarshal(m.Payload, &f) != nil || strings.HasSuffix(m.Topic, "/state") || m.Retain {
			continue
		}
		id, ok := f["id"].(string)
		if !ok {
			continue
		}
		delete(f, "replayed")
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		was, there := byID[id]
		if there && was != string(text) {
			t.Fatalf("%s stands for two contents:\n%s\n%s", id, was, text)
		}
		byID[id] = string(text)
		topic := id[:strings.LastIndex(id, ".")] // with its epoch
		seq := f["seq"].(float64)
		if !there && seq != last[topic]+1 {
			t.Errorf("%s: number %v follows %v", topic, seq, last[topic])
		}
		last[topic] = max(last[topic], seq)
		if f["type"] == "agent.store_reset" {
			resets++
		}
	}
	if resets != 1 {
		t.Errorf("%d events agent.store_reset, want 1", resets)
	}
}
