package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roomcall/agent/report/payload"
)

// base is the midnight UTC that the times of the records count from, in Unix seconds.
const base = 20_000 * 24 * 3600

// record is a sample or the call record of a call of room r1 of agent a that began at a
// second.
func record(kind string, seq, start, at int, more string) string {
	return fmt.Sprintf(`{"v":1,"schema":"roomcall.%s/1.0","id":"a.1.r1.%s.%d","epoch":1,"seq":%d,"ts_ms":%d,"ts":"","client_id":"a","site":"","room":"Room 1","device":"r1","call_id":"a.1.r1.%d"%s}`,
		kind, kind, seq, seq, (base+at)*1000, base+start, more)
}

// twoCalls is a finished call from 60 to 180, poor in its last minute, and one that runs
// since 300.
func twoCalls() string {
	var lines []string
	seq := 0
	sample := func(start, at int, grade string) {
		seq++
		more := `,"in_call":1,"poll_ok":1,"grade":"good","grade_code":1,"audio_send_bitrate_kbps":64,"audio_send_loss_pct":0`
		if grade == "poor" {
			more = `,"in_call":1,"poll_ok":1,"grade":"poor","grade_code":3,"grade_reasons":"audio_send_loss","audio_send_bitrate_kbps":64,"audio_send_loss_pct":12`
		}
		lines = append(lines, record("sample", seq, start, at, more))
	}
	for at := 60; at < 180; at += 5 {
		sample(60, at, map[bool]string{true: "poor"}[at >= 120])
	}
	lines = append(lines, record("call", 1, 60, 180, fmt.Sprintf(`,"start_ms":%d,"end_ms":%d`, (base+60)*1000, (base+180)*1000)))
	for at := 300; at < 330; at += 5 {
		sample(300, at, "")
	}
	return strings.Join(lines, "\n") + "\n"
}

type rig struct {
	t   *testing.T
	g   *gateway
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.jsonl")
	if err := os.WriteFile(path, []byte(twoCalls()), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: time.Unix(base+400, 0)}
	r.g = &gateway{records: fileRecords(path), now: func() time.Time { return r.now }}
	return r
}

// do sends a request and returns the status and the document.
func (r *rig) do(req *http.Request) (int, map[string]any) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.g.handler().ServeHTTP(w, req)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		r.t.Fatalf("%v in %s", err, w.Body)
	}
	return w.Code, doc
}

