package stricttest

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Service answers the documents' own requests, with their own parameters: the command
// convert, or the gateway.
type Service interface {
	Zoom(v url.Values) ([]byte, error)
	Agora(path string, v url.Values) ([]byte, error)
	Volc(q VolcQuestion) ([]byte, error)
	TRTC(q TRTCQuestion) ([]byte, error)
}

// VolcQuestion is the body of ListQuality.
type VolcQuestion struct {
	AppID       string   `json:"AppId"`
	StartTime   string   `json:"StartTime"`
	EndTime     string   `json:"EndTime"`
	Indicator   []string `json:"Indicator"`
	Granularity string   `json:"AggregateGranularity"`
	RoomID      string   `json:"RoomId,omitempty"`
	UserID      []string `json:"UserId,omitempty"`
}

// TRTCQuestion are the parameters of DescribeCallDetail; PageNumber and PageSize are
// strings, as in the document.
type TRTCQuestion struct {
	CommID     string   `json:"CommId"`
	StartTime  int64    `json:"StartTime"`
	EndTime    int64    `json:"EndTime"`
	SdkAppID   string   `json:"SdkAppId"`
	UserIDs    []string `json:"UserIds,omitempty"`
	DataType   []string `json:"DataType,omitempty"`
	PageNumber string   `json:"PageNumber,omitempty"`
	PageSize   string   `json:"PageSize,omitempty"`
}

// checker compares what a service says with the book.
type checker struct {
	t    testing.TB
	s    Service
	b    *Book
	uids map[string]int64 // by place
}

// Check asks a service for everything of a day, reads the replies strictly, and compares
// every number with the book; only names parts, none = all.
func Check(t *testing.T, s Service, b *Book, only ...string) {
	uids := map[string]int64{}
	for _, part := range []struct {
		name string
		run  func(c *checker)
	}{
		{"agora_lists", (*checker).agoraLists}, {"agora_details", (*checker).agoraDetails}, {"agora_scale", (*checker).agoraScale},
		{"agora_net", (*checker).agoraNet}, {"agora_experience", (*checker).agoraExperience}, {"agora_diagnosis", (*checker).agoraDiagnosis},
		{"agora_usage", (*checker).agoraUsage}, {"zoom", (*checker).zoom}, {"trtc", (*checker).trtc}, {"volc", (*checker).volc},
	} {
		if len(only) > 0 && !slices.Contains(only, part.name) {
			continue
		}
		t.Run(part.name, func(t *testing.T) { part.run(&checker{t, s, b, uids}) })
	}
}

func (c *checker) must(doc []byte, err error) []byte {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return doc
}

func (c *checker) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Error(err)
	}
}

func (c *checker) same(what string, got, want any) {
	c.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("%s: %v, the samples say %v", what, got, want)
	}
}

// near compares a number that was rounded to a step.
func (c *checker) near(what string, got float64, known bool, want value, step float64) {
	c.t.Helper()
	if known != want.known || known && math.Abs(got-want.x) > step/2+1e-6 {
		c.t.Errorf("%s: %v (known %t), the samples say %v", what, got, known, want)
	}
}

