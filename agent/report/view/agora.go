package view

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// Agora has the replies of Agora Analytics in one document: call details
// (call_id, call_info, metrics), the call list (has_more, call_lists) and, below
// data, live indicators and diagnosis, one row a minute each. A list that was
// asked for is there even when it is empty, as in their replies.
type Agora struct {
	Code      int             `json:"code"`
	Message   string          `json:"message"`
	CallID    *string         `json:"call_id,omitempty"`
	CallInfo  []AgoraUser     `json:"call_info,omitzero"`
	Metrics   []AgoraMetrics  `json:"metrics,omitzero"`
	HasMore   *bool           `json:"has_more,omitempty"`
	CallLists []AgoraCallItem `json:"call_lists,omitzero"`
	Data      []AgoraRow      `json:"data,omitzero"`
	Meta      *Meta           `json:"_meta,omitempty"`
}

// AgoraUser is one user of a call; here the room's device.
type AgoraUser struct {
	SID        string `json:"sid"`
	CName      string `json:"cname"`
	UID        int64  `json:"uid"`
	Network    string `json:"network"`
	Platform   string `json:"platform"`
	Speaker    bool   `json:"speaker"`
	SDKVersion string `json:"sdk_version"`
	DeviceType string `json:"device_type"`
	JoinTs     int64  `json:"join_ts"`
	LeaveTs    int64  `json:"leave_ts"`
	Finished   bool   `json:"finished"`
}

// AgoraMetrics are the series of one user's call.
type AgoraMetrics struct {
	SID  string        `json:"sid"`
	Data []AgoraSeries `json:"data"`
}

// AgoraSeries is one metric: pairs of Unix second and value.
type AgoraSeries struct {
	MID     int          `json:"mid"`
	KVs     [][2]float64 `json:"kvs"`
	PeerUID int64        `json:"peer_uid"`
}

// AgoraCallItem is one call of the call list.
type AgoraCallItem struct {
	CallID      string `json:"call_id"`
	CName       string `json:"cname"`
	CreatedTs   int64  `json:"created_ts"`
	DestroyedTs int64  `json:"destroyed_ts"`
	Finished    bool   `json:"finished"`
}

// AgoraRow is one minute: either the live indicators or a diagnosis.
type AgoraRow struct {
	PCC       *int64     `json:"pcc,omitempty"`
	PCU       *int64     `json:"pcu,omitempty"`
	VideoUp   *float64   `json:"videoUpstreamExcellentTransRate,omitempty"`
	AudioUp   *float64   `json:"audioUpstreamExcellentTransRate,omitempty"`
	User      string     `json:"user,omitempty"`
	ExpID     int        `json:"exp_id,omitempty"`
	CName     string     `json:"cname,omitempty"`
	CauseTags []AgoraTag `json:"cause_tags,omitempty"`
	Ts        int64      `json:"ts"`
}

// AgoraTag is one root cause; host_user is "" when it is the room's own.
type AgoraTag struct {
	FactorID int    `json:"factor_id"`
	HostUser string `json:"host_user"`
}

// agoraMID ties a metric id to a reading. The approximate ones are loss rates:
// who measures over which window is not documented.
type agoraMID struct {
	mid, group, reading int
	approximate         bool
}

var agoraMIDs = []agoraMID{
	{20003, payload.AudioSend, bitrate, false},
	{20004, payload.AudioRecv, bitrate, false},
	{20006, payload.VideoSend, bitrate, false},
	{20008, payload.VideoSend, fps, false},
	{20009, payload.VideoRecv, bitrate, false},
	{20010, payload.VideoRecv, fps, false},
	{20015, payload.AudioSend, loss, true},
	{20017, payload.VideoSend, loss, true},
	{20019, payload.VideoSend, width, false},
	{20020, payload.VideoSend, height, false},
}

// agora makes the parts asked for: "" = all, "details", "lists", "live",
// "diagnosis".
func agora(f *Facts, o Options) *Agora {
	a := &Agora{Code: 200, Meta: agoraMeta(o)}
	all := o.Part == ""
	if all || o.Part == "live" || o.Part == "diagnosis" {
		a.Data = []AgoraRow{}
	}
	if all || o.Part == "details" {
		a.details(f, o.Approximate)
	}
	if all || o.Part == "lists" {
		a.lists(f)
	}
	if all || o.Part == "live" {
		a.live(f, o.Approximate)
	}
	if all || o.Part == "diagnosis" {
		a.diagnosis(f, o.Suspected)
	}
	if o.Part == "live" || o.Part == "diagnosis" {
		a.Message = "success"
	}
	return a
}

// details has one user entry and one set of series for each call; call_id is the
// newest call's.
func (a *Agora) details(f *Facts, approximate bool) {
	id := ""
	a.CallInfo, a.Metrics = []AgoraUser{}, []AgoraMetrics{}
	points, peers := f.pointsByCall(), f.peersByCall(payload.VideoRecv)
	for i := range f.Calls {
		c := &f.Calls[i]
		id = c.ID
		a.CallInfo = append(a.CallInfo, AgoraUser{
			SID: c.ID, CName: c.name(), UID: c.uid(), Speaker: c.Sends, DeviceType: c.Model,
			JoinTs: c.StartMs / 1000, LeaveTs: c.EndMs / 1000, Finished: c.Finished,
		})
		a.Metrics = append(a.Metrics, AgoraMetrics{SID: c.ID, Data: agoraSeries(points[i], peers[i], approximate)})
	}
	a.CallID = &id
	slices.Reverse(a.CallInfo) // by joining time, the newest first
	slices.Reverse(a.Metrics)
}