// get asks by GET; times in the query such as {60} count from base.
func (r *rig) get(path string) (int, map[string]any) {
	r.t.Helper()
	for s := range 4000 {
		path = strings.ReplaceAll(path, fmt.Sprintf("{%d}", s), fmt.Sprint(base+s))
	}
	return r.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func text(doc any, path ...string) string {
	for _, key := range path {
		m, _ := doc.(map[string]any)
		doc = m[key]
	}
	return fmt.Sprint(doc)
}

func TestZoomIsAnsweredAsItsDocumentSays(t *testing.T) {
	r := newRig(t)
	const qos = "/umeeting/metrics/participants/qos?api_key=k&api_secret=s"
	for _, c := range []struct {
		query   string
		status  int
		minutes int
	}{
		{"&uuid=a.1.r1.{60}&user_id=r1&type=past", 200, 2},
		{"&uuid=a.1.r1.{60}&user_id=a/r1&type=past", 200, 2},
		{"&uuid=a.1.r1.{300}&user_id=r1", 200, 1}, // live is the default
		{"&uuid=a.1.r1.{300}&user_id=r1&type=past", 404, 0},
		{"&uuid=a.1.r1.{60}&user_id=r1", 404, 0},
		{"&uuid=a.1.r1.{60}&user_id=r2&type=past", 200, 0},
		{"&user_id=r1", 400, 0},
		{"&uuid=a.1.r1.{60}", 400, 0},
		{"&uuid=a.1.r1.{60}&user_id=r1&type=next", 400, 0},
	} {
		status, doc := r.get(qos + c.query)
		data, isList := doc["data"].([]any)
		if status != c.status || text(doc, "status") != fmt.Sprint(c.status) || !isList || len(data) != c.minutes {
			t.Errorf("%s: %d %v", c.query, status, doc)
		}
	}
	r.g.keys = map[string]string{"k": "secret-1"}
	if status, _ := r.get(qos + "&uuid=a.1.r1.{60}&user_id=r1&type=past"); status != 401 {
		t.Errorf("a wrong api_secret: %d", status)
	}
}

func TestAgoraIsAnsweredAsItsDocumentSays(t *testing.T) {
	r := newRig(t)
	const span = "?start_ts={0}&end_ts={3600}&appid=x"
	for _, c := range []struct{ path, want string }{
		{"/beta/live/scale/by_time" + span + "&metric=pcu", fmt.Sprintf(`[map[pcu:1 ts:%d] map[pcu:1 ts:%d] map[pcu:1 ts:%d]]`, base+60, base+120, base+300)},
		{"/beta/live/net/by_time" + span + "&metric=audioUpstreamExcellentTransRate", fmt.Sprintf(`[map[audioUpstreamExcellentTransRate:100 ts:%d] map[audioUpstreamExcellentTransRate:0 ts:%d] map[audioUpstreamExcellentTransRate:100 ts:%d]]`, base+60, base+120, base+300)},
		{"/beta/live/experience/by_time" + span + "&metric=joinSuccessRate", "[]"},
		{"/beta/live/quality/videofreeze/user_count" + span, "[]"},
		{"/beta/bigchannel/live/quality/score" + span + "&cname=x", "[]"},
		{"/beta/insight/usage/by_time?start_ts={0}&end_ts=1728086400&appid=x&metric=sessionCount", fmt.Sprintf("[map[sessionCount:2 ts:%d]]", base)},
	} {
		status, doc := r.get(c.path)
		if got := strings.ReplaceAll(text(doc, "data"), "e+09", ""); status != 200 || text(doc, "code") != "200" || normal(got) != normal(c.want) {
			t.Errorf("%s: %d %v, want %s", c.path, status, doc, c.want)
		}
	}
	status, doc := r.get("/beta/live/diagnosis" + span)
	rows, _ := doc["data"].([]any)
	if status != 200 || len(rows) != 1 || text(rows[0], "exp_id") != "5" || text(rows[0], "cause_tags") != "[map[factor_id:22 host_user:]]" {
		t.Errorf("diagnosis: %v", doc)
	}
	_, doc = r.get("/beta/analytics/call/lists" + span)
	if calls, _ := doc["call_lists"].([]any); len(calls) != 2 || text(calls[0], "call_id") != fmt.Sprintf("a.1.r1.%d", base+300) || text(doc, "has_more") != "false" {
		t.Errorf("lists: %v", doc)
	}
	_, doc = r.get("/beta/analytics/call/details?start_ts={60}&end_ts={180}&appid=x&call_id=a.1.r1.{60}&exclude_metrics_info=true")
	if _, there := doc["metrics"]; there || text(doc, "call_id") != fmt.Sprintf("a.1.r1.%d", base+60) {
		t.Errorf("details: %v", doc)
	}
	for path, want := range map[string]int{
		"/beta/live/scale/by_time?start_ts={0}&end_ts={3600}&metric=pcu":       400,
		"/beta/live/scale/by_time?start_ts=x&end_ts={3600}&metric=pcu&appid=x": 400,
		"/beta/live/scale/by_time" + span:                                      400,
		"/beta/live/scale/by_time" + span + "&metric=joins":                    400,
		"/beta/analytics/call/details" + span:                                  400,
		"/beta/analytics/call/details" + span + "&call_id=none":                404,
		"/beta/analytics/feedback/reportV2?appid=x":                            404,
		"/beta/bigchannel/live/scale/user_count" + span:                        400,
	} {
		if status, doc := r.get(path); status != want || text(doc, "code") != fmt.Sprint(want) {
			t.Errorf("%s: %d %v, want %d", path, status, doc, want)
		}
	}
	r.g.keys = map[string]string{"k": "secret-1"}
	for secret, want := range map[string]int{"": 401, "wrong": 403, "secret-1": 200} {
		req := httptest.NewRequest(http.MethodGet, fmt.Sprintf("/beta/analytics/call/lists?start_ts=%d&end_ts=%d&appid=x", base, base+3600), nil)
		if secret != "" {
			req.SetBasicAuth("k", secret)
		}
		if status, _ := r.do(req); status != want {
			t.Errorf("secret %q: %d, want %d", secret, status, want)
		}
	}
	r.g.keys, r.g.records = nil, failing{}
	if status, _ := r.get("/beta/analytics/call/lists" + span); status != 500 {
		t.Errorf("records that cannot be read: %d", status)
	}
}

// normal writes numbers that fmt prints with an exponent and those without alike.
func normal(s string) string {
	var doc []string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("[]{} :", r) }) {
		var x float64
		if _, err := fmt.Sscanf(word, "%g", &x); err == nil && !strings.ContainsAny(word, "abcdfghijklmnopqrstuvwxyz") {
			if x < 10 && strings.Contains(word, ".") {
				x *= 1e9
			}
			word = fmt.Sprintf("%.0f", x)
		}
		doc = append(doc, word)
	}
	return strings.Join(doc, " ")
}

