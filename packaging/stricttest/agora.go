package stricttest

import (
	"fmt"
	"math"
	"slices"
)

// AgoraRow is one element of `data` of a live, insight or diagnosis reply.
type AgoraRow struct {
	Ts     int64
	Values map[string]float64 // by metric
}

// AgoraMetrics holds the documented metrics by the path of their endpoint, with the
// highest value each may have.
var AgoraMetrics = map[string]map[string]float64{
	"/beta/live/scale/by_time":      {"pcu": 1e9, "pcc": 1e9},
	"/beta/live/experience/by_time": {"joinSuccessRate": 100, "joinSuccess5SecsRate": 100, "videoFreezeRate": 100, "audioFreezeRate": 100},
	"/beta/live/net/by_time": {"videoUpstreamExcellentTransRate": 100, "audioUpstreamExcellentTransRate": 100,
		"videoEnd2EndExcellentTransRate": 100, "audioEnd2EndExcellentTransRate": 100},
	"/beta/insight/usage/by_time": {"userCount": 1e9, "sessionCount": 1e9, "channelCount": 1e9},
}

// agoraEnvelope reads code and message; both "success" and "" are in the document.
func agoraEnvelope(doc []byte, message string, keys ...string) (*reader, object) {
	r, v := open(doc)
	o := r.object("$", v, append([]string{"code", "message"}, keys...)...)
	r.integer("$.code", o.values["code"], 200, 200)
	if m := r.text("$.message", o.values["message"]); m != message {
		r.fail("$.message", "%q, want %q", m, message)
	}
	return r, o
}

// AgoraSeries reads a reply of a by_time endpoint that was asked for the metrics. Every
// row holds all of them: none may be missing. Days of usage begin at 00:00 UTC.
func AgoraSeries(doc []byte, path string, metrics ...string) ([]AgoraRow, error) {
	r, o := agoraEnvelope(doc, "success", "data")
	limits := AgoraMetrics[path]
	var out []AgoraRow
	for i, e := range r.list("$.data", o.values["data"]) {
		at := fmt.Sprintf("$.data[%d]", i)
		row := r.object(at, e, append([]string{"ts"}, metrics...)...)
		got := AgoraRow{Ts: r.second(at+".ts", row.values["ts"]), Values: map[string]float64{}}
		for _, m := range metrics {
			if limits[m] > 100 {
				got.Values[m] = float64(r.integer(at+"."+m, row.values[m], 0, int64(limits[m])))
			} else {
				got.Values[m] = r.number(at+"."+m, row.values[m], 0, limits[m])
			}
		}
		if path == "/beta/insight/usage/by_time" && got.Ts%86400 != 0 {
			r.fail(at+".ts", "%d is not 00:00 UTC", got.Ts)
		}
		if i > 0 && got.Ts <= out[i-1].Ts {
			r.fail(at+".ts", "times do not rise")
		}
		out = append(out, got)
	}
	return out, r.err()
}

// AgoraCause is one of at most three causes of a diagnosis.
type AgoraCause struct {
	FactorID int64
	HostUser string // "": the cause is the user's own
}

// AgoraDiagnosis is one user's bad minute.
type AgoraDiagnosis struct {
	Ts     int64
	User   string
	ExpID  int64 // 4 video freezes, 5 audio freezes, 6 slow to join
	Cname  string
	Causes []AgoraCause
}

// AgoraFactors are the documented causes.
var AgoraFactors = []int64{1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 21, 22, 23, 24, 25, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47}

