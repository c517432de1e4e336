package web

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health/healthtest"
)

// stream opens /api/v1/events and returns a function that reads the next event.
func openEvents(t *testing.T, addr, query string) (next func() string) {
	t.Helper()
	body, err := Get(t.Context(), addr, "/api/v1/events"+query, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { body.Close() })
	r := bufio.NewReader(body)
	return func() string {
		var event strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return "end"
			}
			if line == "\n" && event.Len() > 0 && !strings.HasPrefix(event.String(), "retry") {
				return strings.TrimSpace(event.String())
			} else if line == "\n" {
				event.Reset()
			} else {
				event.WriteString(line)
			}
		}
	}
}

func TestEventsTellEachRecordThatHasNoNames(t *testing.T) {
	h := historyOf("room-1", "room-2")
	status := healthtest.Well()
	status.Endpoints = append(status.Endpoints, status.Endpoints[0])
	status.Endpoints[1].Device = "room-2"
	addr, stop := serve(t, &fake{status: status, history: h})
	all, one := openEvents(t, addr, ""), openEvents(t, addr, "?device=room-2")
	if got := all(); !strings.HasPrefix(got, "event: alive\ndata: {\"ts_ms\":") {
		t.Errorf("first came %q", got)
	}
	one()
	h.Add("room-1", "sample", []byte(`{"ts_ms":1}`))
	h.Add("room-1", "stream", []byte(`{"peer":"Anna"}`))
	h.Add("agent", "event", []byte(`{"type":"agent.started"}`))
	h.Add("room-2", "call", []byte(`{"call_id":"c"}`))
	for _, want := range []string{"event: sample\ndata: {\"ts_ms\":1}", "event: event\ndata: {\"type\":\"agent.started\"}", "event: call\ndata: {\"call_id\":\"c\"}"} {
		if got := all(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := one(); got != "event: call\ndata: {\"call_id\":\"c\"}" {
		t.Errorf("of room-2 came %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := all(); got != "end" {
		t.Errorf("after the stop came %q", got)
	}
}

func TestListenersAreBoundedAndASlowOneIsToldWhatItMissed(t *testing.T) {
	h := historyOf("room-1")
	var list []*listener
	for range maxListeners {
		list = append(list, h.listen(""))
	}
	if h.listen("") != nil {
		t.Fatal("one more than allowed listens")
	}
	if w := ask(&fake{status: healthtest.Well(), history: h}, "/api/v1/events"); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for i := range listenerQueue + 3 {
		h.Add("room-1", "event", fmt.Appendf(nil, `{"n":%d}`, i))
	}
	if l := list[0]; len(l.queue) != listenerQueue || l.missed.Load() != 3 {
		t.Errorf("%d wait, %d missed", len(l.queue), l.missed.Load())
	}
	for _, l := range list {
		h.leave(l)
	}
	if h.listen("") == nil {
		t.Error("nobody may listen after all have left")
	}
}

func TestAListenerThatLeavesIsForgotten(t *testing.T) {
	h := historyOf("room-1")
	addr, _ := serve(t, &fake{status: healthtest.Well(), history: h})
	ctx, cancel := context.WithCancel(t.Context())
	body, err := Get(ctx, addr, "/api/v1/events", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	body.Close()
	left := func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.listeners) == 0 }
	for !left() {
		h.Add("room-1", "event", []byte(`{}`))
		if t.Context().Err() != nil {
			t.Fatal("it is still there")
		}
	}
}
