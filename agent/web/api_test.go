package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health/healthtest"
	"roomcall/agent/report"

	"github.com/google/go-cmp/cmp"
)

func TestSamplesAreFilteredByDeviceAndTime(t *testing.T) {
	src := &fake{status: healthtest.Well(), cut: true,
		samples: []json.RawMessage{json.RawMessage(`{"ts_ms":1772365800000}`), json.RawMessage(`{"seq":2}`)}}
	w := ask(src, "/api/v1/samples?device=room-1&since=2026-03-01T11:50:00Z")
	want := `{"device":"room-1","since":"2026-03-01T11:50:00Z","count":2,"cut":true,"oldest_ms":1772365800000,"samples":[{"ts_ms":1772365800000},{"seq":2}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	ask(src, "/api/v1/samples?since=90s")
	ask(src, fmt.Sprintf("/api/v1/samples?since=%d", noon.Add(-7*time.Millisecond).UnixMilli()))
	wantAsked := []Filter{since("room-1", 10*time.Minute), since("", 90*time.Second), since("", 7*time.Millisecond)}
	if diff := cmp.Diff(wantAsked, src.asked); diff != "" {
		t.Errorf("the source was asked for (-want +got):\n%s", diff)
	}
}

func TestNoSamplesIsAnEmptyList(t *testing.T) {
	if got := ask(&fake{status: healthtest.Well()}, "/api/v1/samples").Body.String(); got != "{\"count\":0,\"cut\":false,\"samples\":[]}\n" {
		t.Errorf("got %q", got)
	}
}

func TestBadQueriesAreNamedAndNeverWidenTheAnswer(t *testing.T) {
	for query, want := range map[string]string{
		"device=Room%201":               "a device name has",
		"device=" + longName:            "a device name has",
		"device=room-9":                 "there is no device room-9",
		"since=yesterday":               `\"yesterday\" is not a time`,
		"since=-5m":                     "is not a time",
		"since=1772366400":              "is not a time", // seconds
		"sinec=10m":                     `unknown parameter \"sinec\"; allowed: device, since`,
		"device=room-1&device=room-2":   "there 2 times",
		"device=%zz":                    "the query cannot be read",
		"a=" + strings.Repeat("x", 600): "longer than 512 bytes",
	} {
		src := &fake{status: healthtest.Well()}
		w := ask(src, "/api/v1/samples?"+query)
		if w.Code/100 != 4 || !strings.Contains(w.Body.String(), want) || len(src.asked) > 0 {
			t.Errorf("%s: got %d %s, asked %v", query, w.Code, w.Body, src.asked)
		}
	}
}

var longName = strings.Repeat("a", 64)

func TestExportStreamsTheRecordsThatMatch(t *testing.T) {
	src := &fake{status: healthtest.Well(), export: func(_ context.Context, w io.Writer, _ Filter) error {
		for i := range 3 {
			fmt.Fprintf(w, "{\"seq\":%d}\n", i)
		}
		return nil
	}}
	w := ask(src, "/api/v1/buffer/export?delivered=1&device=room-1&since=2026-03-01T10:00:00%2B01:00&until=2026-03-01T11:00:00Z")
	if w.Code != 200 || w.Body.String() != "{\"seq\":0}\n{\"seq\":1}\n{\"seq\":2}\n" || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	want := Filter{Filter: report.Filter{Device: "room-1", Since: noon.Add(-3 * time.Hour), Until: noon.Add(-time.Hour)}, Delivered: true}
	if len(src.asked) != 1 || !src.asked[0].Since.Equal(want.Since) || !src.asked[0].Until.Equal(want.Until) || !src.asked[0].Delivered || src.asked[0].Device != "room-1" {
		t.Errorf("asked for %+v, want %+v", src.asked, want)
	}
	if w := ask(src, "/api/v1/buffer/export?delivered=yes"); w.Code != http.StatusBadRequest {
		t.Errorf("delivered=yes answered %d", w.Code)
	}
}