type failing struct{}

func (failing) read(context.Context, question) (io.ReadCloser, error) {
	return nil, errors.New("gone")
}

func (r *rig) volc(body string, sign func(*http.Request, string)) (int, map[string]any) {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/?Action=ListQuality&Version=2020-12-01", strings.NewReader(body))
	if sign != nil {
		sign(req, body)
	}
	return r.do(req)
}

// timed has the records of the time that a question is about, as the database does.
type timed struct{ fileRecords }

func (s timed) read(ctx context.Context, q question) (io.ReadCloser, error) {
	all, err := s.fileRecords.read(ctx, q)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	var out strings.Builder
	err = payload.ReadLines(all, nil, func(l *payload.Line) error {
		if l.TsMs >= q.since.UnixMilli() && l.TsMs < q.till.UnixMilli() {
			out.Write(l.Bytes)
			out.WriteByte('\n')
		}
		return nil
	})
	return io.NopCloser(strings.NewReader(out.String())), err
}

// A bucket that begins in the time asked for has all of its samples, also those after it.
func TestTheLastBucketIsWhole(t *testing.T) {
	for _, granularity := range []string{"5min", "1d"} {
		var replies []string
		for _, narrow := range []bool{false, true} {
			r := newRig(t)
			if narrow {
				r.g.records = timed{r.g.records.(fileRecords)}
			}
			_, doc := r.volc(`{"AppId":"x","StartTime":"2024-10-04T00:00:00Z","EndTime":"2024-10-04T00:02:00Z","Indicator":["poor_time_rate"],"AggregateGranularity":"`+granularity+`"}`, nil)
			replies = append(replies, text(doc["Result"], "Indicators"))
		}
		if replies[0] != replies[1] || replies[0] == "[]" {
			t.Errorf("%s: %s of all records, %s of those of the time", granularity, replies[0], replies[1])
		}
	}
}

// Three a second are three at once, too; one a minute is one a minute.
func TestRatesAreThoseOfTheDocuments(t *testing.T) {
	r := newRig(t)
	r.g.limits = true
	for every, want := range map[time.Duration]string{time.Second / 3: "[3 1 2]", time.Minute: "[1 0 0]"} {
		var counts []int
		for _, c := range []struct {
			after time.Duration
			asked int
		}{{0, 5}, {time.Second, 1}, {900 * time.Millisecond, 5}} {
			r.now = r.now.Add(c.after)
			n := 0
			for range c.asked {
				if !r.g.tooSoon(every.String(), every) {
					n++
				}
			}
			counts = append(counts, n)
		}
		if fmt.Sprint(counts) != want {
			t.Errorf("%v: %v, want %s", every, counts, want)
		}
	}
}

// manyRows is a table with a number of records.
type manyRows struct {
	pgx.Rows
	left int
}