// agoraSeries makes the series of one call from its points and received videos.
func agoraSeries(points []*Point, peers []*Peer, approximate bool) []AgoraSeries {
	out := []AgoraSeries{}
	for _, m := range agoraMIDs {
		if m.approximate && !approximate {
			continue
		}
		s := AgoraSeries{MID: m.mid}
		for _, p := range points {
			s.add(p.TsMs, p.get(m.group, m.reading))
		}
		rows := peerRows(peers, m)
		switch {
		case len(rows) > 0:
			out = append(out, rows...)
		case len(s.KVs) > 0:
			out = append(out, s)
		}
	}
	return out
}

func (s *AgoraSeries) add(ms int64, x cgi.Reading) {
	if x.Known {
		s.KVs = append(s.KVs, [2]float64{float64(ms / 1000), x.Value})
	}
}

// peerRows returns received video by stream, when there are stream records:
// peer_uid is the stream's index + 1 because 0 means local.
func peerRows(peers []*Peer, m agoraMID) []AgoraSeries {
	if m.group != payload.VideoRecv {
		return nil
	}
	rows := map[int64]*AgoraSeries{}
	for _, p := range peers {
		if rows[p.Index] == nil {
			rows[p.Index] = &AgoraSeries{MID: m.mid, PeerUID: p.Index + 1}
		}
		rows[p.Index].add(p.TsMs, p.Readings[m.reading])
	}
	var out []AgoraSeries
	for _, s := range rows {
		if len(s.KVs) > 0 {
			out = append(out, *s)
		}
	}
	slices.SortFunc(out, func(a, b AgoraSeries) int { return cmp.Compare(a.PeerUID, b.PeerUID) })
	return out
}

// lists has the calls, the newest first.
func (a *Agora) lists(f *Facts) {
	more := false
	a.HasMore, a.CallLists = &more, []AgoraCallItem{}
	for i := len(f.Calls) - 1; i >= 0; i-- {
		c := &f.Calls[i]
		item := AgoraCallItem{CallID: c.ID, CName: c.name(), CreatedTs: c.StartMs / 1000, Finished: c.Finished}
		item.DestroyedTs = c.EndMs / 1000
		a.CallLists = append(a.CallLists, item)
	}
}

const minuteMs = 60_000

// minuteFacts are the points of one minute.
type minuteFacts struct {
	start  int64
	points []*Point
}

// byMinute groups the points by UTC minute.
func byMinute(points []Point) []minuteFacts {
	var out []minuteFacts
	for i := range points {
		p := &points[i]
		start := p.TsMs / minuteMs * minuteMs
		if len(out) == 0 || out[len(out)-1].start != start {
			out = append(out, minuteFacts{start: start})
		}
		m := &out[len(out)-1]
		m.points = append(m.points, p)
	}
	return out
}

// live has the number of rooms in a call and, when approximate values are
// wanted, the share of samples with 5 % loss or less on the way up.
func (a *Agora) live(f *Facts, approximate bool) {
	for _, m := range byMinute(f.Points) {
		users, channels := map[string]bool{}, map[int]bool{}
		for _, p := range m.points {
			users[f.Calls[p.Call].place()] = true
			channels[p.Call] = true
		}
		pcu, pcc := int64(len(users)), int64(len(channels))
		row := AgoraRow{PCU: &pcu, PCC: &pcc, Ts: m.start / 1000}
		if approximate {
			row.AudioUp = excellent(m.points, payload.AudioSend)
			row.VideoUp = excellent(m.points, payload.VideoSend)
		}
		a.Data = append(a.Data, row)
	}
}

// excellent is the share of samples with a loss of at most 5 %, in percent; nil
// without a sample that says it.
func excellent(points []*Point, group int) *float64 {
	n, good := 0, 0
	for _, p := range points {
		if x := p.get(group, loss); x.Known {
			n++
			if x.Value <= 5 {
				good++
			}
		}
	}
	if n == 0 {
		return nil
	}
	v := math.Round(10000*float64(good)/float64(n)) / 100
	return &v
}

// Agora's experience ids. Freezing is not measured here, so they are given only
// when suspicion is asked for.
const (
	expVideo, expAudio = 4, 5
	maxTags            = 3
	gradePoor          = 3
)

// diagnosis has one row a minute and call that was poor, with its causes.
func (a *Agora) diagnosis(f *Facts, suspected bool) {
	for _, m := range byMinute(f.Points) {
		count := map[int]map[int]int{} // call, factor
		for _, p := range m.points {
			if p.Grade != gradePoor {
				continue
			}
			if count[p.Call] == nil {
				count[p.Call] = map[int]int{}
			}
			for _, id := range p.Factors {
				count[p.Call][id]++
			}
		}
		for _, call := range slices.Sorted(maps.Keys(count)) {
			row := AgoraRow{User: f.Calls[call].Device, CName: f.Calls[call].name(), Ts: m.start / 1000}
			row.tags(count[call], suspected)
			if len(row.CauseTags) > 0 {
				a.Data = append(a.Data, row)
			}
		}
	}
}

// audioFactors are the factor ids of audio.
var audioFactors = []int{9, 22, 24, 43, 45, 47}

// tags names the most frequent causes. All are measured between the room and the
// server, so host_user is "", the room's own.
func (r *AgoraRow) tags(count map[int]int, suspected bool) {
	ids := slices.SortedFunc(maps.Keys(count), func(a, b int) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	for _, id := range ids[:min(len(ids), maxTags)] {
		r.CauseTags = append(r.CauseTags, AgoraTag{FactorID: id})
	}
	if suspected && len(ids) > 0 {
		r.ExpID = expVideo
		if slices.Contains(audioFactors, ids[0]) {
			r.ExpID = expAudio
		}
	}
}
