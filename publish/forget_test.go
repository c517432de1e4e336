package publish

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// testQuiet is the patience with retained messages over loopback.
const testQuiet = time.Second

func topicsOf(r Retained) (out []string) {
	for _, m := range r.Messages {
		out = append(out, m.Topic)
	}
	return out
}

func TestRetainedTopicsAreReadAndCleared(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	m := connect(t, newClient(t, testConfig(s.URL())))
	var states []string
	for i := range 150 { // more than are in flight at once
		states = append(states, fmt.Sprintf("t/v1/gone/room-%03d/state", i))
		r, err := m.Publish(Message{Topic: states[i], Payload: []byte("{}"), Retain: true})
		if err != nil {
			t.Fatal(err)
		}
		waitDone(t, "a state", r.Done())
	}
	filters := []string{"t/v1/gone/#", states[0]} // the second brings a message again
	got, err := ReadRetained(testContext(t), testConfig(s.URL()), filters, testQuiet)
	if err != nil || !slices.Equal(topicsOf(got), states) || got.Live != "" || got.Denied || string(got.Messages[0].Payload) != "{}" {
		t.Fatalf("read %+v, error %v", got, err)
	}
	if err := ClearRetained(testContext(t), testConfig(s.URL()), states[1:]); err != nil {
		t.Fatal(err)
	}
	got, err = ReadRetained(testContext(t), testConfig(s.URL()), filters, testQuiet)
	if err != nil || !slices.Equal(topicsOf(got), states[:1]) {
		t.Errorf("left %v, error %v", topicsOf(got), err)
	}
	if isClosed(m.Lost()) {
		t.Error("the agent was thrown out")
	}
}

func TestReadingEndsWithWhatIsPublishedNow(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	m := connect(t, newClient(t, testConfig(s.URL())))
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			_, _ = m.Publish(Message{Topic: "t/v1/gone/room/sample", Payload: []byte("{}")})
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	got, err := ReadRetained(ctx, testConfig(s.URL()), []string{"t/v1/gone/#"}, patience)
	if err != nil || got.Live != "t/v1/gone/room/sample" {
		t.Errorf("read %+v, error %v", got, err)
	}
}

func TestABrokerThatLetsNobodyReadIsToldApart(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{DenySuback: true})
	got, err := ReadRetained(testContext(t), testConfig(f.URL()), []string{"t/v1/gone/#"}, time.Millisecond)
	if err != nil || !got.Denied || len(got.Messages) != 0 {
		t.Errorf("rejected: %+v, error %v", got, err)
	}
	f.Set(brokertest.Faults{CutSubscribe: func(string) bool { return true }})
	got, err = ReadRetained(testContext(t), testConfig(f.URL()), []string{"t/v1/gone/#"}, time.Millisecond)
	if err != nil || !got.Denied {
		t.Errorf("ended: %+v, error %v", got, err)
	}
	if hello := f.Connects()[0]; hello.Will != nil || hello.ClientID == "agent-1" || len(f.Received()) != 0 {
		t.Errorf("the reader said %+v and published %+v", hello, f.Received())
	}
}

func TestWhatIsReadAndWaitedForIsBounded(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	big := make([]byte, 1<<20)
	for i := range 12 {
		f.Retain(fmt.Sprintf("t/v1/gone/%02d", i), big)
	}
	got, err := ReadRetained(testContext(t), testConfig(f.URL()), []string{"t/v1/gone/#"}, testQuiet)
	bytes := 0
	for _, m := range got.Messages {
		bytes += len(m.Payload)
	}
	if err != nil || len(got.Messages) != 12 || bytes > maxRecall {
		t.Errorf("%d topics with %d bytes, error %v", len(got.Messages), bytes, err)
	}
	f.Set(brokertest.Faults{NoConnack: true})
	cfg := testConfig(f.URL())
	cfg.ConnectTimeout = 10 * time.Millisecond
	if _, err := ReadRetained(testContext(t), cfg, []string{"t/v1/#"}, patience); err == nil {
		t.Error("read from a broker that does not answer")
	}
	f.Set(brokertest.Faults{Ack: func(brokertest.Message) bool { return false }})
	cfg = testConfig(f.URL())
	cfg.AckTimeout = 10 * time.Millisecond
	err = ClearRetained(testContext(t), cfg, []string{"t/v1/gone/00"})
	wantClass(t, err, ClassLost)
	wantClass(t, ClearRetained(testContext(t), cfg, []string{"t/v1/+"}), ClassMessage)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Set(brokertest.Faults{})
	if _, err := ReadRetained(ctx, testConfig(f.URL()), []string{"t/v1/#"}, patience); err == nil {
		t.Error("an interrupted reading is no error")
	}
}