func (m *manyRows) Next() bool        { m.left--; return m.left >= 0 }
func (m *manyRows) Scan(...any) error { return nil }
func (m *manyRows) Err() error        { return nil }
func (m *manyRows) Close()            {}
func (m *manyRows) read(context.Context, question) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(copyRows(w, m)) }()
	return r, nil
}

// A caller hears that a request reads too much, and what to do.
func TestARequestReadsABoundedNumberOfRecords(t *testing.T) {
	for rows, want := range map[int]int{maxRecords: 200, maxRecords + 1: 400} {
		r := newRig(t)
		r.g.records = &manyRows{left: rows}
		status, doc := r.get("/beta/analytics/call/lists?start_ts={0}&end_ts={60}&appid=x")
		if status != want || status == 400 && !strings.Contains(text(doc, "message"), "ask for a shorter time") {
			t.Errorf("%d records: %d %v", rows, status, doc)
		}
	}
}

// Agora's call details have 3 hours of data, with -limits here too.
func TestDetailsHaveThreeHoursWithLimits(t *testing.T) {
	for _, limits := range []bool{false, true} {
		r := newRig(t)
		lines := record("sample", 1, 0, 0, `,"poll_ok":1,"audio_send_bitrate_kbps":1`) + "\n" +
			record("sample", 2, 0, 3*3600, `,"poll_ok":1,"audio_send_bitrate_kbps":2`) + "\n" +
			record("sample", 3, 0, 3*3600+1, `,"poll_ok":1,"audio_send_bitrate_kbps":3`) + "\n"
		if err := os.WriteFile(string(r.g.records.(fileRecords)), []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		r.g.limits = limits
		_, doc := r.get(fmt.Sprintf("/beta/analytics/call/details?start_ts={0}&end_ts=%d&appid=x&call_id=a.1.r1.%d", base+4*3600, base))
		want := map[bool]int{false: 3, true: 2}[limits]
		series, _ := doc["metrics"].([]any)[0].(map[string]any)["data"].([]any)
		if kvs, _ := series[0].(map[string]any)["kvs"].([]any); len(kvs) != want {
			t.Errorf("limits %t: %v, want %d values", limits, kvs, want)
		}
	}
}

func TestVolcengineIsAnsweredAsItsDocumentSays(t *testing.T) {
	r := newRig(t)
	ask := func(more string) string {
		return `{"AppId":"x","StartTime":"2024-10-04T00:00:00+08:00","EndTime":"2024-10-05T00:00:00+08:00"` + more + `}`
	}
	status, doc := r.volc(ask(`,"Indicator":["poor_time_rate","stall_rate"],"AggregateGranularity":"1d"`), nil)
	got := text(doc["Result"], "Indicators")
	if status != 200 || got != "[map[Data:[map[TimeStamp:2024-10-04T00:00:00+08:00 Value:40]] Name:poor_time_rate Unit:%]]" || len(text(doc, "ResponseMetadata", "RequestId")) != 36 {
		t.Errorf("%d %v", status, doc)
	}
	// The list of its indicators is in another document: one that is not known here is absent.
	if status, doc := r.volc(ask(`,"Indicator":["video_stall_rate"],"AggregateGranularity":"1d"`), nil); status != 200 || text(doc["Result"], "Indicators") != "[]" {
		t.Errorf("%d %v", status, doc)
	}
	for body, code := range map[string]string{
		"no JSON":                           "InvalidParameter",
		ask(`,"AggregateGranularity":"1d"`): "MissingParameter",
		ask(`,"Indicator":["poor_time_rate"],"AggregateGranularity":"1h"`):                       "InvalidParameter",
		`{"AppId":"x","StartTime":"now","Indicator":["stall_rate"],"AggregateGranularity":"1d"}`: "InvalidParameter",
	} {
		if status, doc := r.volc(body, nil); status != 400 || text(doc, "ResponseMetadata", "Error", "Code") != code {
			t.Errorf("%s: %d %v", body, status, doc)
		}
	}
	for room, rows := range map[string]int{"Room 1": 1, "Room 2": 0} {
		_, doc := r.volc(ask(`,"Indicator":["poor_time_rate"],"AggregateGranularity":"1d","UserId":["a/r1"],"RoomId":"`+room+`"`), nil)
		if list, _ := doc["Result"].(map[string]any)["Indicators"].([]any); len(list) != rows {
			t.Errorf("%s: %v", room, doc)
		}
	}
}

func (r *rig) trtc(query string) map[string]any {
	r.t.Helper()
	_, doc := r.get("/?Action=DescribeCallDetail&Version=2019-07-22" + query)
	return doc
}

func TestTRTCIsAnsweredAsItsDocumentSays(t *testing.T) {
	r := newRig(t)
	const call = "&CommId=a.1.r1.{60}&StartTime={0}&EndTime={3600}&SdkAppId=1"
	doc := r.trtc(call)
	if text(doc, "Response", "Total") != "1" || text(doc, "Response", "Data") != "[]" || len(text(doc, "Response", "RequestId")) != 36 {
		t.Errorf("the user list alone: %v", doc)
	}
	doc = r.trtc(call + "&DataType.0=aBit")
	if data, _ := doc["Response"].(map[string]any)["Data"].([]any); len(data) != 1 || text(data[0], "UserId") != "a/r1" || len(data[0].(map[string]any)["Content"].([]any)) != 24 {
		t.Errorf("aBit: %v", doc)
	}
	if doc := r.trtc(call + "&PageNumber=1&PageSize=6"); text(doc, "Response", "UserList") != "[]" || text(doc, "Response", "Total") != "1" {
		t.Errorf("the second page: %v", doc)
	}
	for query, code := range map[string]string{
		"&StartTime={0}&EndTime={9}&SdkAppId=1":                                                       "MissingParameter.CommId",
		"&CommId=a&EndTime={9}&SdkAppId=1":                                                            "MissingParameter.StartTs",
		"&CommId=a&StartTime={0}&SdkAppId=1":                                                          "MissingParameter.EndTs",
		"&CommId=a&StartTime={0}&EndTime={9}":                                                         "MissingParameter.SdkAppId",
		"&CommId=a&StartTime=x&EndTime={9}&SdkAppId=1":                                                "InvalidParameter.StartTs",
		"&CommId=a&StartTime={9}&EndTime={1}&SdkAppId=1":                                              "InvalidParameter",
		"&CommId=a.1.r1.9&StartTime={0}&EndTime={9}&SdkAppId=1":                                       "InvalidParameter",
		call + "&DataType.0=x":                                                                        "InvalidParameter",
		call + "&PageNumber=0&PageSize=101":                                                           "InvalidParameter.PageSizeOversize",
		"&CommId=a.1.r1.{60}&StartTime={0}&EndTime={3601}&SdkAppId=1&DataType.0=all":                  "InvalidParameter.QueryScaleOversize",
		call + "&UserIds.0=1&UserIds.1=2&UserIds.2=3&UserIds.3=4&UserIds.4=5&UserIds.5=6&UserIds.6=7": "InvalidParameter.UserIdsMorethanSix",
	} {
		if doc := r.trtc(query); text(doc, "Response", "Error", "Code") != code {
			t.Errorf("%s: %v, want %s", query, doc, code)
		}
	}
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("no JSON"))
	req.Header.Set("X-TC-Action", "DescribeCallDetail")
	if _, doc := r.do(req); text(doc, "Response", "Error", "Code") != "InvalidParameter.BodyParamsError" {
		t.Errorf("%v", doc)
	}
	r.g.records = failing{}
	if doc := r.trtc(call); text(doc, "Response", "Error", "Code") != "InternalError.DBError" {
		t.Errorf("%v", doc)
	}
	r.g.limits, r.now = true, time.Unix(base+15*24*3600, 0)
	if doc := r.trtc(call); text(doc, "Response", "Error", "Code") != "InvalidParameter.StartTsOversize" {
		t.Errorf("%v", doc)
	}
}