// AgoraDiagnoses reads the reply of /beta/live/diagnosis: at most 10 rows.
func AgoraDiagnoses(doc []byte) ([]AgoraDiagnosis, error) {
	r, o := agoraEnvelope(doc, "success", "data")
	rows := r.list("$.data", o.values["data"])
	if len(rows) > 10 {
		r.fail("$.data", "%d rows, at most 10 are documented", len(rows))
	}
	var out []AgoraDiagnosis
	for i, e := range rows {
		at := fmt.Sprintf("$.data[%d]", i)
		row := r.object(at, e, "user", "exp_id", "cname", "cause_tags", "ts")
		d := AgoraDiagnosis{Ts: r.second(at+".ts", row.values["ts"]), User: r.text(at+".user", row.values["user"]),
			ExpID: r.integer(at+".exp_id", row.values["exp_id"], 4, 6), Cname: r.text(at+".cname", row.values["cname"])}
		if d.User == "" || d.Cname == "" {
			r.fail(at, "no user or no channel")
		}
		tags := r.list(at+".cause_tags", row.values["cause_tags"])
		if len(tags) > 3 {
			r.fail(at+".cause_tags", "%d causes, at most 3 are documented", len(tags))
		}
		for j, t := range tags {
			p := fmt.Sprintf("%s.cause_tags[%d]", at, j)
			tag := r.object(p, t, "factor_id", "host_user")
			c := AgoraCause{FactorID: r.integer(p+".factor_id", tag.values["factor_id"], 1, 47), HostUser: r.text(p+".host_user", tag.values["host_user"])}
			if !slices.Contains(AgoraFactors, c.FactorID) {
				r.fail(p+".factor_id", "%d is no documented cause", c.FactorID)
			}
			d.Causes = append(d.Causes, c)
		}
		out = append(out, d)
	}
	return out, r.err()
}

// AgoraCall is one call of a list.
type AgoraCall struct {
	ID, Cname          string
	Created, Destroyed int64
	Finished           bool
}

// AgoraCalls reads the reply of /beta/analytics/call/lists: at most 10 calls, the newest
// first, and whether there are more.
func AgoraCalls(doc []byte) ([]AgoraCall, bool, error) {
	r, o := agoraEnvelope(doc, "", "has_more", "call_lists")
	more := r.flag("$.has_more", o.values["has_more"])
	rows := r.list("$.call_lists", o.values["call_lists"])
	if len(rows) > 10 {
		r.fail("$.call_lists", "%d calls, at most 10 are documented", len(rows))
	}
	seen := map[string]bool{}
	var out []AgoraCall
	for i, e := range rows {
		at := fmt.Sprintf("$.call_lists[%d]", i)
		row := r.object(at, e, "call_id", "cname", "created_ts", "destroyed_ts", "finished")
		c := AgoraCall{ID: r.text(at+".call_id", row.values["call_id"]), Cname: r.text(at+".cname", row.values["cname"]),
			Created: r.second(at+".created_ts", row.values["created_ts"]), Destroyed: r.second(at+".destroyed_ts", row.values["destroyed_ts"]),
			Finished: r.flag(at+".finished", row.values["finished"])}
		if c.ID == "" || c.Cname == "" || seen[c.ID] {
			r.fail(at, "call %q of %q: no name, or it comes twice", c.ID, c.Cname)
		}
		seen[c.ID] = true
		if c.Destroyed < c.Created {
			r.fail(at, "ends at %d before it begins at %d", c.Destroyed, c.Created)
		}
		if i > 0 && c.Created > out[i-1].Created {
			r.fail(at, "not the newest first")
		}
		out = append(out, c)
	}
	return out, more, r.err()
}

// AgoraUser is one user of a call.
type AgoraUser struct {
	Sid, Cname        string
	UID               int64
	Speaker           bool
	Device            string
	Joined, Left      int64
	Finished          bool
	Network, Platform string
	SDKVersion        string
}

// Point is one value of a series.
type Point struct {
	Ts    int64
	Value float64
}

// AgoraMetric is one series of one user's session.
type AgoraMetric struct {
	Sid     string
	Mid     int64
	PeerUID int64 // 0: of the user itself
	Points  []Point
}

// agoraMids are the documented metrics; those that are percentages end at 100.
var agoraMids = map[int64]float64{20001: 100, 20002: 100, 20003: 1e7, 20004: 1e7, 20005: 1e7, 20006: 1e7, 20007: 1000, 20008: 1000,
	20009: 1e7, 20010: 1000, 20011: 1e7, 20013: 1e7, 20015: 100, 20016: 100, 20017: 100, 20018: 100, 20019: 1e5, 20020: 1e5, 20021: 1e7, 20022: 1e7}

