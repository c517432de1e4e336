package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
)

// gateway answers the requests of the four services.
type gateway struct {
	records source
	keys    map[string]string // secrets by key, nil = everybody may ask
	limits  bool              // enforce the services' limits
	now     func() time.Time

	mu    sync.Mutex // guards asked
	asked map[string][]time.Time
}

func (g *gateway) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /umeeting/metrics/participants/qos", g.zoom)
	for _, e := range agoraEndpoints {
		mux.HandleFunc("GET "+e.path, func(w http.ResponseWriter, r *http.Request) { g.agora(w, r, e) })
	}
	mux.HandleFunc("/beta/", func(w http.ResponseWriter, r *http.Request) {
		agoraError(w, http.StatusNotFound, "this interface is not served: a room's endpoint has nothing for it")
	})
	mux.HandleFunc("/{$}", g.action)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

// convert makes the document of a request.
func (g *gateway) convert(ctx context.Context, to string, q question, o view.Options) ([]byte, error) {
	in, err := g.records.read(ctx, q)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	doc, err := view.Convert(to, in, o)
	var bad *payload.BadLinesError
	if errors.As(err, &bad) {
		slog.Warn("records cannot be read and are left out", "lines", bad.Bad)
		err = nil
	}
	return doc, err
}

// tooSoon reports whether a caller asks an interface more often than its document
// allows; only with -limits.
func (g *gateway) tooSoon(name string, every time.Duration) bool {
	if !g.limits || every == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[string][]time.Time{}
	}
	// Several a second may come at once.
	per, most := max(every, time.Second), max(1, int(time.Second/every))
	list := slices.DeleteFunc(g.asked[name], func(t time.Time) bool { return g.now().Sub(t) >= per })
	soon := len(list) >= most
	if !soon {
		list = append(list, g.now())
	}
	g.asked[name] = list
	return soon
}

func reply(w http.ResponseWriter, status int, doc any) {
	b, ok := doc.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(doc); err != nil {
			status, b = http.StatusInternalServerError, []byte("{}")
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the caller is gone
}

// trouble turns an error of convert into a status and a text for the caller.
func trouble(err error) (int, string) {
	var refused *view.RequestError
	var several *view.SeveralCallsError
	switch {
	case errors.As(err, &refused), errors.As(err, &several):
		return http.StatusBadRequest, strings.TrimPrefix(err.Error(), "convert: ")
	case errors.Is(err, errTooMany):
		return http.StatusBadRequest, errTooMany.Error()
	case errors.Is(err, view.ErrNoCall):
		return http.StatusNotFound, strings.TrimPrefix(err.Error(), "convert: ")
	default:
		slog.Error("a request failed", "err", err)
		return http.StatusInternalServerError, "the records cannot be read; see the gateway's log"
	}
}

// seconds reads a Unix time in seconds.
func seconds(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<33 {
		return time.Time{}, fmt.Errorf("%q is not a time in Unix seconds", text)
	}
	return time.Unix(n, 0), nil
}

// untilEnd is a time with all of its second.
func untilEnd(t time.Time) time.Time { return t.Add(time.Second - time.Millisecond) }

// zoom answers umeeting's participant QoS: one meeting, one participant.
func (g *gateway) zoom(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		reply(w, status, view.Zoom{Status: status, Message: message, Data: []view.ZoomMinute{}})
	}
	v := r.URL.Query()
	for _, name := range []string{"api_key", "api_secret", "uuid", "user_id"} {
		if v.Get(name) == "" {
			refuse(http.StatusBadRequest, name+" is missing")
			return
		}
	}
	if g.keys != nil && !g.knows(v.Get("api_key"), v.Get("api_secret")) {
		refuse(http.StatusUnauthorized, "api_key or api_secret is wrong")
		return
	}
	part := v.Get("type")
	switch part {
	case "":
		part = "live"
	case "live", "past":
	default:
		refuse(http.StatusBadRequest, `type is "live" or "past"`)
		return
	}
	uuid := v.Get("uuid")
	if again, err := url.QueryUnescape(uuid); err == nil && strings.Contains(uuid, "%") {
		uuid = again // some callers encode it twice
	}
	doc, err := g.convert(r.Context(), "zoom", question{call: uuid}, view.Options{Part: part, Call: uuid, Devices: []string{v.Get("user_id")}})
	if err != nil {
		refuse(trouble(err))
		return
	}
	reply(w, http.StatusOK, doc)
}