func stamps(from, to int64, more ...string) url.Values {
	v := url.Values{"start_ts": {fmt.Sprint(from)}, "end_ts": {fmt.Sprint(to)}, "appid": {"rooms"}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// agoraLists follows has_more to the oldest call, as the document advises: by another
// condition.
func (c *checker) agoraLists() {
	from, to := DayStart.Unix(), DayEnd.Unix()
	var got []AgoraCall
	seen := map[string]bool{}
	for more := true; more; {
		var page []AgoraCall
		var err error
		page, more, err = AgoraCalls(c.must(c.s.Agora("/beta/analytics/call/lists", stamps(from, to))))
		c.ok(err)
		if more && len(page) != 10 || len(page) == 0 {
			c.t.Fatalf("a page of %d calls, has_more %t", len(page), more)
		}
		new := 0
		for _, call := range page {
			if !seen[call.ID] {
				seen[call.ID] = true
				got = append(got, call)
				new++
			}
		}
		if new == 0 {
			c.t.Fatal("the pages do not end")
		}
		to = page[len(page)-1].Created
	}
	if len(got) != len(c.b.Calls) {
		c.t.Fatalf("%d calls, the samples have %d", len(got), len(c.b.Calls))
	}
	for _, call := range got {
		want := c.b.Call(call.ID)
		if want == nil {
			c.t.Fatalf("call %s is in no sample", call.ID)
		}
		c.same("call", call, AgoraCall{want.ID, want.Name, want.Start, want.End, want.Finished})
	}
	// By channel and time: what was going on then.
	for _, name := range c.channels() {
		list, _, err := AgoraCalls(c.must(c.s.Agora("/beta/analytics/call/lists", stamps(DayStart.Unix()+8*3600, DayStart.Unix()+10*3600, "cname", name))))
		c.ok(err)
		var want []string
		for _, call := range slices.Backward(c.b.Calls) {
			if call.Name == name && call.Start <= DayStart.Unix()+10*3600 && call.End >= DayStart.Unix()+8*3600 {
				want = append(want, call.ID)
			}
		}
		var ids []string
		for _, call := range list {
			ids = append(ids, call.ID)
		}
		c.same("calls of "+name, ids, want)
	}
}

func (c *checker) channels() []string {
	names := map[string]bool{}
	for _, call := range c.b.Calls {
		names[call.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// agoraKeys are the keys of a sample behind Agora's metrics of the room itself.
var agoraKeys = map[int64]string{20003: "audio_send_bitrate_kbps", 20004: "audio_recv_bitrate_kbps", 20006: "video_send_bitrate_kbps", 20008: "video_send_fps",
	20015: "audio_send_loss_pct", 20017: "video_send_loss_pct", 20019: "video_send_width", 20020: "video_send_height"}

// seriesOf lists the series that a call should have in a span of Unix ms, by mid and peer.
func (c *BookCall) seriesOf(from, to int64, approximate, streams bool) map[string][]Point {
	var list []*bookSample
	for _, s := range c.samples {
		if s.ms >= from && s.ms < to {
			list = append(list, s)
		}
	}
	want := map[string][]Point{}
	for mid, key := range agoraKeys {
		if p := perSecond(list, key); len(p) > 0 && (approximate || mid != 20015 && mid != 20017) {
			want[fmt.Sprintf("%d/0", mid)] = p
		}
	}
	for mid, key := range map[int64]string{20009: "bitrate_kbps", 20010: "fps"} {
		if p := perSecond(list, "video_recv_"+key); len(p) > 0 && !streams {
			want[fmt.Sprintf("%d/0", mid)] = p
		}
		if streams {
			for peer, p := range c.peers(key, from, to) {
				if _, err := strconv.Atoi(peer); err == nil {
					want[fmt.Sprintf("%d/%s", mid, peer)] = p
				}
			}
		}
	}
	return want
}

func (c *checker) agoraUser(u AgoraUser, call *BookCall) {
	c.t.Helper()
	c.same("user of "+call.ID, u, AgoraUser{Sid: call.ID, Cname: call.Name, UID: u.UID, Speaker: call.Sends, Device: call.Model, Joined: call.Start, Left: call.End, Finished: call.Finished})
	if id, known := c.uids[call.Place()]; known && id != u.UID {
		c.t.Errorf("%s: uid %d, was %d", call.ID, u.UID, id)
	}
	for place, id := range c.uids {
		if place != call.Place() && id == u.UID {
			c.t.Errorf("%s and %s share the uid %d", place, call.Place(), id)
		}
	}
	c.uids[call.Place()] = u.UID
}

func (c *checker) sameSeries(what string, got map[string][]Point, want map[string][]Point) {
	c.t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[k], want[k]) {
			c.t.Errorf("%s, series %s: %d values %.100s, the samples say %d: %.100s", what, k, len(got[k]), fmt.Sprint(got[k]), len(want[k]), fmt.Sprint(want[k]))
		}
	}
	for k := range got {
		if want[k] == nil {
			c.t.Errorf("%s: series %s is in no sample", what, k)
		}
	}
}

func agoraSeries(list []AgoraMetric) map[string][]Point {
	got := map[string][]Point{}
	for _, m := range list {
		got[fmt.Sprintf("%d/%d", m.Mid, m.PeerUID)] = m.Points
	}
	return got
}

func (c *checker) agoraDetails() {
	for _, call := range c.b.Calls {
		v := stamps(call.Start, call.End, "call_id", call.ID)
		users, metrics, err := AgoraDetails(c.must(c.s.Agora("/beta/analytics/call/details", v)), call.ID, true)
		c.ok(err)
		if len(users) != 1 {
			c.t.Fatalf("%s: %d users, want the room", call.ID, len(users))
		}
		c.agoraUser(users[0], call)
		c.sameSeries(call.ID, agoraSeries(metrics), call.seriesOf(0, math.MaxInt64, true, true))
	}
	call := c.b.Calls[len(c.b.Calls)/2]
	users, _, err := AgoraDetails(c.must(c.s.Agora("/beta/analytics/call/details", stamps(call.Start, call.End, "call_id", call.ID, "exclude_metrics_info", "true"))), call.ID, false)
	c.ok(err)
	c.agoraUser(users[0], call)
}

// allMinutes are the minutes of the day that have a sample in a call.
func (b *Book) allMinutes() []int64 {
	set := map[int64]bool{}
	for _, c := range b.Calls {
		for _, m := range c.minutes() {
			set[m] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func (c *checker) agoraScale() {
	got := map[int64]AgoraRow{}
	rows, err := AgoraSeries(c.must(c.s.Agora("/beta/live/scale/by_time", stamps(DayStart.Unix(), DayEnd.Unix(), "metric", "pcu,pcc"))), "/beta/live/scale/by_time", "pcu", "pcc")
	c.ok(err)
	for _, r := range rows {
		got[r.Ts] = r
	}
	minutes := c.b.allMinutes()
	c.same("minutes", len(got), len(minutes))
	for _, m := range minutes {
		want := c.b.atOnce(m)
		c.same(fmt.Sprintf("scale at %s", stamp(m/1000)), got[m/1000].Values, map[string]float64{"pcu": want, "pcc": want})
	}
	// Spans that begin and end within calls have the same numbers.
	for _, m := range []int64{minutes[0], DayStart.Add(8*time.Hour + 7*time.Minute).UnixMilli(), DayStart.Add(13*time.Hour + 8*time.Minute).UnixMilli()} {
		rows, err = AgoraSeries(c.must(c.s.Agora("/beta/live/scale/by_time", stamps(m/1000, m/1000+59, "metric", "pcc"))), "/beta/live/scale/by_time", "pcc")
		c.ok(err)
		c.same("one minute, one metric, "+stamp(m/1000), rows, []AgoraRow{{m / 1000, map[string]float64{"pcc": c.b.atOnce(m)}}})
	}
}

func stamp(s int64) string { return time.Unix(s, 0).UTC().Format("15:04:05") }

func (c *checker) agoraNet() {
	for metric, key := range map[string]string{"videoUpstreamExcellentTransRate": "video_send_loss_pct", "audioUpstreamExcellentTransRate": "audio_send_loss_pct"} {
		rows, err := AgoraSeries(c.must(c.s.Agora("/beta/live/net/by_time", stamps(DayStart.Unix(), DayEnd.Unix(), "metric", metric))), "/beta/live/net/by_time", metric)
		c.ok(err)
		got := map[int64]float64{}
		for _, r := range rows {
			got[r.Ts] = r.Values[metric]
		}
		for m := DayStart.Unix(); m <= DayEnd.Unix(); m += 60 {
			all, good := 0.0, 0.0
			for _, call := range c.b.Calls {
				for _, s := range call.minute(m * 1000) {
					if x, ok := s.value[key]; ok {
						all++
						if x <= 5 {
							good++
						}
					}
				}
			}
			x, known := got[m]
			c.near(metric+" at "+stamp(m), x, known, value{all > 0, 100 * good / max(all, 1)}, 0.01)
		}
	}
}

// agoraExperience: nothing of it can be known, and the reply says so with an empty list.
func (c *checker) agoraExperience() {
	const path = "/beta/live/experience/by_time"
	metrics := slices.Sorted(maps.Keys(AgoraMetrics[path]))
	rows, err := AgoraSeries(c.must(c.s.Agora(path, stamps(DayStart.Unix(), DayEnd.Unix(), "metric", strings.Join(metrics, ",")))), path, metrics...)
	c.ok(err)
	c.same(path, len(rows), 0)
}

// agoraDiagnosis asks for the minutes of the poor part of each call, and for the whole
// day, which has more rows than the ten newest that come.
func (c *checker) agoraDiagnosis() {
	poor := 0
	for _, call := range c.b.Calls {
		bad := slices.DeleteFunc(call.minutes(), func(m int64) bool { return len(call.diagnosis(m)) == 0 })
		if len(bad) > 0 {
			poor++
			c.diagnosis(bad[0]/1000, bad[len(bad)-1]/1000)
		}
	}
	if poor < 8 {
		c.t.Errorf("the day has %d poor calls: too few to prove anything", poor)
	}
	c.diagnosis(DayStart.Unix(), DayEnd.Unix())
}

func (c *checker) diagnosis(from, to int64) {
	c.t.Helper()
	rows, err := AgoraDiagnoses(c.must(c.s.Agora("/beta/live/diagnosis", stamps(from, to))))
	c.ok(err)
	var want []string
	for _, call := range c.b.Calls {
		for _, m := range call.minutes() {
			if m/1000 >= from && m/1000 <= to {
				if row := c.wantDiagnosis(call, m); row != "" {
					want = append(want, row)
				}
			}
		}
	}
	slices.Sort(want)
	slices.Reverse(want)
	var got []string
	for i, r := range rows {
		got = append(got, fmt.Sprint(r))
		if i > 0 && r.Ts > rows[i-1].Ts {
			c.t.Errorf("diagnosis: not the newest first")
		}
	}
	times := func(list []string) (out []string) {
		for _, s := range list {
			out = append(out, s[:11])
		}
		return out
	}
	if len(want) > 10 { // of one minute any
		c.same(fmt.Sprintf("times of the diagnosis of %s to %s", stamp(from), stamp(to)), times(got), times(want[:10]))
		for _, row := range got {
			if !slices.Contains(want, row) {
				c.t.Errorf("diagnosis: %s is not what the samples say", row)
			}
		}
		return
	}
	slices.Sort(got)
	slices.Reverse(got)
	c.same(fmt.Sprintf("diagnosis of %s to %s", stamp(from), stamp(to)), got, want)
}

// wantDiagnosis is the row of a minute of a call, "" = none.
func (c *checker) wantDiagnosis(call *BookCall, ms int64) string {
	ids := call.diagnosis(ms)
	if len(ids) == 0 {
		return ""
	}
	d := AgoraDiagnosis{Ts: ms / 1000, User: fmt.Sprint(c.uids[call.Place()]), ExpID: 4, Cname: call.Name}
	for _, id := range ids {
		d.Causes = append(d.Causes, AgoraCause{FactorID: id})
	}
	if slices.Contains([]int64{9, 22, 24, 43, 45, 47}, ids[0]) {
		d.ExpID = 5
	}
	return fmt.Sprint(d)
}

func (c *checker) agoraUsage() {
	const path, day = "/beta/insight/usage/by_time", 86400
	metrics := []string{"userCount", "sessionCount", "channelCount"}
	rows, err := AgoraSeries(c.must(c.s.Agora(path, stamps(DayStart.Unix(), DayStart.Unix()+2*day, "metric", strings.Join(metrics, ",")))), path, metrics...)
	c.ok(err)
	var want []AgoraRow
	for d := DayStart.Unix(); d < DayStart.Unix()+2*day; d += day {
		rooms, calls := map[string]bool{}, 0.0
		for _, call := range c.b.Calls {
			if call.Start >= d && call.Start < d+day {
				rooms[call.Place()] = true
				calls++
			}
		}
		want = append(want, AgoraRow{d, map[string]float64{"userCount": float64(len(rooms)), "sessionCount": calls, "channelCount": calls}})
	}
	c.same("usage", rows, want)
	rows, err = AgoraSeries(c.must(c.s.Agora(path, stamps(DayStart.Unix(), DayStart.Unix()+day-3600, "metric", "userCount"))), path, "userCount")
	c.ok(err)
	c.same("usage of less than a day", len(rows), 0)
}

// zoomGroups are the groups of a sample behind Zoom's media: input is what the room
// receives.
var zoomGroups = map[string]string{"audio_input": "audio_recv", "audio_output": "audio_send", "video_input": "video_recv", "video_output": "video_send",
	"as_input": "aux_recv", "as_output": "aux_send"}

func (c *checker) zoomMinutes(call *BookCall, got []ZoomMinute, minutes []int64) {
	c.t.Helper()
	var at []int64
	for _, m := range got {
		at = append(at, m.At.UnixMilli())
	}
	c.same("minutes of "+call.ID, at, minutes)
	for _, m := range got {
		list := call.minute(m.At.UnixMilli())
		for name, group := range zoomGroups {
			what := fmt.Sprintf("%s %s %s", call.ID, stamp(m.At.Unix()), name)
			var last *bookSample // with an active stream
			for _, s := range list {
				if s.has(group) {
					last = s
				}
			}
			newest := func(key string) value {
				if last == nil {
					return value{}
				}
				x, ok := last.value[group+"_"+key]
				return value{ok, x}
			}
			whole := func(field string, got *int, key string) {
				c.t.Helper()
				if got == nil {
					c.near(what+" "+field, 0, false, newest(key), 1)
				} else {
					c.near(what+" "+field, float64(*got), true, newest(key), 1)
				}
			}
			z := m.Media[name]
			whole("bitrate", z.BitrateKbps, "bitrate_kbps")
			whole("latency", z.LatencyMs, "delay_ms")
			whole("jitter", z.JitterMs, "jitter_ms")
			if !strings.HasPrefix(name, "audio") {
				whole("width", z.Width, "width")
				whole("height", z.Height, "height")
				whole("frame_rate", z.FrameRate, "fps")
			}
			avg, most := mean(list, group+"_loss_pct")
			if z.AvgLossPct == nil {
				c.near(what+" loss", 0, false, avg, 0.1)
			} else {
				c.near(what+" avg_loss", *z.AvgLossPct, true, avg, 0.1)
				c.near(what+" max_loss", *z.MaxLossPct, true, most, 0.1)
			}
		}
	}
}

func (c *checker) zoom() {
	for _, call := range c.b.Calls {
		kind := map[bool]string{true: "past", false: "live"}[call.Finished]
		v := url.Values{"api_key": {"key"}, "api_secret": {"secret-of-key"}, "uuid": {call.ID}, "user_id": {call.Place()}, "type": {kind}}
		minutes, err := Zoom(c.must(c.s.Zoom(v)))
		c.ok(err)
		c.zoomMinutes(call, minutes, call.minutes())
	}
}

// trtcKeys are the groups and keys of a sample behind TRTC's data types: sent, received.
var trtcKeys = map[string][2]string{"aBit": {"audio_send_bitrate_kbps", "audio_recv_bitrate_kbps"}, "aLoss": {"audio_send_loss_pct", "audio_recv_loss_pct"},
	"bigvBit": {"video_send_bitrate_kbps", "bitrate_kbps"}, "bigvLoss": {"video_send_loss_pct", "loss_pct"}, "bigvEncFps": {"video_send_fps", ""},
	"bigvDecFps": {"", "fps"}, "bigvWidth": {"video_send_width", "width"}, "bigvHeight": {"video_send_height", "height"}}

// trtcSeries lists the series that a call should have between two times in Unix ms.
func (c *BookCall) trtcSeries(from, to int64, streams bool, types ...string) map[string][]Point {
	var list []*bookSample
	for _, s := range c.samples {
		if s.ms >= from && s.ms < to {
			list = append(list, s)
		}
	}
	want := map[string][]Point{}
	for name, keys := range trtcKeys {
		if len(types) > 0 && !slices.Contains(types, name) {
			continue
		}
		put := func(peer string, p []Point) {
			if len(p) > 0 {
				want[name+"/"+peer] = p
			}
		}
		if keys[0] != "" {
			put("", perSecond(list, keys[0]))
		}
		switch {
		case keys[1] == "":
		case name[0] == 'a':
			put("mixed", perSecond(list, keys[1]))
		case streams:
			for peer, p := range c.peers(keys[1], from, to) {
				if _, err := strconv.Atoi(peer); err != nil {
					put(peer, p)
				}
			}
		default:
			put("mixed", perSecond(list, "video_recv_"+keys[1]))
		}
	}
	return want
}

func trtcSeries(call TRTCCall) map[string][]Point {
	got := map[string][]Point{}
	for _, d := range call.Data {
		got[d.DataType+"/"+d.PeerID] = d.Points
	}
	return got
}

func (c *checker) trtcUser(got TRTCCall, call *BookCall) {
	c.t.Helper()
	c.same("users of "+call.ID, got.Users, []TRTCUser{{RoomStr: call.Name, UserID: call.Place(), DeviceType: call.Model, Joined: call.Start, Left: call.End, Finished: call.Finished}})
	c.same("total of "+call.ID, got.Total, 1)
}

// trtc asks for a call by the hour, as the document allows at most.
func (c *checker) trtc() {
	for _, call := range c.b.Calls {
		got := map[string][]Point{}
		for from := call.Start; from <= call.End; from += 3600 {
			q := TRTCQuestion{CommID: call.ID, StartTime: from, EndTime: min(from+3599, call.End), SdkAppID: "1400188366", DataType: []string{"all"}}
			reply, err := TRTC(c.must(c.s.TRTC(q)), 6, "all")
			c.ok(err)
			c.trtcUser(reply, call)
			for k, p := range trtcSeries(reply) {
				got[k] = append(got[k], p...)
			}
		}
		c.sameSeries(call.ID, got, call.trtcSeries(0, math.MaxInt64, true))
	}
	// The list of users alone, a page beyond the end, one type, one user.
	call := c.b.Calls[slices.IndexFunc(c.b.Calls, func(x *BookCall) bool { return x.End-x.Start > 180 })]
	q := TRTCQuestion{CommID: call.ID, StartTime: call.Start, EndTime: call.End, SdkAppID: "1400188366", PageNumber: "0", PageSize: "100"}
	reply, err := TRTC(c.must(c.s.TRTC(q)), 100)
	c.ok(err)
	c.trtcUser(reply, call)
	q.PageNumber = "1"
	reply, err = TRTC(c.must(c.s.TRTC(q)), 100)
	c.ok(err)
	c.same("page 1", [2]any{reply.Total, len(reply.Users)}, [2]any{1, 0})
	q = TRTCQuestion{CommID: call.ID, StartTime: call.Start + 60, EndTime: call.Start + 119, SdkAppID: "1400188366", DataType: []string{"aLoss", "bigvWidth"}, UserIDs: []string{call.Place()}}
	reply, err = TRTC(c.must(c.s.TRTC(q)), 6, q.DataType...)
	c.ok(err)
	c.sameSeries("a minute of "+call.ID, trtcSeries(reply), call.trtcSeries((call.Start+60)*1000, (call.Start+120)*1000, true, q.DataType...))
	q.UserIDs = []string{"nobody/here"}
	reply, err = TRTC(c.must(c.s.TRTC(q)), 6, q.DataType...)
	c.ok(err)
	c.same("users of another name", [3]any{reply.Total, len(reply.Users), len(reply.Data)}, [3]any{0, 0, 0})
}

// The indicators of Volcengine's shape that records can fill: names of roomcall's own.
var volcKeys = map[string]string{"audio_uplink_loss_rate": "audio_send_loss_pct", "audio_downlink_loss_rate": "audio_recv_loss_pct",
	"video_uplink_loss_rate": "video_send_loss_pct", "video_downlink_loss_rate": "video_recv_loss_pct", "poor_time_rate": ""}

// volcWant is the value of a bucket.
func (b *Book) volcWant(indicator string, from, to int64, wanted func(*BookCall) bool) value {
	n, sum := 0.0, 0.0
	for _, call := range b.Calls {
		if !wanted(call) {
			continue
		}
		for _, s := range call.samples {
			if s.ms < from || s.ms >= to {
				continue
			}
			x, ok := s.value[volcKeys[indicator]]
			if indicator == "poor_time_rate" {
				if ok = s.grade > 0; s.grade == 3 {
					x = 100
				}
			}
			if ok {
				n++
				sum += x
			}
		}
	}
	return value{n > 0, sum / max(n, 1)}
}

func (c *checker) volc() {
	indicators := slices.Sorted(maps.Keys(volcKeys))
	everyone := func(*BookCall) bool { return true }
	for _, ask := range []struct {
		granularity string
		step        time.Duration
		from        time.Time
		zone        string // hours east
		room        string
		user        []string
		wanted      func(*BookCall) bool
	}{
		{"1d", 24 * time.Hour, DayStart, "+00:00", "", nil, everyone},
		{"1d", 24 * time.Hour, DayStart.Add(-8 * time.Hour), "+08:00", "", nil, everyone},
		{"5min", 5 * time.Minute, DayStart, "+00:00", "", nil, everyone},
		{"5min", 5 * time.Minute, DayStart, "+08:00", "会议室 1", nil, func(x *BookCall) bool { return x.Name == "会议室 1" }},
		{"5min", 5 * time.Minute, DayStart, "-03:30", "hub", []string{"west/hub", "nobody"}, func(x *BookCall) bool { return x.Place() == "west/hub" }},
	} {
		zone := zoneOf(ask.zone)
		from, to := ask.from.In(zone), ask.from.In(zone).Add(48*time.Hour)
		q := VolcQuestion{AppID: "rooms", StartTime: from.Format(time.RFC3339), EndTime: to.Format(time.RFC3339), Indicator: indicators,
			Granularity: ask.granularity, RoomID: ask.room, UserID: ask.user}
		if ask.zone == "+00:00" {
			q.StartTime = strings.Replace(q.StartTime, "Z", "+00:00", 1)
		}
		got, err := Volc(c.must(c.s.Volc(q)), ask.granularity, zone)
		c.ok(err)
		values := map[string]map[int64]float64{}
		for _, ind := range got {
			values[ind.Name] = map[int64]float64{}
			for _, p := range ind.Data {
				values[ind.Name][p.At.UnixMilli()] = p.Value
			}
		}
		for _, name := range indicators {
			for t := from; t.Before(to); t = t.Add(ask.step) {
				x, known := values[name][t.UnixMilli()]
				c.near(fmt.Sprintf("%s %s at %s", ask.granularity, name, t.Format(time.RFC3339)), x, known,
					c.b.volcWant(name, t.UnixMilli(), t.Add(ask.step).UnixMilli(), ask.wanted), 0.01)
				delete(values[name], t.UnixMilli())
			}
			if len(values[name]) > 0 {
				c.t.Errorf("%s: buckets outside the time that was asked for: %v", name, values[name])
			}
		}
	}
	// Its own indicators cannot be known: none of them is there.
	q := VolcQuestion{AppID: "rooms", StartTime: "2026-03-02T00:00:00+08:00", EndTime: "2026-03-03T00:00:00+08:00", Indicator: []string{"stall_rate", "join_room_success_rate"}, Granularity: "1d"}
	got, err := Volc(c.must(c.s.Volc(q)), "1d", zoneOf("+08:00"))
	c.ok(err)
	c.same("indicators of its own", len(got), 0)
}

// zoneOf is a zone by its offset, "+08:00".
func zoneOf(offset string) *time.Location {
	t, err := time.Parse("-07:00", offset)
	if err != nil {
		panic(err)
	}
	_, seconds := t.Zone()
	return time.FixedZone("", seconds)
}
