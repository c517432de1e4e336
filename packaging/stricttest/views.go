package stricttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// timeOf is a Unix second in UTC.
func timeOf(s int64) time.Time { return time.Unix(s, 0).UTC() }

// justBefore is the last millisecond before a time in RFC 3339.
func justBefore(end string) string {
	t, err := time.Parse(time.RFC3339, end)
	if err != nil {
		panic(err)
	}
	return t.Add(-time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
}

// view is a message of view/<system>: its place and time, its part, and the reply.
type view struct {
	Client string `json:"client_id"`
	Device string `json:"device"`
	TsMs   int64  `json:"ts_ms"`
	Meta   struct {
		Part   string `json:"part"`
		CallID string `json:"call_id"`
	} `json:"_meta"`
	Result struct{ AggregateGranularity string }
	doc    []byte
	kind   string
}

func (v *view) minute() int64 { return v.TsMs - 60_000 }

func openViews(t testing.TB, p *Published) []view {
	t.Helper()
	var out []view
	for i, message := range p.Views {
		v := view{kind: strings.TrimPrefix(p.Kinds[i], "view/")}
		if err := json.Unmarshal(message, &v); err != nil {
			t.Fatalf("%s: %v", v.kind, err)
		}
		var err error
		if v.doc, err = WithoutHead(message); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// read reads a message as a client of its part.
func (v *view) read() (doc any, err error) {
	switch v.kind + " " + v.Meta.Part {
	case "zoom live":
		return Zoom(v.doc)
	case "agora details":
		var id struct {
			CallID string `json:"call_id"`
		}
		if err := json.Unmarshal(v.doc, &id); err != nil {
			return nil, err
		}
		users, metrics, err := AgoraDetails(v.doc, id.CallID, true)
		return details{users, metrics}, err
	case "agora lists":
		list, more, err := AgoraCalls(v.doc)
		if more {
			err = fmt.Errorf("has_more in a minute of %d calls", len(list))
		}
		return list, err
	case "agora scale":
		return AgoraSeries(v.doc, "/beta/live/scale/by_time", "pcu", "pcc")
	case "agora diagnosis":
		return AgoraDiagnoses(v.doc)
	case "trtc detail":
		return TRTC(v.doc, 6, "all")
	case "volc quality":
		return Volc(v.doc, v.Result.AggregateGranularity, nil)
	}
	return nil, fmt.Errorf("no client knows the part %q", v.Meta.Part)
}

type details struct {
	users   []AgoraUser
	metrics []AgoraMetric
}

// ReadViews reads every message as a client of its part, and counts them by system and
// part.
func ReadViews(t testing.TB, p *Published) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, v := range openViews(t, p) {
		if _, err := v.read(); err != nil {
			t.Errorf("%s %s of %s/%s at %s: %v\n%.600s", v.kind, v.Meta.Part, v.Client, v.Device, timeOf(v.TsMs/1000), err, v.doc)
		}
		seen[v.kind+" "+v.Meta.Part]++
	}
	return seen
}

// CheckViews reads every message and compares its numbers with the book; each minute of
// each call must have its messages.
func CheckViews(t *testing.T, p *Published, b *Book) {
	c := &checker{t: t, b: b, uids: map[string]int64{}}
	ReadViews(t, p)
	views := openViews(t, p)
	for i := range views { // the numbers of the users first: diagnoses name them
		if d, ok := mustRead(&views[i]).(details); ok {
			c.uids[views[i].Client+"/"+views[i].Device] = d.users[0].UID
		}
	}
	if len(c.uids) != 3 {
		t.Errorf("users %v, want one for each room", c.uids)
	}
	seen := map[string]map[string]int{} // by kind and part, call and minute
	for i := range views {
		v := &views[i]
		name := v.kind + " " + v.Meta.Part
		if seen[name] == nil {
			seen[name] = map[string]int{}
		}
		saw := func(id string) { seen[name][fmt.Sprint(id, " ", v.minute())]++ }
		here := b.inMinute(v.Client+"/"+v.Device, v.minute())
		switch doc := mustRead(v).(type) {
		case []ZoomMinute:
			saw(v.Meta.CallID)
			c.zoomMinutes(b.Call(v.Meta.CallID), doc, []int64{v.minute()})
		case details:
			call := b.Call(doc.users[0].Sid)
			saw(call.ID)
			c.same("user", doc.users[0], call.userAt(v, doc.users[0]))
			c.sameSeries(name+" "+call.ID, agoraSeries(doc.metrics), call.seriesOf(v.minute(), v.TsMs, false, false))
		case TRTCCall:
			call := b.Call(v.Meta.CallID)
			saw(call.ID)
			u := call.userAt(v, AgoraUser{Left: doc.Users[0].Left, Finished: doc.Users[0].Finished})
			c.same("user", doc.Users, []TRTCUser{{RoomStr: call.Name, UserID: call.Place(), DeviceType: call.Model, Joined: u.Joined, Left: u.Left, Finished: u.Finished}})
			c.sameSeries(name+" "+call.ID, trtcSeries(doc), call.trtcSeries(v.minute(), v.TsMs, false))
		case []AgoraCall:
			for _, got := range doc {
				call := b.Call(got.ID)
				saw(got.ID)
				u := call.userAt(v, AgoraUser{Left: got.Destroyed, Finished: got.Finished})
				c.same("call", got, AgoraCall{call.ID, call.Name, call.Start, u.Left, u.Finished})
			}
		case []AgoraRow:
			one := &Book{Calls: here}
			want := []AgoraRow{}
			if n := one.atOnce(v.minute()); n > 0 {
				want = []AgoraRow{{v.minute() / 1000, map[string]float64{"pcu": n, "pcc": n}}}
			}
			c.same("scale at "+stamp(v.minute()/1000), fmt.Sprint(doc), fmt.Sprint(want))
		case []AgoraDiagnosis:
			var got, want []string
			for _, d := range doc {
				got = append(got, fmt.Sprint(d))
			}
			for _, call := range here {
				if row := c.wantDiagnosis(call, v.minute()); row != "" {
					want = append(want, row)
					saw(call.ID)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			c.same("diagnosis at "+stamp(v.minute()/1000), got, want)
		case []VolcIndicator:
			c.volcBucket(v, doc, func(id string) { seen[name][id]++ })
		}
	}
	c.complete(seen)
}

func mustRead(v *view) any {
	doc, _ := v.read() // ReadViews reported the error
	return doc
}

// inMinute lists the calls of a room that have a sample in a minute.
func (b *Book) inMinute(place string, ms int64) []*BookCall {
	var out []*BookCall
	for _, c := range b.Calls {
		if c.Place() == place && len(c.minute(ms)) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// userAt is the user of a call as a message of a minute must have it: a call goes on up
// to its last sample so far, and is over from the end of the minute in which it ended.
func (c *BookCall) userAt(v *view, got AgoraUser) AgoraUser {
	u := AgoraUser{Sid: c.ID, Cname: c.Name, UID: got.UID, Speaker: c.Sends, Device: c.Model, Joined: c.Start, Left: c.End, Finished: got.Finished}
	if !got.Finished {
		for _, s := range c.samples {
			if s.ms < v.TsMs {
				u.Left = s.ms / 1000
			}
		}
	}
	if got.Finished && c.last() >= v.TsMs {
		u.Finished = false
	}
	return u
}

// volcBucket compares the message of a bucket that is over.
func (c *checker) volcBucket(v *view, doc []VolcIndicator, saw func(string)) {
	step := map[string]int64{"5min": 300_000, "1d": 86_400_000}[v.Result.AggregateGranularity]
	from := v.TsMs - step
	values := map[string]float64{}
	for _, ind := range doc {
		if len(ind.Data) != 1 || ind.Data[0].At.UnixMilli() != from {
			c.t.Errorf("volc %s at %s: %v is not its bucket", ind.Name, stamp(from/1000), ind.Data)
			continue
		}
		if _, offset := ind.Data[0].At.Zone(); offset != 8*3600 {
			c.t.Errorf("volc at %s is not in view_timezone", ind.Data[0].At)
		}
		values[ind.Name] = ind.Data[0].Value
	}
	for name := range volcKeys {
		x, known := values[name]
		c.near(fmt.Sprintf("volc %s %s at %s", v.Result.AggregateGranularity, name, stamp(from/1000)), x, known,
			c.b.volcWant(name, from, v.TsMs, func(call *BookCall) bool { return call.Place() == v.Client+"/"+v.Device }), 0.01)
	}
	saw(fmt.Sprint(v.Result.AggregateGranularity, " ", v.Client, "/", v.Device, " ", from))
}

// complete: each minute of each call has its messages, each once.
func (c *checker) complete(seen map[string]map[string]int) {
	for _, name := range []string{"zoom live", "agora details", "agora lists", "trtc detail"} {
		for _, call := range c.b.Calls {
			for _, m := range call.minutes() {
				if n := seen[name][fmt.Sprint(call.ID, " ", m)]; n != 1 {
					c.t.Errorf("%s: %d messages of call %s for %s, want 1", name, n, call.ID, stamp(m/1000))
				}
			}
		}
	}
	for _, call := range c.b.Calls {
		for _, m := range call.minutes() {
			want := 0
			if len(call.diagnosis(m)) > 0 {
				want = 1
			}
			if n := seen["agora diagnosis"][fmt.Sprint(call.ID, " ", m)]; n != want {
				c.t.Errorf("agora diagnosis: %d messages of call %s for %s, want %d", n, call.ID, stamp(m/1000), want)
			}
		}
	}
	for step, granularity := range map[int64]string{300_000: "5min", 86_400_000: "1d"} {
		want := map[string]bool{}
		for _, call := range c.b.Calls {
			for _, s := range call.samples {
				if from := (s.ms+8*3_600_000)/step*step - 8*3_600_000; from+step <= DayEnd.UnixMilli() {
					want[fmt.Sprint(granularity, " ", call.Place(), " ", from)] = true
				}
			}
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if seen["volc quality"][k] != 1 {
				c.t.Errorf("volc: %d messages of the bucket %s, want 1", seen["volc quality"][k], k)
			}
		}
	}
}