// agoraEndpoint is one interface of Agora Analytics.
type agoraEndpoint struct {
	path, part string
	what       what
	every      time.Duration // between two requests, by its document
	back       time.Duration // how far back it answers, by its document
	metric     bool          // metric must be given
	absent     bool          // nothing is known here: the list is empty
	cname      bool          // cname must be given
}

var agoraEndpoints = []agoraEndpoint{
	{path: "/beta/live/scale/by_time", part: "scale", every: time.Minute, back: time.Hour, metric: true},
	{path: "/beta/live/experience/by_time", part: "experience", every: time.Minute, back: time.Hour, metric: true},
	{path: "/beta/live/net/by_time", part: "net", every: time.Minute, back: time.Hour, metric: true},
	{path: "/beta/live/diagnosis", part: "diagnosis", every: time.Minute, back: time.Hour},
	{path: "/beta/live/quality/videofreeze/user_count", absent: true, every: time.Minute, back: time.Hour},
	{path: "/beta/live/quality/slowjoining/user_count", absent: true, every: time.Minute, back: time.Hour},
	{path: "/beta/live/quality/joiningtrial/user_count", absent: true, every: time.Minute, back: time.Hour},
	{path: "/beta/bigchannel/live/quality/score", absent: true, cname: true, every: time.Minute, back: time.Hour},
	{path: "/beta/bigchannel/live/quality/videofreeze/user_count", absent: true, cname: true, every: time.Minute, back: time.Hour},
	{path: "/beta/bigchannel/live/scale/user_count", absent: true, cname: true, every: time.Minute, back: time.Hour},
	{path: "/beta/insight/usage/by_time", part: "usage", what: starts, every: time.Minute, back: 7 * 24 * time.Hour, metric: true},
	{path: "/beta/analytics/call/lists", part: "lists", what: calls, every: time.Second / 3, back: 3 * 24 * time.Hour},
	{path: "/beta/analytics/call/details", part: "details", every: time.Second, back: 3 * 24 * time.Hour},
}

// detailsRange is how much data Agora's call details have at most.
const detailsRange = 3 * time.Hour

func agoraError(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]any{"code": status, "message": message})
}

