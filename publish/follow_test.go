package publish

import (
	"context"
	"strings"
	"testing"

	"roomcall/publish/brokertest"
)

func TestFollowHandsOverWhatComes(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	m := connect(t, newClient(t, testConfig(s.URL())))
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	up := func(string) { send(t, m, "room/sample", "followed") }
	err := Follow(ctx, testConfig(s.URL()), []string{"t/v1/+/+/sample"}, up, func(r Received) {
		if r.Topic != "t/v1/agent-1/room/sample" || string(r.Payload) != "followed" || r.Retained {
			t.Errorf("received %+v", r)
		}
		cancel()
	})
	if err != nil {
		t.Errorf("Follow: %v", err)
	}
	if isClosed(m.Lost()) {
		t.Error("the follower threw the agent out")
	}
}

func TestFollowReportsARejectedSubscription(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{DenySuback: true})
	err := Follow(testContext(t), testConfig(f.URL()), []string{"t/v1/#"}, func(string) { t.Error("it is up") }, func(Received) {})
	if e := wantClass(t, err, ClassDenied); e.Hint != hintSubscribe || e.Facts["topic"] != "t/v1/#" {
		t.Errorf("hint is %q", e.Hint)
	}
	hello := f.Connects()[0]
	if hello.Will != nil || hello.ClientID == "agent-1" || !strings.HasPrefix(hello.ClientID, "agent-1-") {
		t.Errorf("the follower said %+v", hello)
	}
	if got := f.Received(); len(got) != 0 {
		t.Errorf("the follower published %+v", got)
	}
}
