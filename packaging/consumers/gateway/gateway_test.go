package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roomcall/packaging/stricttest"
)

var postgres = flag.String("postgres", "", "an empty PostgreSQL database with the tables of ../postgres/schema.sql")

// noon is when the tests of single requests happen.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func day(t *testing.T) (*stricttest.Published, *stricttest.Book) {
	t.Helper()
	p, err := stricttest.Day()
	if err != nil {
		t.Fatal(err)
	}
	b, err := stricttest.Read(p.Records)
	if err != nil {
		t.Fatal(err)
	}
	return p, b
}

// small is a file with the records of one call and of nothing else.
func small(t *testing.T) (fileRecords, *stricttest.BookCall) {
	t.Helper()
	p, b := day(t)
	call := b.Calls[5]
	path := filepath.Join(t.TempDir(), "call.jsonl")
	if err := os.WriteFile(path, withID(p.Records, call.ID), 0o600); err != nil {
		t.Fatal(err)
	}
	return fileRecords(path), call
}

func serve(t *testing.T, g *gateway) *httptest.Server {
	if g.now == nil {
		g.now = func() time.Time { return noon }
	}
	s := httptest.NewServer(g.handler())
	t.Cleanup(s.Close)
	return s
}

// service asks a gateway as the documents say.
type service struct {
	t   *testing.T
	url string
}

func (s service) do(r *http.Request) (int, []byte, error) {
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(reply.Body)
	if kind := reply.Header.Get("Content-Type"); err == nil && !strings.HasPrefix(kind, "application/json") {
		err = fmt.Errorf("content type %q", kind)
	}
	return reply.StatusCode, b, err
}

func (s service) get(path string, v url.Values) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, s.url+path+"?"+v.Encode(), nil)
	if err != nil {
		return nil, err
	}
	code, b, err := s.do(r)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", r.URL, code, b)
	}
	return b, err
}

func (s service) Zoom(v url.Values) ([]byte, error) {
	return s.get("/umeeting/metrics/participants/qos", v)
}

func (s service) Agora(path string, v url.Values) ([]byte, error) { return s.get(path, v) }

func (s service) post(query string, body any, header map[string]string) (int, []byte, error) {
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/"+query, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range header {
		if r.Header.Set(k, v); k == "Host" {
			r.Host = v
		}
	}
	return s.do(r)
}

const listQuality = "?Action=ListQuality&Version=2020-12-01"

func (s service) Volc(q stricttest.VolcQuestion) ([]byte, error) {
	code, b, err := s.post(listQuality, q, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%d %s", code, b)
	}
	if err == nil && strings.Contains(string(b), `"RequestId":""`) {
		err = fmt.Errorf("no RequestId")
	}
	return b, err
}

var tcHeader = map[string]string{"X-TC-Action": "DescribeCallDetail", "X-TC-Version": "2019-07-22", "X-TC-Region": "ap-guangzhou"}

func (s service) TRTC(q stricttest.TRTCQuestion) ([]byte, error) {
	code, b, err := s.post("", q, tcHeader)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%d %s", code, b)
	}
	if err == nil && strings.Contains(string(b), `"RequestId":""`) {
		err = fmt.Errorf("no RequestId")
	}
	return b, err
}

// files has a file with all records, and for a question about one call another with the
// records of that call, as `grep CALL` gives it: reading the whole day for each of them
// takes minutes.
type files struct {
	day   []byte
	dir   string
	whole fileRecords
}

func (f *files) read(ctx context.Context, q question) (io.ReadCloser, error) {
	if q.call == "" {
		return f.whole.read(ctx, q)
	}
	path := filepath.Join(f.dir, "call.jsonl")
	if err := os.WriteFile(path, withID(f.day, q.call), 0o600); err != nil {
		return nil, err
	}
	return fileRecords(path).read(ctx, q)
}

// withID are the lines that have an id.
func withID(records []byte, id string) (lines []byte) {
	for line := range bytes.Lines(records) {
		if bytes.Contains(line, []byte(id)) {
			lines = append(lines, line...)
		}
	}
	return lines
}

