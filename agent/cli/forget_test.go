package cli

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/publish"
	"roomcall/publish/brokertest"
)

// forgetting forgets an agent that is gone, or its device, and returns what was said.
func forgetting(t *testing.T, url, user, device, answer string) (said string, err error) {
	t.Helper()
	var out strings.Builder
	g := &forgetter{
		app: &app{stdout: &out, stderr: &out}, in: strings.NewReader(answer), yes: answer == "", client: "gone", device: device,
		target: publish.Config{Brokers: []string{url}, ClientID: "admin", Prefix: "p", Username: user, Password: user},
		quiet:  500 * time.Millisecond, aliveQuiet: time.Second,
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = g.run(ctx)
	return out.String(), err
}

// retain has the broker retain what an agent leaves behind.
func retain(t *testing.T, url, user string, topics map[string]string) {
	t.Helper()
	brokertest.Subscribe(t, brokertest.Subscription{URL: url, Filter: "p/#", Username: user, Password: user}).Retain(topics)
}

var leftBehind = map[string]string{
	"p/gone/availability": "online", "p/gone/birth": `{"devices":[{"device":"room-1"},{"device":"../x"}]}`,
	"p/gone/room-1/state": `{"ts_ms":1772409600000}`, "p/gone/room-9/state": `{}`, "p/other/room-1/state": `{}`,
}

func TestAnAgentThatIsSaidToBeOnlineAndSendsNothingIsForgotten(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	retain(t, s.URL(), "", leftBehind)
	said, err := forgetting(t, s.URL(), "", "", "")
	if err != nil || !strings.Contains(said, "listening for 1s") || !strings.Contains(said, "cleared 4 topics; read back: nothing is left") {
		t.Errorf("%v\n%s", err, said)
	}
	rest, err := publish.ReadRetained(t.Context(), publish.Config{Brokers: []string{s.URL()}, ClientID: "x"}, []string{"p/#"}, time.Second)
	if err != nil || len(rest.Messages) != 1 || rest.Messages[0].Topic != "p/other/room-1/state" {
		t.Errorf("left at the broker: %+v, error %v", rest.Messages, err)
	}
}

func TestNothingIsClearedWithoutAYes(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	f.Retain("p/gone/room-9/state", []byte("{}"))
	for _, answer := range []string{"\n", "no\n", "yess\n", "\x00"} {
		said, err := forgetting(t, f.URL(), "", "room-9", answer)
		if err != nil || !strings.Contains(said, "Clear 1 topics? [y/N] nothing was cleared") || len(f.Received()) != 0 {
			t.Errorf("%q: error %v\n%s", answer, err, said)
		}
	}
	if said, err := forgetting(t, f.URL(), "", "room-9", "Y\n"); err != nil || !strings.Contains(said, "cleared 1 topic") || len(f.Retained("p/gone/room-9/state")) > 0 {
		t.Errorf("yes: error %v\n%s", err, said)
	}
}

func TestADeviceOfAnAgentElsewhereThatHasItIsRefused(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	for topic, payload := range leftBehind {
		f.Retain(topic, []byte(payload))
	}
	if said, err := forgetting(t, f.URL(), "", "room-1", ""); err == nil || !strings.Contains(err.Error(), "in the config of the running agent gone") {
		t.Errorf("error %v\n%s", err, said)
	}
	if said, err := forgetting(t, f.URL(), "", "room-9", ""); err != nil || !strings.Contains(said, "cleared 1 topic") {
		t.Errorf("one that has left its config: error %v\n%s", err, said)
	}
}

func TestWhereItMayNotReadItClearsWhatItKnowsAndSaysSo(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{Users: map[string]string{"all": "all", "blind": "blind", "reader": "reader"},
		ACL: "user all\ntopic p/#\nuser blind\ntopic write p/#\nuser reader\ntopic read p/#\n"})
	retain(t, s.URL(), "all", leftBehind)
	left := func() (topics []string) {
		cfg := publish.Config{Brokers: []string{s.URL()}, ClientID: "x", Username: "all", Password: "all"}
		r, err := publish.ReadRetained(t.Context(), cfg, []string{"p/gone/#"}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Messages {
			topics = append(topics, m.Topic)
		}
		return topics
	}
	said, err := forgetting(t, s.URL(), "reader", "room-9", "")
	if err == nil || !strings.Contains(err.Error(), "still retains 1 of 1 topics") {
		t.Errorf("a user that may not write: error %v\n%s", err, said)
	}
	said, err = forgetting(t, s.URL(), "blind", "room-9", "")
	if err != nil || !strings.Contains(said, "known by name") || !strings.Contains(said, "not verified") || slices.Contains(left(), "p/gone/room-9/state") {
		t.Errorf("a user that may not read: error %v\n%s", err, said)
	}
	said, err = forgetting(t, s.URL(), "blind", "", "")
	if got := left(); err != nil || !strings.Contains(said, "name each") || !slices.Equal(got, []string{"p/gone/room-1/state"}) {
		t.Errorf("a whole agent: error %v, left %v\n%s", err, got, said)
	}
}