func TestRecordsThatMayHaveNamesNeedTheKey(t *testing.T) {
	exports := 0
	src := &fake{status: healthtest.Well(), export: func(context.Context, io.Writer, Filter) error { exports++; return nil }}
	const path = "/api/v1/buffer/export?delivered=1"
	right := signature(testKey, path, noon)
	if strings.Contains(right, testKey) {
		t.Error("the key is shown to whoever is asked")
	}
	for name, given := range map[string]string{
		"none": "", "the key": "Bearer " + testKey, "another key": signature(testKey[1:], path, noon), "half": right[:len(right)-1],
		"another path": signature(testKey, "/api/v1/buffer/export", noon), "too old": signature(testKey, path, noon.Add(-signatureAge-time.Second)),
		"too new": signature(testKey, path, noon.Add(signatureAge+time.Second)), "no time": "Signature x " + right, "far away": "Signature 9223372036854775807 x",
	} {
		w := ask(src, path, func(r *http.Request) { r.Header.Set("Authorization", given) })
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "names of people") || exports > 0 {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	newHandler(src, Options{Now: time.Now}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/buffer/export", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("without a key in the agent everybody may: %d", w.Code)
	}
}

func TestExportThatCannotBeginIsAnError(t *testing.T) {
	src := &fake{status: healthtest.Well(), export: func(context.Context, io.Writer, Filter) error { return errors.New("store is opening") }}
	w := ask(src, "/api/v1/buffer/export")
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != `{"error":"export records: store is opening"}`+"\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestHalfAnExportIsCutNotEnded(t *testing.T) {
	src := &fake{status: healthtest.Well(), export: func(_ context.Context, w io.Writer, _ Filter) error {
		fmt.Fprintln(w, "{}")
		return errors.New("damaged record")
	}}
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("the answer was ended as if it were whole: %v", got)
		}
	}()
	ask(src, "/api/v1/buffer/export")
}

func TestOneReaderOfTheWholeStoreAtATime(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	src := &fake{status: healthtest.Well(), verify: func(context.Context) (json.RawMessage, error) {
		close(inside)
		<-leave
		return json.RawMessage(`{"damaged":0}`), nil
	}}
	h := newHandler(src, Options{Now: time.Now, Key: testKey})
	first := make(chan string)
	go func() { first <- askHandler(h, "/api/v1/buffer/verify").Body.String() }()
	<-inside
	if w := askHandler(h, "/api/v1/buffer/export"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("second reader got %d", w.Code)
	}
	close(leave)
	if got := <-first; got != "{\"damaged\":0}\n" {
		t.Errorf("first reader got %q", got)
	}
}

// deadlines is a connection that notes until when it may be written to.
type deadlines struct {
	*httptest.ResponseRecorder
	write time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

// TestAgentAndClientHaveTheSamePatience: what the agent allows itself for a check of
// the store is what its client waits, and both grow with the store.
func TestAgentAndClientHaveTheSamePatience(t *testing.T) {
	const path, small, large = "/api/v1/buffer/verify", 256 << 20, 64 << 30
	for _, maxBytes := range []int64{small, large} {
		var until time.Time // that the agent allows itself
		src := &fake{status: healthtest.Well(), verify: func(ctx context.Context) (json.RawMessage, error) {
			until, _ = ctx.Deadline()
			return json.RawMessage(`{}`), nil
		}}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		newHandler(src, Options{Now: time.Now, MaxBytes: maxBytes}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		client := Patience(path, maxBytes)
		left := time.Until(until)
		if w.write.Before(until) {
			t.Errorf("the connection is cut %v before the check has to end", until.Sub(w.write))
		}
		if left > client || left < client-time.Minute {
			t.Errorf("%d bytes: the agent allows itself %v, the client waits %v", maxBytes, left, client)
		}
	}
	if Patience(path, small) < 4*time.Minute || Patience(path, large) < 16*time.Hour || Patience("/api/v1/status", large) > time.Minute {
		t.Errorf("%v, %v, %v", Patience(path, small), Patience(path, large), Patience("/api/v1/status", large))
	}
	if Patience("/api/v1/buffer/export?since=10m", large) != Patience(path, large) {
		t.Error("an export reads the whole store too")
	}
}

func TestUnknownPathsAndBufferInfo(t *testing.T) {
	if w := ask(&fake{}, "/api/v1/nothing"); w.Code != 404 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w := ask(&fake{}, "/api/v1/buffer"); w.Code != 200 || w.Body.String() != "{\"waiting\":3}\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func since(device string, ago time.Duration) Filter {
	return Filter{Filter: report.Filter{Device: device, Since: noon.Add(-ago)}}
}