func TestStrictClientsReadTheGatewayOverAFile(t *testing.T) {
	p, b := day(t)
	f := &files{day: p.Records, dir: t.TempDir()}
	f.whole = fileRecords(filepath.Join(f.dir, "day.jsonl"))
	if err := os.WriteFile(string(f.whole), p.Records, 0o600); err != nil {
		t.Fatal(err)
	}
	stricttest.Check(t, service{t, serve(t, &gateway{records: f}).URL}, b)
}

func TestStrictClientsReadTheGatewayOverPostgreSQL(t *testing.T) {
	if *postgres == "" {
		t.Skip("NOT RUN: no -postgres URL; `make interop` gives a database")
	}
	p, b := day(t)
	db, err := openDatabase(t.Context(), *postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer db.pool.Close()
	load(t, db, p.Records)
	s := service{t, serve(t, &gateway{records: db}).URL}
	stricttest.Check(t, s, b)

	// A call that no table has is unknown, not an empty reply.
	call := b.Calls[0]
	for _, path := range []string{"/beta/analytics/call/details?appid=a&call_id=nobody.1.x.1&start_ts=1772409600&end_ts=1772413200"} {
		r, _ := http.NewRequest(http.MethodGet, s.url+path, nil)
		if code, doc, err := s.do(r); err != nil || code != http.StatusNotFound {
			t.Errorf("%d %s %v", code, doc, err)
		}
	}
	// A call whose samples were deleted after a week has its minutes still.
	minutes := func() []stricttest.ZoomMinute {
		doc, err := s.Zoom(url.Values{"api_key": {"k"}, "api_secret": {"s"}, "uuid": {call.ID}, "user_id": {call.Place()}, "type": {"past"}})
		if err != nil {
			t.Fatal(err)
		}
		list, err := stricttest.Zoom(doc)
		if err != nil {
			t.Error(err)
		}
		return list
	}
	before := minutes()
	if _, err := db.pool.Exec(t.Context(), `delete from sample where call_id = $1`, call.ID); err != nil {
		t.Fatal(err)
	}
	if after := minutes(); len(before) == 0 || !reflect.DeepEqual(after, before) {
		t.Errorf("%d minutes, %d before", len(after), len(before))
	}
}

func load(t *testing.T, db *database, records []byte) {
	t.Helper()
	rows, seen := map[string][][]any{}, map[string]bool{}
	for line := range bytes.Lines(records) {
		var head struct{ ID, Schema string }
		if err := json.Unmarshal(line, &head); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(head.Schema, "roomcall."), "/")
		if !seen[head.ID] {
			seen[head.ID] = true
			rows[kind] = append(rows[kind], []any{head.ID, string(line)})
		}
	}
	for kind, list := range rows {
		if _, err := db.pool.CopyFrom(t.Context(), pgx.Identifier{kind}, []string{"id", "doc"}, pgx.CopyFromRows(list)); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
}

// answer is what a gateway replied.
type answer struct {
	code int
	body string
}

func ask(t *testing.T, s *httptest.Server, method, path string, change func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	code, b, err := service{t, s.URL}.do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer{code, string(b)}
}

func TestAgoraErrorsAreThoseOfItsDocument(t *testing.T) {
	file, call := small(t)
	s := serve(t, &gateway{records: file, keys: map[string]string{"id": "long-secret"}})
	known := func(r *http.Request) { r.SetBasicAuth("id", "long-secret") }
	const span = "?appid=a&start_ts=1772409600&end_ts=1772499600"
	for name, c := range map[string]struct {
		method, path string
		auth         func(*http.Request)
		want         int
	}{
		"no key":            {"GET", "/beta/analytics/call/lists" + span, nil, 401},
		"a wrong secret":    {"GET", "/beta/analytics/call/lists" + span, func(r *http.Request) { r.SetBasicAuth("id", "long-secreT") }, 403},
		"a key unknown":     {"GET", "/beta/analytics/call/lists" + span, func(r *http.Request) { r.SetBasicAuth("di", "") }, 403},
		"well":              {"GET", "/beta/analytics/call/lists" + span, known, 200},
		"no start_ts":       {"GET", "/beta/analytics/call/lists?appid=a&end_ts=1772499600", known, 400},
		"no end_ts":         {"GET", "/beta/analytics/call/lists?appid=a&start_ts=1772499600", known, 400},
		"no appid":          {"GET", "/beta/analytics/call/lists?start_ts=1772409600&end_ts=1772499600", known, 400},
		"a time in words":   {"GET", "/beta/analytics/call/lists?appid=a&start_ts=today&end_ts=1772499600", known, 400},
		"a negative time":   {"GET", "/beta/analytics/call/lists?appid=a&start_ts=-5&end_ts=1772499600", known, 400},
		"a reversed time":   {"GET", "/beta/analytics/call/lists?appid=a&start_ts=1772499600&end_ts=1772409600", known, 400},
		"no metric":         {"GET", "/beta/live/scale/by_time" + span, known, 400},
		"a metric unknown":  {"GET", "/beta/live/scale/by_time" + span + "&metric=pcu,pcx", known, 400},
		"no call_id":        {"GET", "/beta/analytics/call/details" + span, known, 400},
		"a call unknown":    {"GET", "/beta/analytics/call/details" + span + "&call_id=x", known, 404},
		"not at that time":  {"GET", "/beta/analytics/call/details?appid=a&start_ts=1572409600&end_ts=1572409601&call_id=" + call.ID, known, 404},
		"no cname":          {"GET", "/beta/bigchannel/live/scale/user_count" + span, known, 400},
		"no such interface": {"GET", "/beta/live/nothing" + span, known, 404},
		"a report":          {"POST", "/beta/analytics/feedback/reportV2?appid=a", known, 404},
		"a wrong method":    {"POST", "/beta/analytics/call/lists" + span, known, 404},
	} {
		got := ask(t, s, c.method, c.path, c.auth)
		var doc struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.code != c.want || doc.Code != c.want || c.want != 200 && doc.Message == "" {
			t.Errorf("%s: %d %s, want %d in both", name, got.code, got.body, c.want)
		}
		if strings.Contains(got.body, "long-secret") {
			t.Errorf("%s: the reply has the secret", name)
		}
	}
	// What a room's endpoint cannot know is an empty list.
	for _, path := range []string{"/beta/live/quality/videofreeze/user_count", "/beta/live/quality/slowjoining/user_count", "/beta/live/quality/joiningtrial/user_count",
		"/beta/bigchannel/live/quality/score", "/beta/bigchannel/live/quality/videofreeze/user_count", "/beta/bigchannel/live/scale/user_count"} {
		got := ask(t, s, "GET", path+span+"&cname=hub", known)
		if rows, err := stricttest.AgoraSeries([]byte(got.body), path); err != nil || len(rows) != 0 {
			t.Errorf("%s: %s %v", path, got.body, err)
		}
	}
	broken := serve(t, &gateway{records: fileRecords(filepath.Join(t.TempDir(), "none"))})
	if got := ask(t, broken, "GET", "/beta/analytics/call/lists"+span, nil); got.code != 500 || strings.Contains(got.body, "none") {
		t.Errorf("without records: %v", got)
	}
}

func TestZoomRefusesWhatIsMissingOrWrong(t *testing.T) {
	file, call := small(t)
	s := serve(t, &gateway{records: file, keys: map[string]string{"id": "long-secret"}})
	good := url.Values{"api_key": {"id"}, "api_secret": {"long-secret"}, "uuid": {call.ID}, "user_id": {call.Device}, "type": {"past"}}
	for name, c := range map[string]struct {
		key, value string
		want       int
	}{
		"well": {"", "", 200}, "no uuid": {"uuid", "", 400}, "no user_id": {"user_id", "", 400}, "no key": {"api_key", "", 400}, "no secret": {"api_secret", "", 400},
		"a wrong secret": {"api_secret", "long-secreT", 401}, "a type unknown": {"type", "all", 400}, "a meeting unknown": {"uuid", "x", 404},
		"a meeting that is over": {"type", "live", 404}, "live is meant": {"type", "", 404}, "uuid twice encoded": {"uuid", url.QueryEscape(call.ID), 200},
	} {
		v := url.Values{}
		for k, x := range good {
			v[k] = x
		}
		if c.key != "" {
			v.Set(c.key, c.value)
		}
		got := ask(t, s, "GET", "/umeeting/metrics/participants/qos?"+v.Encode(), nil)
		var doc struct {
			Status  int
			Message string
			Data    []any
		}
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.code != c.want || doc.Status != c.want || doc.Data == nil || (len(doc.Data) > 0) != (c.want == 200) {
			t.Errorf("%s: %d %.200s, want %d", name, got.code, got.body, c.want)
		}
	}
}

func TestTRTCErrorsAreThoseOfItsDocument(t *testing.T) {
	file, call := small(t)
	s := serve(t, &gateway{records: file, limits: false})
	good := map[string]any{"CommId": call.ID, "StartTime": call.Start, "EndTime": call.End, "SdkAppId": "1400188366", "DataType": []string{"all"}}
	for name, c := range map[string]struct {
		change map[string]any
		want   string
	}{
		"well":                       {nil, ""},
		"no CommId":                  {map[string]any{"CommId": nil}, "MissingParameter.CommId"},
		"no StartTime":               {map[string]any{"StartTime": nil}, "MissingParameter.StartTs"},
		"no EndTime":                 {map[string]any{"EndTime": nil}, "MissingParameter.EndTs"},
		"no SdkAppId":                {map[string]any{"SdkAppId": nil}, "MissingParameter.SdkAppId"},
		"StartTime in words":         {map[string]any{"StartTime": "now"}, "InvalidParameter.StartTs"},
		"EndTime before":             {map[string]any{"EndTime": call.Start - 1}, "InvalidParameter"},
		"more than an hour of data":  {map[string]any{"EndTime": call.Start + 3601}, "InvalidParameter.QueryScaleOversize"},
		"an hour of data":            {map[string]any{"EndTime": call.Start + 3600}, ""},
		"a day of users":             {map[string]any{"EndTime": call.Start + 86400, "DataType": []string{}}, ""},
		"seven users":                {map[string]any{"UserIds": []string{"1", "2", "3", "4", "5", "6", "7"}}, "InvalidParameter.UserIdsMorethanSix"},
		"a page of 101":              {map[string]any{"PageNumber": "0", "PageSize": "101", "DataType": []string{}}, "InvalidParameter.PageSizeOversize"},
		"a page of 100":              {map[string]any{"PageNumber": "0", "PageSize": "100", "DataType": []string{}}, ""},
		"numbers in place of texts":  {map[string]any{"PageNumber": 0, "PageSize": 6, "SdkAppId": 1400188366}, ""},
		"a page before the first":    {map[string]any{"PageNumber": "-1", "PageSize": "6"}, "InvalidParameter"},
		"a page of none":             {map[string]any{"PageNumber": "0", "PageSize": "0"}, "InvalidParameter"},
		"a data type unknown":        {map[string]any{"DataType": []string{"aBit", "xBit"}}, "InvalidParameter"},
		"a data type that is absent": {map[string]any{"DataType": []string{"appCpu"}}, ""},
		"a call unknown":             {map[string]any{"CommId": "x"}, "InvalidParameter"},
	} {
		q := map[string]any{}
		for k, v := range good {
			q[k] = v
		}
		for k, v := range c.change {
			q[k] = v
		}
		code, body, err := service{t, s.URL}.post("", q, tcHeader)
		if err != nil || code != 200 {
			t.Errorf("%s: %d %v", name, code, err)
		}
		if c.want == "" {
			if _, err := stricttest.TRTC(body, 100, "all"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if got, _, err := stricttest.TRTCError(body); err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", name, body, err, c.want)
		}
	}
	// The body is no JSON; another action; a GET with the names in the query.
	_, body, _ := service{t, s.URL}.post("", []byte("{"), tcHeader)
	if got, _, err := stricttest.TRTCError(body); err != nil || got != "InvalidParameter.BodyParamsError" {
		t.Errorf("%s %v", body, err)
	}
	_, body, _ = service{t, s.URL}.post("", good, map[string]string{"X-TC-Action": "DescribeRoomInformation", "X-TC-Version": "2019-07-22"})
	if got, _, err := stricttest.TRTCError(body); err != nil || got != "InvalidAction" {
		t.Errorf("%s %v", body, err)
	}
	v := url.Values{"Action": {"DescribeCallDetail"}, "Version": {"2019-07-22"}, "Region": {"ap-guangzhou"}, "CommId": {call.ID}, "StartTime": {fmt.Sprint(call.Start)},
		"EndTime": {fmt.Sprint(call.End)}, "SdkAppId": {"1400188366"}, "DataType.0": {"aBit"}, "DataType.1": {"aLoss"}, "UserIds.0": {call.Place()}}
	reply, err := stricttest.TRTC([]byte(ask(t, s, "GET", "/?"+v.Encode(), nil).body), 6, "aBit", "aLoss")
	if err != nil || len(reply.Data) != 4 {
		t.Errorf("%d series, %v", len(reply.Data), err)
	}
}

func TestVolcengineErrorsHaveItsEnvelope(t *testing.T) {
	file, _ := small(t)
	s := serve(t, &gateway{records: file})
	good := map[string]any{"AppId": "a", "StartTime": "2026-03-02T00:00:00+08:00", "EndTime": "2026-03-03T00:00:00+08:00", "Indicator": []string{"poor_time_rate"}, "AggregateGranularity": "1d"}
	for name, c := range map[string]struct {
		query  string
		change map[string]any
		want   string
	}{
		"well":                  {listQuality, nil, ""},
		"a user as a text":      {listQuality, map[string]any{"RoomId": "hub", "UserId": "hub"}, ""},
		"no AppId":              {listQuality, map[string]any{"AppId": ""}, "MissingParameter"},
		"no Indicator":          {listQuality, map[string]any{"Indicator": []string{}}, "MissingParameter"},
		"no granularity":        {listQuality, map[string]any{"AggregateGranularity": ""}, "MissingParameter"},
		"a granularity unknown": {listQuality, map[string]any{"AggregateGranularity": "1h"}, "InvalidParameter"},
		"an indicator unknown":  {listQuality, map[string]any{"Indicator": []string{"luck"}}, ""},
		"a time without a zone": {listQuality, map[string]any{"StartTime": "2026-03-02 00:00:00"}, "InvalidParameter"},
		"no time between":       {listQuality, map[string]any{"EndTime": "2026-03-02T00:00:00+08:00"}, "InvalidParameter"},
		"a number as a time":    {listQuality, map[string]any{"StartTime": 5}, "InvalidParameter"},
		"another action":        {"?Action=ListRoom&Version=2020-12-01", nil, "InvalidActionOrVersion"},
		"another version":       {"?Action=ListQuality&Version=2023-11-01", nil, "InvalidActionOrVersion"},
	} {
		q := map[string]any{}
		for k, v := range good {
			q[k] = v
		}
		for k, v := range c.change {
			q[k] = v
		}
		code, body, err := service{t, s.URL}.post(c.query, q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" {
			if _, err := stricttest.Volc(body, "1d", time.FixedZone("", 8*3600)); err != nil || code != 200 {
				t.Errorf("%s: %d %v", name, code, err)
			}
			continue
		}
		if got, _, err := stricttest.VolcError(body); err != nil || got != c.want || code < 400 || code >= 500 {
			t.Errorf("%s: %d %s %v, want %s", name, code, body, err, c.want)
		}
	}
	for _, path := range []string{"/", "/?Action="} {
		if got := ask(t, s, "POST", path, nil); got.code != 404 {
			t.Errorf("%s: %v", path, got)
		}
	}
	if code, _, _ := (service{t, s.URL}).post(listQuality, bytes.Repeat([]byte(" "), maxBody+1), nil); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body beyond the bound: %d", code)
	}
}

// TestDaysOfVolcengineHaveTheOffsetThatWasAskedFor: on a machine whose own zone has summer
// time, too.
func TestDaysOfVolcengineHaveTheOffsetThatWasAskedFor(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Skip("NOT RUN: this machine has no time zones")
	}
	was := time.Local
	time.Local = zone
	defer func() { time.Local = was }()
	path := filepath.Join(t.TempDir(), "summer.jsonl")
	at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	line := fmt.Sprintf(`{"v":1,"schema":"roomcall.sample/1.0","id":"a.1.r.sample.1","epoch":1,"seq":1,"ts_ms":%d,"ts":"x","client_id":"a","site":"","room":"","device":"r","vendor":"huawei","poll_ok":1,"poll_ms":1,"endpoint_state":"in_call","endpoint_state_code":1,"in_call":1,"call_id":"a.1.r.%d","grade":"good","grade_code":1}`, at.UnixMilli(), at.Unix())
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	q := stricttest.VolcQuestion{AppID: "a", StartTime: "2026-03-01T00:00:00+01:00", EndTime: "2026-07-03T00:00:00+01:00", Indicator: []string{"poor_time_rate"}, Granularity: "1d"}
	doc, err := service{t, serve(t, &gateway{records: fileRecords(path)}).URL}.Volc(q)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stricttest.Volc(doc, "1d", time.FixedZone("", 3600))
	if err != nil || len(got) != 1 || len(got[0].Data) != 1 {
		t.Errorf("%s %v", doc, err)
	}
}

