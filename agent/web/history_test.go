package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"roomcall/agent/health/healthtest"
)

// aSample is the payload of a poll in a call.
func aSample(at time.Time, loss float64, grade int) []byte {
	return fmt.Appendf(nil, `{"ts_ms":%d,"endpoint_state_code":1,"grade_code":%d,"video_send_loss_pct":%g,"video_send_bitrate_kbps":1920,"video_send_fps":30,"video_send_jitter_ms":"x"}`,
		at.UnixMilli(), grade, loss)
}

func aCall(id string, end time.Time) []byte {
	return fmt.Appendf(nil, `{"call_id":%q,"start_ms":%d,"end_ms":%d,"duration_s":600,"grade":"poor","cause":"video_send_loss","seconds_poor":60}`,
		id, end.Add(-10*time.Minute).UnixMilli(), end.UnixMilli())
}

func historyOf(devices ...string) *History { return NewHistory(devices) }

// shown is the answer of /api/v1/history about room-1.
func shown(t *testing.T, h *History, query string) (out struct {
	Limits   map[string]float64
	Readings map[string]any
	Minutes  map[string]any
	Calls    []call
}) {
	t.Helper()
	status := healthtest.Well()
	status.Endpoints[0].Limits = "huawei"
	status.Limits = map[string]map[string]float64{"huawei": {"video_loss_pct_poor": 3}}
	w := ask(&fake{status: status, history: h}, "/api/v1/history?device=room-1"+query)
	if err := json.Unmarshal(w.Body.Bytes(), &out); w.Code != 200 || err != nil {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	return out
}

func TestHistoryShowsWhatWasMeasuredAndNothingElse(t *testing.T) {
	h := historyOf("room-1")
	h.Add("room-1", "sample", aSample(noon.Add(-20*time.Second), 0.05, 1))
	h.Add("room-1", "sample", fmt.Appendf(nil, `{"ts_ms":%d,"endpoint_state_code":2}`, noon.Add(-15*time.Second).UnixMilli()))
	h.Add("room-1", "sample", fmt.Appendf(nil, `{"ts_ms":%d,"endpoint_state_code":0}`, noon.Add(-10*time.Second).UnixMilli()))
	h.Add("room-1", "sample", aSample(noon.Add(-5*time.Second), 12.25, 3))
	h.Add("room-1", "call", aCall("c1", noon.Add(-time.Hour)))
	h.Add("room-1", "minute", []byte(`{"x":1}`))
	h.Add("room-2", "sample", aSample(noon, 50, 3)) // not configured
	got := shown(t, h, "")
	at := func(s int) float64 { return float64(noon.Unix() - int64(s)) }
	want := map[string]any{
		"step_s": 5.0, "t": []any{at(20), at(15), at(10), at(5)},
		"endpoint_state_code": []any{1.0, 2.0, 0.0, 1.0}, "grade_code": []any{1.0, 0.0, 0.0, 3.0},
		"video_send_loss_pct":     []any{0.05, nil, nil, 12.25},
		"video_send_bitrate_kbps": []any{1920.0, nil, nil, 1920.0},
		"video_send_fps":          []any{30.0, nil, nil, 30.0},
	}
	if diff := cmp.Diff(want, got.Readings); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
	if got.Limits["video_loss_pct_poor"] != 3 || len(got.Calls) != 1 || got.Calls[0].Cause != "video_send_loss" {
		t.Errorf("limits %v, calls %+v", got.Limits, got.Calls)
	}
	if cut := shown(t, h, fmt.Sprintf("&since=%d", noon.Add(-7*time.Second).UnixMilli())); len(cut.Readings["t"].([]any)) != 1 || len(cut.Calls) != 0 {
		t.Errorf("since 7 s: %+v", cut)
	}
}

func TestAMinuteKeepsItsWorst(t *testing.T) {
	h := historyOf("room-1")
	for i, loss := range []float64{0, 8, 1} {
		h.Add("room-1", "sample", aSample(noon.Add(time.Duration(i-12)*5*time.Second), loss, []int{1, 3, 1}[i]))
	}
	h.Add("room-1", "sample", fmt.Appendf(nil, `{"ts_ms":%d,"endpoint_state_code":3}`, noon.Add(-time.Second).UnixMilli()))
	m := shown(t, h, "").Minutes
	if diff := cmp.Diff([]any{[]any{8.0}, []any{3.0}, []any{1.0}}, []any{m["video_send_loss_pct"], m["grade_code"], m["endpoint_state_code"]}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHistoryForgetsWhatIsOlderThanItShows(t *testing.T) {
	h := historyOf("room-1")
	for at := noon.Add(-26 * time.Hour); !at.After(noon); at = at.Add(15 * time.Second) {
		h.Add("room-1", "sample", aSample(at, 0, 1))
	}
	h.Add("room-1", "call", aCall("old", noon.Add(-25*time.Hour)))
	h.Add("room-1", "call", aCall("new", noon.Add(-23*time.Hour)))
	got := shown(t, h, "")
	if r, m := len(got.Readings["t"].([]any)), len(got.Minutes["t"].([]any)); r != 3600/15+1 || m > 24*60+1 || m < 24*60 {
		t.Errorf("%d readings, %d minutes", r, m)
	}
	if len(got.Calls) != 1 || got.Calls[0].CallID != "new" {
		t.Errorf("calls %+v", got.Calls)
	}
}

// The bound is driven to: more devices than anybody has, each with more than a day.
func TestHistoryOfManyDevicesStaysWithinItsBound(t *testing.T) {
	for _, devices := range []int{1, 10, 1000, 5000} {
		var names []string
		for i := range devices {
			names = append(names, fmt.Sprintf("room-%d", i))
		}
		h := historyOf(names...)
		sample, c := pointOf(aSample(noon, 1, 1)), 0
		for _, name := range names {
			r := h.rooms[name]
			for i := range uint32(r.readings.keep + r.minutes.keep) {
				sample.t = 1_700_000_000 + i*r.minutes.step
				r.readings.add(sample)
				r.minutes.add(sample)
			}
			for i := range r.mostCalls + 1 {
				r.add("call", aCall(fmt.Sprint(i), noon))
			}
			c += len(r.calls)
		}
		points := 0
		for _, r := range h.rooms {
			points += cap(r.readings.points) + cap(r.minutes.points)
			if r.readings.step*uint32(r.readings.keep) < hourS || r.minutes.step*uint32(r.minutes.keep) < dayS {
				t.Fatalf("%d devices: %+v does not hold an hour and a day", devices, r.readings)
			}
		}
		if size := points * int(unsafe.Sizeof(point{})); size > max(historyBytes, devices*fewestPoints*int(unsafe.Sizeof(point{}))) || c > max(historyCalls, 2*devices) {
			t.Errorf("%d devices: %d bytes of points, %d calls", devices, size, c)
		}
		if r := h.rooms["room-0"]; devices == 1 && (r.readings.step != finestStep || r.minutes.step != minuteStep) {
			t.Errorf("one device has a point for %d and %d seconds", r.readings.step, r.minutes.step)
		}
	}
}

func TestWhatTheStoreHadGoesBeforeWhatCameSince(t *testing.T) {
	h, past := historyOf("room-1"), historyOf("room-1")
	for i := range 10 {
		at := noon.Add(time.Duration(i-10) * 5 * time.Second)
		if i <= 6 {
			past.Add("room-1", "sample", aSample(at, float64(i), 1))
		}
		if i >= 5 { // the scan saw polls of this run too
			h.Add("room-1", "sample", aSample(at, float64(i), 1))
		}
	}
	past.Add("room-1", "call", aCall("c1", noon.Add(-time.Hour)))
	past.Add("room-1", "call", aCall("c2", noon))
	h.Add("room-1", "call", aCall("c2", noon))
	h.Restore(past)
	got := shown(t, h, "")
	if diff := cmp.Diff([]any{0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0}, got.Readings["video_send_loss_pct"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(got.Calls) != 2 || got.Calls[0].CallID != "c1" {
		t.Errorf("calls %+v", got.Calls)
	}
}

func TestAClockThatWasSetBackLeavesNothingInTheFuture(t *testing.T) {
	h := historyOf("room-1")
	h.Add("room-1", "sample", aSample(noon.Add(-10*time.Minute), 1, 1))
	h.Add("room-1", "sample", aSample(noon.Add(time.Hour), 2, 1))
	h.Add("room-1", "sample", aSample(noon, 3, 1))
	if diff := cmp.Diff([]any{1.0, 3.0}, shown(t, h, "").Readings["video_send_loss_pct"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTheStripHasAGapWhereNothingWasKnown(t *testing.T) {
	h := historyOf("room-1")
	h.Add("room-1", "sample", aSample(noon.Add(-61*time.Minute), 0, 3))
	h.Add("room-1", "sample", aSample(noon.Add(-59*time.Minute), 0, 1))
	h.Add("room-1", "sample", aSample(noon.Add(-10*time.Minute), 0, 3))
	h.Add("room-1", "sample", aSample(noon, 0, 2))
	strip := h.strip("room-1", noon)
	var text strings.Builder
	for _, l := range strip {
		text.WriteByte(" 12345i-gfp"[l])
	}
	if want := "g" + strings.Repeat(" ", 48) + "p" + strings.Repeat(" ", 9) + "f"; text.String() != want {
		t.Errorf("got  %q\nwant %q", text.String(), want)
	}
	if h.strip("room-9", noon) != [stripMinutes]level{} {
		t.Error("an unknown room has a strip")
	}
}

func TestHistoryNeedsAKnownDevice(t *testing.T) {
	src := &fake{status: healthtest.Well(), history: historyOf("room-1")}
	for query, want := range map[string]string{"": "device is missing", "?device=room-9": "no device room-9", "?device=room-1&x=1": "unknown parameter"} {
		if w := ask(src, "/api/v1/history"+query); w.Code/100 != 4 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}
