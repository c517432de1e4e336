package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

var sentAgain = regexp.MustCompile(`^([1-9]\d*) records sent again`)

// TestReplaySendsKeptRecordsAgain: a consumer that lost everything gets the same
// records with the same ids, marked as replayed; with the agent running and
// without it.
func TestReplaySendsKeptRecordsAgain(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{Scenario: "join-leave"})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), endpointTable("room-2", sim.url()), mqttTable(broker.URL()))
	start := time.Now().UTC().Format(time.RFC3339)
	r.run()
	r.waitSamples(sub, "room-2", 5, pollOK)
	r.replay("--since", start)
	r.drained()
	first := r.consumed(sub)

	late := brokertest.Subscribe(t, brokertest.Subscription{URL: broker.URL(), Filter: "roomcall/v1/" + r.client + "/+/+"})
	r.replay("--since", start)
	hosttest.WaitFor(t, "the late consumer has every record", func() (bool, string) {
		missing := stored(t, r.data())
		for _, m := range late.Messages() {
			delete(missing, r.recordKey(m))
		}
		return len(missing) == 0, strings.Join(keys(missing), "\n")
	})
	second := verify(t, r.client, late.Messages())
	second.compare(stored(t, r.data()))
	for lane, list := range second.lanes {
		for i, a := range list {
			if !a.replayed {
				t.Fatalf("%s %d was sent again without the mark", lane, a.seq)
			}
			if a.text("id") != first.lanes[lane][i].text("id") {
				t.Fatalf("%s: id %s became %s", lane, first.lanes[lane][i].text("id"), a.text("id"))
			}
		}
	}

	// one device, a time that holds nothing
	if out := r.replay("--since", start, "--device", "room-1"); !sentAgain.MatchString(out) {
		t.Error(out)
	}
	stdout, stderr, code := r.output("buffer", "replay", "--since", "2999-01-01T00:00:00Z")
	if code != 0 || !strings.HasPrefix(stdout, "0 records") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func keys(m map[string][]byte) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func (r *rig) replay(args ...string) string {
	r.t.Helper()
	stdout, stderr, code := r.output(append([]string{"buffer", "replay"}, args...)...)
	if code != 0 || !sentAgain.MatchString(stdout) {
		r.t.Fatalf("replay: exit code %d\n%s%s", code, stdout, stderr)
	}
	return stdout
}

// TestWatchFollowsTheFleet: a line for each change, and an end in good order.
func TestWatchFollowsTheFleet(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	r.run()
	watch, err := startChild(r.command("watch"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.stop(syscall.SIGKILL)
	if _, err := watch.waitLog(regexp.MustCompile(`room-1 .*in_call.*good`)); err != nil {
		t.Error(err)
	}
	r.waitStatus("the agent stays connected beside the watcher", func(st health.Status) bool {
		return st.Broker.State == "connected" && st.Broker.Losses == 0
	})
	watch.stop(syscall.SIGINT)
	if code := watch.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("watch ended with %d after Ctrl-C:\n%s", code, watch.log())
	}
}

// TestCtrlCEndsTheAgentInGoodOrder: SIGINT is as good as SIGTERM.
func TestCtrlCEndsTheAgentInGoodOrder(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	r.run()
	r.waitSamples(sub, "room-1", 2, pollOK)
	r.agent.stop(syscall.SIGINT)
	if code := r.agent.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	sub.WaitFor("roomcall/v1/"+r.client+"/availability", "offline")
}
