package main

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	head     = `"client_id":"a","site":"S","device":"d%d","room":"R|%d","ts_ms":%d,"seq":%d,"id":"%s"`
	dayStart = 1772409600000
)

func line1(kind string, device int, at int64, seq int, rest string) string {
	id := fmt.Sprintf("a.1.d%d.%s.%d", device, kind, seq)
	return fmt.Sprintf(`{"schema":"roomcall.%s/1.0",`+head+rest+"}\n", kind, device, device, dayStart+at, seq, id)
}

func call(device, seq int, good, fair, poor, unknown int64, grade, cause string) string {
	rest := fmt.Sprintf(`,"start_ms":%d,"end_ms":%d,"duration_s":%d,"seconds_good":%d,"seconds_fair":%d,"seconds_poor":%d,"seconds_unknown":%d,"grade":%q`,
		dayStart, dayStart+1000*(good+fair+poor+unknown), good+fair+poor+unknown, good, fair, poor, unknown, grade)
	if cause != "" {
		rest += fmt.Sprintf(`,"cause":%q`, cause)
	}
	return line1("call", device, int64(seq)*1000, seq, rest)
}

func degraded(device, seq int, at, end int64) string {
	incident := fmt.Sprintf(`,"incident_id":"i%d.%d"`, device, seq)
	out := line1("event", device, at, seq, `,"type":"quality.degraded"`+incident)
	if end > 0 {
		out += line1("event", device, end, seq+1, `,"type":"quality.recovered"`+incident)
	}
	return out
}

func TestDuplicatesAndOrderDoNotChangeThePage(t *testing.T) {
	records := call(1, 1, 60, 0, 0, 0, "good", "") + call(1, 2, 0, 0, 60, 0, "poor", "video_recv_loss") + call(2, 1, 30, 30, 0, 0, "fair", "audio_send_delay")
	want := pageOf(t, []byte(records))
	list := strings.SplitAfter(strings.TrimSpace(records)+"\n", "\n")
	turned := list[2] + list[1] + list[0] + list[1]
	if got := pageOf(t, []byte(turned)); got != want {
		t.Errorf("the page changed:\n%s\nwant:\n%s", got, want)
	}
	for _, row := range []string{
		"| calls | 3: 1 good, 1 fair, 1 poor, 0 unknown |",
		"| R/1 | 2 | 0.0 h | 1.0 min | 0.0 min | 50.0 % | loss of received video |",
		"| delay of sent audio | 1 | 1 | 0.0 min | 0.5 min |  |",
		"No record is missing.",
	} {
		if !strings.Contains(want, row) {
			t.Errorf("the page lacks %q:\n%s", row, want)
		}
	}
}

func TestAHoleInTheSequenceIsSaid(t *testing.T) {
	page := pageOf(t, []byte(call(1, 1, 60, 0, 0, 0, "good", "")+call(1, 4, 60, 0, 0, 0, "good", "")))
	if !strings.Contains(page, "**2 records are missing**") {
		t.Errorf("the page does not report the gap:\n%s", page)
	}
}

func TestRoomsThatGoBadTogetherAreOneStretch(t *testing.T) {
	var text string
	for room := 1; room <= clusterRooms; room++ {
		text += degraded(room, 1, int64(room)*5_000, 600_000)
		text += degraded(room, 3, 300_000+int64(room)*5_000, 900_000)
	}
	d, err := readDay(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got := d.clusters(clusterRooms, clusterWindow)
	if len(got) != 1 || len(got[0].rooms) != clusterRooms || got[0].toMs != dayStart+900_000 {
		t.Errorf("clusters = %+v, want one of %d rooms until 900 s", got, clusterRooms)
	}
	if more := d.clusters(clusterRooms+1, clusterWindow); len(more) != 0 {
		t.Errorf("%d rooms made a cluster of %d", clusterRooms, clusterRooms+1)
	}
}

func TestAnIncidentWithoutAnEndIsStillOpen(t *testing.T) {
	text := line1("event", 1, 0, 1, fmt.Sprintf(`,"type":"endpoint.offline","incident_id":"x","since_ms":%d`, dayStart)) + call(1, 1, 60, 0, 0, 0, "good", "") + call(2, 120, 1, 0, 0, 0, "good", "")
	if page := pageOf(t, []byte(text)); !strings.Contains(page, "| no answer | R/1 | 00:00 | 2.0 min (still) |") {
		t.Errorf("the page does not show the open incident:\n%s", page)
	}
}

func TestLinesThatAreNoRecordsAreLeftOutOrRefused(t *testing.T) {
	good := call(1, 1, 60, 0, 0, 0, "good", "")
	view := `{"schema":"roomcall.view/volc/1.0","id":"a.1.d1.view/volc.1","seq":1,"client_id":"a","device":"d1","ts_ms":1772409600000,"duration_s":"text"}` + "\n"
	d, err := readDay(strings.NewReader("online\n\n" + view + good))
	if err != nil || d.records != 2 || len(d.calls) != 1 {
		t.Errorf("records %+v, error %v, want 2 with one call", d, err)
	}
	for name, text := range map[string]string{"half a line": good + `{"id":`, "nothing": "online\n"} {
		if _, err := readDay(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheMostCallsAtOnceCountEndsBeforeBeginnings(t *testing.T) {
	d := day{calls: []record{{StartMs: 0, EndMs: 10}, {StartMs: 10, EndMs: 20}, {StartMs: 12, EndMs: 13}}}
	if n, at := d.peak(); n != 2 || at != 12 {
		t.Errorf("peak = %d at %d, want 2 at 12", n, at)
	}
}
