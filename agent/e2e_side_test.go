package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// startInto starts the agent with its standard error in a pipe that the test holds.
func (r *rig) startInto(pipe *os.File) {
	r.t.Helper()
	cmd := r.command("run")
	cmd.Stderr = pipe
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	pipe.Close()
	c := &child{cmd: cmd, done: make(chan struct{}), news: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(c.done) }()
	r.agent = c
}

// TestTheAgentOutlivesTheReaderOfItsLog: it neither ends nor stands still when the
// reader is gone, or is there and reads nothing.
func TestTheAgentOutlivesTheReaderOfItsLog(t *testing.T) {
	for name, gone := range map[string]bool{"gone": true, "stuck": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.http = freeAddr(t)
			sim := newSimulator(t, cgitest.Options{})
			broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
			sub := r.consumer(broker)
			r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if gone {
				reader.Close()
			} else { // no line fits any more
				fill(t, writer)
			}
			r.startInto(writer)
			sub.Wait(func(got []brokertest.Message) bool { return len(got) > 20 })
			hosttest.WaitFor(t, "the status tells that the log fails", func() (bool, string) {
				out, errs, code := r.output("status")
				return code == 0 && strings.Contains(out, "The log is not written"), out + errs
			})
			began := time.Now()
			r.agent.stop(syscall.SIGTERM)
			if code := r.agent.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("the agent ended with %v after %v", r.agent.cmd.ProcessState, time.Since(began))
			}
			sub.Wait(func(got []brokertest.Message) bool {
				last := got[len(got)-1]
				return strings.HasSuffix(last.Topic, "/availability") && string(last.Payload) == "offline"
			})
		})
	}
}

// fill writes into a pipe until nothing more fits.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	_ = pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for {
		if _, err := io.WriteString(pipe, strings.Repeat("x", 1024)); err != nil {
			break
		}
	}
	_ = pipe.SetWriteDeadline(time.Time{})
}

// TestAPanicIsNoWrongConfig: the service manager does not start a service again that
// ended with exit code 2, so nothing but a wrong config may end with it. Go ends a
// process at SIGQUIT the way it does at a panic.
func TestAPanicIsNoWrongConfig(t *testing.T) {
	r := newRig(t)
	r.configure(endpointTable("room-1", "http://127.0.0.1:1"), mqttTable("tcp://127.0.0.1:1"))
	r.run()
	r.agent.stop(syscall.SIGQUIT)
	if ended := r.agent.cmd.ProcessState.Sys().(syscall.WaitStatus); !ended.Signaled() || ended.Signal() != syscall.SIGABRT {
		t.Errorf("ended with %v", r.agent.cmd.ProcessState)
	}
}

// TestARotatedSecretWorksWithoutARestart: the password file of the broker is read
// again when the login is refused, at once when it changes, and the old password is
// not tried again. A check tries what is on disk.
func TestARotatedSecretWorksWithoutARestart(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Users: map[string]string{"room": "new", "reader": "r"}})
	r.file("secret", "old\n")
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL(), `username = "room"`, `password_file = "secret"`,
		`reconnect_min = "1h"`, `reconnect_max = "2h"`))
	r.run()
	r.waitStatus("the login is refused", func(st health.Status) bool { return st.Broker.State == "refused" })
	r.file("secret", "new\n")
	if out, errs, _ := r.output("check"); !strings.Contains(out, "ok    broker login") {
		t.Errorf("check does not try the secret on disk:\n%s%s", out, errs)
	}
	st := r.waitStatus("the new secret works", func(st health.Status) bool { return st.Broker.State == "connected" })
	if st.Broker.Connects != 1 {
		t.Errorf("%+v", st.Broker)
	}
}

// TestStatusAndCheckSayWhoAnswers: another agent at the address, another config than
// the one on disk, and no readable config at all.
func TestStatusAndCheckSayWhoAnswers(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	r.run()
	r.waitStatus("connected", func(st health.Status) bool { return st.Broker.State == "connected" })

	r.configure(endpointTable("room-1", sim.url()), mqttTable("tcp://"+freeAddr(t)))
	out, errs, code := r.output("status")
	if code != 0 || !strings.Contains(out, "warn  The running agent has another config") {
		t.Errorf("another config: %d\n%s%s", code, out, errs)
	}
	out, errs, code = r.output("check")
	if code != 1 || !strings.Contains(out, "warn  config                   The running agent has another config") || !strings.Contains(out, "FAIL  broker tcp") {
		t.Errorf("check vouches for a broker that is not in the config: %d\n%s%s", code, out, errs)
	}

	client := r.client
	r.client, r.dir = "another", t.TempDir() // another file: in the same one it would be another config
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		out, errs, code = r.output(args...)
		if code != 1 || !strings.Contains(out+errs, "FAIL  Another agent answers") || !strings.Contains(out, client) {
			t.Errorf("%v: another agent: %d\n%s%s", args, code, out, errs)
		}
	}

	if out, errs, _ = r.output("check"); strings.Count(out, "Another agent answers") != 1 {
		t.Errorf("check does not say once that the address is another agent's:\n%s%s", out, errs)
	}

	r.writeConfig("nonsense")
	out, errs, code = r.output("status")
	if code == 0 || !strings.Contains(errs, "the agent at 127.0.0.1:9478 is asked") {
		t.Errorf("a bad file: %d\n%s%s", code, out, errs)
	}

	r.writeConfig("[agent]\nhttp_listen = \"" + r.http + "\"\nsight = \"Berlin\"\n")
	out, errs, _ = r.output("status")
	if !strings.Contains(errs, "sight: unknown key") || !strings.Contains(out, client) {
		t.Errorf("a file with a wrong key: %d\n%s%s", code, out, errs)
	}
}

// TestAStoreOnADiskThatTurnedReadOnlyIsToldEverywhere: the kernel makes an ext4
// read-only after an error.
func TestAStoreOnADiskThatTurnedReadOnlyIsToldEverywhere(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t)
	disk := filepath.Join(r.dir, "data")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	image := r.file("image", "")
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) error { return exec.Command(name, args...).Run() }
	if err := errors.Join(run("mkfs.ext4", "-q", image), run("mount", "-o", "loop", image, disk)); err != nil {
		t.Skipf("SKIPPED: no ext4 can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		r.kill()
		if err := run("umount", disk); err != nil {
			t.Error(err)
		}
	})
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()), "[buffer]\nmax_bytes = \"8MiB\"")
	r.run()
	health := "roomcall/v1/" + r.client + "/health"
	sub.Wait(func(got []brokertest.Message) bool { return said(got, health, `"store_ok":1`) })
	if err := run("mount", "-o", "remount,abort", disk); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	sub.Wait(func(got []brokertest.Message) bool {
		return said(got, health, `"status":"fail"`, `"store_ok":0`, "store_read_only")
	})
	out, errs, code := r.output("check")
	if code != 1 || !strings.Contains(out, "FAIL  store") || !strings.Contains(out, "mount it writable again") {
		t.Errorf("check: %d\n%s%s", code, out, errs)
	}
	out, errs, code = r.output("status")
	if code != 1 || !strings.Contains(out, "FAIL  The file system that holds the store is read-only") || strings.Contains(out, "free space") {
		t.Errorf("status: %d\n%s%s", code, out, errs)
	}
}

// said tells whether a message on a topic has all the texts.
func said(got []brokertest.Message, topic string, texts ...string) bool {
	return slices.ContainsFunc(got, func(m brokertest.Message) bool {
		return m.Topic == topic && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(string(m.Payload), text) })
	})
}