// AgoraDetails reads the reply of /beta/analytics/call/details for a call; metrics says
// whether they were asked for (exclude_metrics_info is not true).
func AgoraDetails(doc []byte, call string, metrics bool) ([]AgoraUser, []AgoraMetric, error) {
	keys := []string{"call_id", "call_info"}
	if metrics {
		keys = append(keys, "metrics")
	}
	r, o := agoraEnvelope(doc, "", keys...)
	if id := r.text("$.call_id", o.values["call_id"]); id != call {
		r.fail("$.call_id", "%q, asked for %q", id, call)
	}
	info := r.list("$.call_info", o.values["call_info"])
	if len(info) > 10 {
		r.fail("$.call_info", "%d users, at most 10 are documented", len(info))
	}
	sessions := map[string]AgoraUser{}
	var users []AgoraUser
	for i, e := range info {
		at := fmt.Sprintf("$.call_info[%d]", i)
		row := r.object(at, e, "sid", "cname", "uid", "network", "platform", "speaker", "sdk_version", "device_type", "join_ts", "leave_ts", "finished")
		u := AgoraUser{Sid: r.text(at+".sid", row.values["sid"]), Cname: r.text(at+".cname", row.values["cname"]),
			UID: r.integer(at+".uid", row.values["uid"], 1, math.MaxUint32), Network: r.text(at+".network", row.values["network"]),
			Platform: r.text(at+".platform", row.values["platform"]), Speaker: r.flag(at+".speaker", row.values["speaker"]),
			SDKVersion: r.text(at+".sdk_version", row.values["sdk_version"]), Device: r.text(at+".device_type", row.values["device_type"]),
			Joined: r.second(at+".join_ts", row.values["join_ts"]), Left: r.second(at+".leave_ts", row.values["leave_ts"]),
			Finished: r.flag(at+".finished", row.values["finished"])}
		if _, twice := sessions[u.Sid]; twice || u.Sid == "" || u.Cname == "" {
			r.fail(at, "session %q of %q: no name, or it comes twice", u.Sid, u.Cname)
		}
		if u.Left < u.Joined {
			r.fail(at, "left at %d before it joined at %d", u.Left, u.Joined)
		}
		if i > 0 && u.Joined > users[i-1].Joined {
			r.fail(at, "not the newest first")
		}
		sessions[u.Sid] = u
		users = append(users, u)
	}
	if !metrics {
		return users, nil, r.err()
	}
	var out []AgoraMetric
	seenSid := map[string]bool{}
	for i, e := range r.list("$.metrics", o.values["metrics"]) {
		at := fmt.Sprintf("$.metrics[%d]", i)
		row := r.object(at, e, "sid", "data")
		sid := r.text(at+".sid", row.values["sid"])
		user, known := sessions[sid]
		if !known || seenSid[sid] {
			r.fail(at+".sid", "%q is not in call_info, or it comes twice", sid)
		}
		seenSid[sid] = true
		type key struct{ mid, peer int64 }
		seen := map[key]bool{}
		for j, d := range r.list(at+".data", row.values["data"]) {
			p := fmt.Sprintf("%s.data[%d]", at, j)
			data := r.object(p, d, "mid", "kvs", "peer_uid")
			m := AgoraMetric{Sid: sid, Mid: r.integer(p+".mid", data.values["mid"], 20001, 20022), PeerUID: r.integer(p+".peer_uid", data.values["peer_uid"], 0, math.MaxUint32)}
			highest, ok := agoraMids[m.Mid]
			if !ok || seen[key{m.Mid, m.PeerUID}] {
				r.fail(p, "mid %d of peer %d is not documented, or it comes twice", m.Mid, m.PeerUID)
			}
			seen[key{m.Mid, m.PeerUID}] = true
			points := r.list(p+".kvs", data.values["kvs"])
			if len(points) == 0 {
				r.fail(p+".kvs", "a series without a value")
			}
			for n, kv := range points {
				q := fmt.Sprintf("%s.kvs[%d]", p, n)
				pair := r.list(q, kv)
				if len(pair) != 2 {
					r.fail(q, "%d elements, want a time and a value", len(pair))
					continue
				}
				pt := Point{r.second(q, pair[0]), r.number(q, pair[1], 0, highest)}
				if known && (pt.Ts < user.Joined || pt.Ts > user.Left) {
					r.fail(q, "%d is outside the session, %d to %d", pt.Ts, user.Joined, user.Left)
				}
				if n > 0 && len(m.Points) > 0 && pt.Ts <= m.Points[len(m.Points)-1].Ts {
					r.fail(q, "times do not rise")
				}
				m.Points = append(m.Points, pt)
			}
			out = append(out, m)
		}
	}
	return users, out, r.err()
}