// sha and mac are the two steps of both ways to sign, written down once more.
func sha(text []byte) string { h := sha256.Sum256(text); return hex.EncodeToString(h[:]) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signTencent signs as "TC3-HMAC-SHA256" of Tencent Cloud's API 3.0 says.
func signTencent(key, secret, host, body string, at time.Time) map[string]string {
	date, stamp := at.UTC().Format("2006-01-02"), fmt.Sprint(at.Unix())
	canonical := "POST\n/\n\ncontent-type:application/json; charset=utf-8\nhost:" + host + "\nx-tc-action:describecalldetail\n\ncontent-type;host;x-tc-action\n" + sha([]byte(body))
	text := "TC3-HMAC-SHA256\n" + stamp + "\n" + date + "/trtc/tc3_request\n" + sha([]byte(canonical))
	signature := hex.EncodeToString(mac(mac(mac(mac([]byte("TC3"+secret), date), "trtc"), "tc3_request"), text))
	return map[string]string{"X-TC-Action": "DescribeCallDetail", "X-TC-Version": "2019-07-22", "X-TC-Region": "ap-guangzhou", "X-TC-Timestamp": stamp, "Host": host,
		"Authorization": "TC3-HMAC-SHA256 Credential=" + key + "/" + date + "/trtc/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=" + signature}
}

// signVolcano signs as "HMAC-SHA256" of Volcengine's OpenAPI says.
func signVolcano(key, secret, host, body string, at time.Time) map[string]string {
	stamp := at.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/cn-north-1/rtc/request"
	canonical := "POST\n/\nAction=ListQuality&Version=2020-12-01\ncontent-type:application/json; charset=utf-8\nhost:" + host + "\nx-content-sha256:" + sha([]byte(body)) + "\nx-date:" + stamp +
		"\n\ncontent-type;host;x-content-sha256;x-date\n" + sha([]byte(body))
	text := "HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + sha([]byte(canonical))
	signature := hex.EncodeToString(mac(mac(mac(mac(mac([]byte(secret), stamp[:8]), "cn-north-1"), "rtc"), "request"), text))
	return map[string]string{"X-Date": stamp, "X-Content-Sha256": sha([]byte(body)), "Host": host,
		"Authorization": "HMAC-SHA256 Credential=" + key + "/" + scope + ", SignedHeaders=content-type;host;x-content-sha256;x-date, Signature=" + signature}
}

func TestSignaturesAreChecked(t *testing.T) {
	file, call := small(t)
	s := serve(t, &gateway{records: file, keys: map[string]string{"AKID": "long-secret", "other": "other-secret"}})
	volcBody := `{"AppId":"a","StartTime":"2026-03-02T00:00:00+08:00","EndTime":"2026-03-03T00:00:00+08:00","Indicator":["poor_time_rate"],"AggregateGranularity":"1d"}`
	tcBody := fmt.Sprintf(`{"CommId":%q,"StartTime":%d,"EndTime":%d,"SdkAppId":"1"}`, call.ID, call.Start, call.End)
	for name, c := range map[string]struct {
		key, secret string
		at          time.Time
		sent        string // added to the body after signing
		drop        string // this header after signing
		want        bool
	}{
		"right":                {"AKID", "long-secret", noon, "", "", true},
		"four minutes old":     {"AKID", "long-secret", noon.Add(-4 * time.Minute), "", "", true},
		"four minutes early":   {"AKID", "long-secret", noon.Add(4 * time.Minute), "", "", true},
		"six minutes old":      {"AKID", "long-secret", noon.Add(-6 * time.Minute), "", "", false},
		"six minutes early":    {"AKID", "long-secret", noon.Add(6 * time.Minute), "", "", false},
		"a day old":            {"AKID", "long-secret", noon.Add(-24 * time.Hour), "", "", false},
		"a wrong secret":       {"AKID", "long-secreT", noon, "", "", false},
		"the secret of others": {"AKID", "other-secret", noon, "", "", false},
		"a key unknown":        {"nobody", "long-secret", noon, "", "", false},
		"no secret":            {"nobody", "", noon, "", "", false},
		"an altered body":      {"AKID", "long-secret", noon, " ", "", false},
		"no signature":         {"AKID", "long-secret", noon, "", "Authorization", false},
		"no date":              {"AKID", "long-secret", noon, "", "X-TC-Timestamp X-Date", false},
		"another host":         {"AKID", "long-secret", noon, "", "Host", false},
	} {
		send := func(query, body string, header map[string]string) (int, []byte) {
			for _, h := range strings.Fields(c.drop) {
				delete(header, h)
			}
			code, reply, err := service{t, s.URL}.post(query, []byte(body+c.sent), header)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(reply, []byte("secret")) {
				t.Errorf("%s: the reply tells of the secret: %s", name, reply)
			}
			return code, reply
		}
		_, reply := send("", tcBody, signTencent(c.key, c.secret, "trtc.example.com", tcBody, c.at))
		if c.want {
			if _, err := stricttest.TRTC(reply, 6); err != nil {
				t.Errorf("%s, Tencent: %s", name, reply)
			}
		} else if code, _, err := stricttest.TRTCError(reply); err != nil || code != "AuthFailure.SignatureFailure" {
			t.Errorf("%s, Tencent: %s", name, reply)
		}
		status, reply := send(listQuality, volcBody, signVolcano(c.key, c.secret, "rtc.example.com", volcBody, c.at))
		if c.want != (status == 200) {
			t.Errorf("%s, Volcengine: %d %s", name, status, reply)
		}
		if code, _, err := stricttest.VolcError(reply); !c.want && (err != nil || code != "SignatureDoesNotMatch" || status != 401) {
			t.Errorf("%s, Volcengine: %d %s", name, status, reply)
		}
	}
	// A caller that cannot sign uses basic authentication.
	basic := map[string]string{"Authorization": "Basic QUtJRDpsb25nLXNlY3JldA=="}
	if code, reply, _ := (service{t, s.URL}).post(listQuality, []byte(volcBody), basic); code != 200 {
		t.Errorf("%d %s", code, reply)
	}
}

// TestLimitsAreNamedAndEnforcedOnlyOnRequest: -limits.
func TestLimitsAreNamedAndEnforcedOnlyOnRequest(t *testing.T) {
	file, call := small(t)
	start := time.Unix(call.Start, 0)
	for _, limits := range []bool{false, true} {
		now := start.Add(time.Hour)
		s := serve(t, &gateway{records: file, limits: limits, now: func() time.Time { return now }})
		span := func(from time.Time) string {
			return fmt.Sprintf("?appid=a&start_ts=%d&end_ts=%d&metric=pcu", from.Unix(), from.Unix()+60)
		}
		scale := func(from time.Time) int { return ask(t, s, "GET", "/beta/live/scale/by_time"+span(from), nil).code }
		want := map[bool][]int{false: {200, 200, 200, 200}, true: {200, 400, 200, 400}}[limits]
		got := []int{scale(start), scale(start)}
		now = now.Add(time.Minute)
		got = append(got, scale(start.Add(time.Minute)))
		now = now.Add(time.Minute)
		got = append(got, scale(start))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limits %t: a second request within a minute, the next minute, beyond the last hour: %v, want %v", limits, got, want)
		}
		q := stricttest.TRTCQuestion{CommID: call.ID, StartTime: call.Start, EndTime: call.End, SdkAppID: "1"}
		now = start.Add(15 * 24 * time.Hour)
		doc, err := service{t, s.URL}.TRTC(q)
		if code, _, _ := stricttest.TRTCError(doc); err != nil || limits != (code == "InvalidParameter.StartTsOversize") {
			t.Errorf("limits %t: 15 days ago: %s", limits, doc)
		}
		body := []byte(`{"AppId":"a","StartTime":"2026-03-01T00:00:00+08:00","EndTime":"2026-03-09T00:00:00+08:00","Indicator":["poor_time_rate"],"AggregateGranularity":"1d"}`)
		if code, doc, _ := (service{t, s.URL}).post(listQuality, body, nil); (code == 400) != limits {
			t.Errorf("limits %t: 8 days at once: %d %s", limits, code, doc)
		}
	}
}