// agora answers one interface of Agora Analytics.
func (g *gateway) agora(w http.ResponseWriter, r *http.Request, e agoraEndpoint) {
	if status := g.basic(r); status != 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="roomcall"`)
		agoraError(w, status, "the key or its secret is missing or wrong")
		return
	}
	v := r.URL.Query()
	required := []string{"start_ts", "end_ts", "appid"}
	if e.metric {
		required = append(required, "metric")
	}
	if e.cname {
		required = append(required, "cname")
	}
	if e.part == "details" {
		required = append(required, "call_id")
	}
	for _, name := range required {
		if v.Get(name) == "" {
			agoraError(w, http.StatusBadRequest, name+" is missing")
			return
		}
	}
	start, err := seconds(v.Get("start_ts"))
	end, err2 := seconds(v.Get("end_ts"))
	if err := errors.Join(err, err2); err != nil {
		agoraError(w, http.StatusBadRequest, strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	if g.limits && g.now().Sub(start) > e.back {
		agoraError(w, http.StatusBadRequest, fmt.Sprintf("only the last %v can be asked for", e.back))
		return
	}
	if g.tooSoon(e.path, e.every) {
		agoraError(w, http.StatusBadRequest, "too many requests")
		return
	}
	if e.absent {
		reply(w, http.StatusOK, map[string]any{"code": 200, "message": "success", "data": []int{}})
		return
	}
	o := view.Options{Part: e.part, Since: start, Until: untilEnd(end), Room: v.Get("cname"), Call: v.Get("call_id"), Approximate: true}
	if m := v.Get("metric"); m != "" {
		o.Metrics = strings.FieldsFunc(m, func(r rune) bool { return r == ',' || r == ' ' })
	}
	if e.part == "details" && v.Get("exclude_metrics_info") == "true" {
		o.Metrics = []string{view.NoMetrics}
	}
	if end := start.Add(detailsRange); g.limits && e.part == "details" && end.Before(o.Until) {
		o.Until = end
	}
	doc, err := g.convert(r.Context(), "agora", question{call: o.Call, since: start.Truncate(time.Minute), till: end.Truncate(time.Minute).Add(time.Minute), what: e.what}, o)
	if err != nil {
		status, message := trouble(err)
		agoraError(w, status, message)
		return
	}
	reply(w, http.StatusOK, doc)
}

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// action answers the two services that name what they want by Action.
func (g *gateway) action(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, map[string]any{"message": "the body cannot be read or is too large"})
		return
	}
	switch action := r.URL.Query().Get("Action"); {
	case r.Header.Get("X-TC-Action") != "" || action == "DescribeCallDetail":
		g.trtc(w, r, body)
	case action != "":
		g.volc(w, r, body)
	default:
		reply(w, http.StatusNotFound, map[string]any{"message": "no Action that is known here"})
	}
}

// volcRequest is the body of ListQuality.
type volcRequest struct {
	AppID       string `json:"AppId"`
	StartTime   string
	EndTime     string
	Indicator   []string
	Granularity string   `json:"AggregateGranularity"`
	RoomID      string   `json:"RoomId"`
	UserID      oneOrAll `json:"UserId"`
}

// oneOrAll is a text or a list of texts: the document's table has a list, its example
// a text.
type oneOrAll []string

func (l *oneOrAll) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = oneOrAll{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

const maxVolcUsers = 20

// volc answers ListQuality.
func (g *gateway) volc(w http.ResponseWriter, r *http.Request, body []byte) {
	action, version := r.URL.Query().Get("Action"), r.URL.Query().Get("Version")
	refuse := func(status int, code, message string) {
		reply(w, status, map[string]any{"ResponseMetadata": map[string]any{
			"RequestId": requestID(), "Action": action, "Version": version, "Service": "rtc", "Region": "",
			"Error": map[string]any{"Code": code, "Message": message},
		}})
	}
	if err := g.signed(volcano, r, body); err != nil {
		refuse(http.StatusUnauthorized, "SignatureDoesNotMatch", err.Error())
		return
	}
	if r.Method != http.MethodPost || action != "ListQuality" || version != "2020-12-01" {
		refuse(http.StatusNotFound, "InvalidActionOrVersion", "only POST with Action=ListQuality and Version=2020-12-01 is served")
		return
	}
	var q volcRequest
	if err := json.Unmarshal(body, &q); err != nil {
		refuse(http.StatusBadRequest, "InvalidParameter", "the body is not JSON of ListQuality: "+err.Error())
		return
	}
	for name, missing := range map[string]bool{"AppId": q.AppID == "", "Indicator": len(q.Indicator) == 0, "AggregateGranularity": q.Granularity == ""} {
		if missing {
			refuse(http.StatusBadRequest, "MissingParameter", name+" is missing")
			return
		}
	}
	start, err := time.Parse(time.RFC3339, q.StartTime)
	end, err2 := time.Parse(time.RFC3339, q.EndTime)
	switch {
	case err != nil || err2 != nil:
		refuse(http.StatusBadRequest, "InvalidParameter", "StartTime and EndTime have the form 2021-07-24T00:00:00+08:00")
		return
	case g.limits && (end.Sub(start) > 7*24*time.Hour || g.now().Sub(start) > 30*24*time.Hour):
		refuse(http.StatusBadRequest, "InvalidParameter", "at most 7 days at once, of the last 30 days")
		return
	case g.tooSoon("volc", time.Second/2):
		refuse(http.StatusTooManyRequests, "FlowLimitExceeded", "2 requests a second at most")
		return
	}
	_, offset := start.Zone()
	o := view.Options{
		Room: q.RoomID, Metrics: knownIndicators(q.Indicator), Granularity: q.Granularity,
		Zone:  time.FixedZone("", offset),               // not start.Location: that may be this machine's zone, with its summer time
		Since: start, Until: end.Add(-time.Millisecond), // the bucket that begins at the end is the next one
	}
	if q.RoomID != "" && len(q.UserID) > 0 {
		o.Devices = q.UserID[:min(len(q.UserID), maxVolcUsers)]
	}
	till := end
	if view.Granularities[q.Granularity] != 0 { // the last bucket is read to its end
		last := view.StartOf(o.Until.UnixMilli(), q.Granularity, o.Zone)
		till = time.UnixMilli(view.EndOf(last, q.Granularity, o.Zone))
	}
	doc, err := g.convert(r.Context(), "volc", question{since: start, till: till}, o)
	if err != nil {
		status, message := trouble(err)
		refuse(status, map[int]string{http.StatusInternalServerError: "InternalError"}[status]+map[bool]string{true: "InvalidParameter"}[status < 500], message)
		return
	}
	reply(w, http.StatusOK, bytes.Replace(doc, []byte(`"RequestId":""`), []byte(`"RequestId":"`+requestID()+`"`), 1))
}

// knownIndicators leaves out what is not known here: the document's list of names is in
// another document, and none of them can be served.
func knownIndicators(asked []string) (known []string) {
	for _, name := range asked {
		if slices.Contains(view.Metrics("volc", "quality"), name) {
			known = append(known, name)
		}
	}
	if known == nil {
		return []string{view.NoMetrics}
	}
	return known
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// trtc answers DescribeCallDetail, as a POST with JSON or a GET with the same names.
func (g *gateway) trtc(w http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(code, message string) {
		reply(w, http.StatusOK, map[string]any{"Response": map[string]any{
			"Error": map[string]any{"Code": code, "Message": message}, "RequestId": requestID(),
		}})
	}
	if err := g.signed(tencent, r, body); err != nil {
		refuse("AuthFailure.SignatureFailure", err.Error())
		return
	}
	q, err := readTRTC(r, body)
	if err != nil {
		refuse("InvalidParameter.BodyParamsError", err.Error())
		return
	}
	if action, version := q.one("Action"), q.one("Version"); action != "DescribeCallDetail" || version != "2019-07-22" {
		refuse("InvalidAction", "only DescribeCallDetail of version 2019-07-22 is served")
		return
	}
	for _, need := range [][2]string{
		{"CommId", "MissingParameter.CommId"}, {"StartTime", "MissingParameter.StartTs"}, {"EndTime", "MissingParameter.EndTs"}, {"SdkAppId", "MissingParameter.SdkAppId"},
	} {
		if q.one(need[0]) == "" {
			refuse(need[1], need[0]+" is missing")
			return
		}
	}
	o, code, err := g.trtcOptions(q)
	if err != nil {
		refuse(code, err.Error())
		return
	}
	if g.tooSoon("trtc", time.Second/20) {
		refuse("RequestLimitExceeded", "20 requests a second at most")
		return
	}
	doc, err := g.convert(r.Context(), "trtc", question{call: o.Call}, o)
	var refused *view.RequestError
	switch {
	case errors.As(err, &refused) && refused.Code != "":
		refuse(refused.Code, refused.Text)
	case errors.Is(err, view.ErrNoCall), errors.As(err, &refused):
		refuse("InvalidParameter", strings.TrimPrefix(err.Error(), "convert: "))
	case err != nil:
		_, message := trouble(err)
		refuse("InternalError.DBError", message)
	default:
		reply(w, http.StatusOK, bytes.Replace(doc, []byte(`"RequestId":""`), []byte(`"RequestId":"`+requestID()+`"`), 1))
	}
}

// trtcQuery are the parameters by name; lists come as NAME.0, NAME.1 or as JSON lists.
type trtcQuery map[string][]string

func (q trtcQuery) one(name string) string {
	if len(q[name]) == 0 {
		return ""
	}
	return q[name][0]
}

// readTRTC reads the parameters of a GET, of a form, or of a JSON body with the action in
// headers.
func readTRTC(r *http.Request, body []byte) (trtcQuery, error) {
	q := trtcQuery{}
	add := func(v url.Values) {
		for i := range 100 { // lists in their order
			for name, list := range v {
				base, n, dotted := strings.Cut(name, ".")
				if at, err := strconv.Atoi(n); dotted && err == nil && at == i {
					q[base] = append(q[base], list[0])
				} else if !dotted && i == 0 {
					q[name] = append(q[name], list[0])
				}
			}
		}
	}
	add(r.URL.Query())
	for header, name := range map[string]string{"X-TC-Action": "Action", "X-TC-Version": "Version", "X-TC-Region": "Region"} {
		if v := r.Header.Get(header); v != "" {
			q[name] = []string{v}
		}
	}
	switch kind := r.Header.Get("Content-Type"); {
	case len(body) == 0:
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errors.New("the body is not a form")
		}
		add(v)
	default:
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var doc map[string]any
		if err := d.Decode(&doc); err != nil {
			return nil, errors.New("the body is not a JSON object")
		}
		for name, v := range doc {
			list, isList := v.([]any)
			if !isList {
				list = []any{v}
			}
			for _, x := range list {
				if x != nil {
					q[name] = append(q[name], fmt.Sprint(x))
				}
			}
		}
	}
	return q, nil
}

// trtcOptions reads the choices; code is the error's of the service.
func (g *gateway) trtcOptions(q trtcQuery) (o view.Options, code string, err error) {
	start, err := seconds(q.one("StartTime"))
	if err != nil {
		return o, "InvalidParameter.StartTs", err
	}
	end, err := seconds(q.one("EndTime"))
	if err != nil || end.Before(start) {
		return o, "InvalidParameter", errors.New("EndTime is not a time in Unix seconds at or after StartTime")
	}
	if g.limits && g.now().Sub(start) > 14*24*time.Hour {
		return o, "InvalidParameter.StartTsOversize", errors.New("only the last 14 days can be asked for")
	}
	o = view.Options{Call: q.one("CommId"), Devices: q["UserIds"], Metrics: []string{view.NoMetrics}, Since: start, Until: untilEnd(end)}
	if types := q["DataType"]; len(types) == 1 && types[0] == "all" {
		o.Metrics = nil
	} else if len(types) > 0 {
		o.Metrics = types
	}
	data := o.Metrics == nil || o.Metrics[0] != view.NoMetrics
	// Without both of them the first six entries come.
	if q.one("PageNumber") != "" && q.one("PageSize") != "" {
		if o.Page, err = strconv.Atoi(q.one("PageNumber")); err != nil || o.Page < 0 {
			return o, "InvalidParameter", errors.New("PageNumber is a number from 0")
		}
		if o.Limit, err = strconv.Atoi(q.one("PageSize")); err != nil || o.Limit < 1 {
			return o, "InvalidParameter", errors.New("PageSize is a number from 1")
		}
		if o.Limit <= 100 && (data || len(o.Devices) > 0) {
			o.Limit = min(o.Limit, 6)
		}
	}
	return o, "", nil
}