func TestKeysAreReadFromAFile(t *testing.T) {
	for text, want := range map[string]string{
		"# ours\n\nid:long-secret\r\nb:with:colon:s\n": "", "id\n": "KEY:SECRET", "id:short\n": "at least 8", ":long-secret\n": "KEY:SECRET", "# none\n": "has none",
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := readKeys(path)
		if want == "" && (err != nil || keys["id"] != "long-secret" || keys["b"] != "with:colon:s") || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "long-secret")) {
			t.Errorf("%q: %v %v", text, keys, err)
		}
	}
}

// TestWhatOthersCanReachNeedsKeys: without -keys only loopback answers; wrong choices end
// the start.
func TestWhatOthersCanReachNeedsKeys(t *testing.T) {
	file, _ := small(t)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for address, want := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": false, ":0": false} {
		err := run(done, []string{"-records", string(file), "-listen", address})
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "-keys") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := run(done, []string{"-records", string(file), "-keys", filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a file of keys that is not there was accepted")
	}
	for _, args := range [][]string{{"-nonsense"}, {"-records", string(file), "more"}} {
		if err := run(done, args); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want wrong usage", args, err)
		}
	}
	if err := run(done, []string{"-records", filepath.Join(t.TempDir(), "none")}); err == nil || errors.Is(err, errUsage) {
		t.Errorf("a file of records that is not there: %v", err)
	}
}

// TestRecordsThatCannotBeReadAreLeftOut: a line that was cut off keeps nobody from the rest.
func TestRecordsThatCannotBeReadAreLeftOut(t *testing.T) {
	file, call := small(t)
	f, err := os.OpenFile(string(file), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"v":1,"schema":"roomcall.sample/1.0","id":"cut`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := service{t, serve(t, &gateway{records: file}).URL}
	doc, err := s.TRTC(stricttest.TRTCQuestion{CommID: call.ID, StartTime: call.Start, EndTime: call.End, SdkAppID: "1", DataType: []string{"all"}})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := stricttest.TRTC(doc, 6, "all"); err != nil || len(reply.Data) == 0 {
		t.Errorf("%d series, %v", len(reply.Data), err)
	}
}
