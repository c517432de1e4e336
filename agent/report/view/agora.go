package view

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// AgoraDetails is the reply of Agora Analytics' call details. Metrics is absent
// when they are not asked for, and empty when there are none, as in their reply.
type AgoraDetails struct {
	Code     int            `json:"code"`
	Message  string         `json:"message"`
	CallID   string         `json:"call_id"`
	CallInfo []AgoraUser    `json:"call_info"`
	Metrics  []AgoraMetrics `json:"metrics,omitzero"`
	Meta     *Meta          `json:"_meta,omitempty"`
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

// AgoraSeries is one metric: pairs of Unix second and value, at most one a second.
type AgoraSeries struct {
	MID     int          `json:"mid"`
	KVs     [][2]float64 `json:"kvs"`
	PeerUID int64        `json:"peer_uid"`
}

// AgoraLists is the reply of the call list.
type AgoraLists struct {
	Code      int             `json:"code"`
	Message   string          `json:"message"`
	HasMore   bool            `json:"has_more"`
	CallLists []AgoraCallItem `json:"call_lists"`
	Meta      *Meta           `json:"_meta,omitempty"`
}

// AgoraCallItem is one call of the call list.
type AgoraCallItem struct {
	CallID      string `json:"call_id"`
	CName       string `json:"cname"`
	CreatedTs   int64  `json:"created_ts"`
	DestroyedTs int64  `json:"destroyed_ts"`
	Finished    bool   `json:"finished"`
}

// AgoraData is the reply of the parts that have rows by time.
type AgoraData[Row any] struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    []Row  `json:"data"`
	Meta    *Meta  `json:"_meta,omitempty"`
}

// The rows of AgoraData: a minute each, AgoraUsage a UTC day.
type (
	AgoraScaleRow struct {
		PCC *int64 `json:"pcc,omitempty"`
		PCU *int64 `json:"pcu,omitempty"`
		Ts  int64  `json:"ts"`
	}
	AgoraNetRow struct {
		VideoUp *float64 `json:"videoUpstreamExcellentTransRate,omitempty"`
		AudioUp *float64 `json:"audioUpstreamExcellentTransRate,omitempty"`
		Ts      int64    `json:"ts"`
	}
	AgoraExperienceRow struct { // never there: none of it is measured
		Ts int64 `json:"ts"`
	}
	AgoraDiagnosisRow struct {
		User      string     `json:"user"`
		ExpID     int        `json:"exp_id"`
		CName     string     `json:"cname"`
		CauseTags []AgoraTag `json:"cause_tags"`
		Ts        int64      `json:"ts"`
	}
	AgoraUsageRow struct {
		UserCount    *int64 `json:"userCount,omitempty"`
		SessionCount *int64 `json:"sessionCount,omitempty"`
		ChannelCount *int64 `json:"channelCount,omitempty"`
		Ts           int64  `json:"ts"`
	}
)

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

// agoraAbsentMIDs need the system's own client, or the other end of the call.
var agoraAbsentMIDs = []string{"20001", "20002", "20005", "20007", "20011", "20013", "20016", "20018", "20021", "20022"}

func agoraMIDNames() []string {
	var names []string
	for _, m := range agoraMIDs {
		names = append(names, strconv.Itoa(m.mid))
	}
	return names
}

// agoraDetails has the user of the call and the series, of the time asked for.
func agoraDetails(f *Facts, o *Options) any {
	a := &AgoraDetails{Code: 200, CallInfo: []AgoraUser{}, Meta: meta("agora", f, o)}
	if !slices.Contains(o.Metrics, NoMetrics) {
		a.Metrics = []AgoraMetrics{}
	}
	users, _ := page(f.Calls, o, 10)
	points, peers := f.pointsByCall(o), f.peersByCall(payload.VideoRecv)
	for i := range users {
		c := &users[i]
		a.CallID = c.ID
		a.CallInfo = append(a.CallInfo, AgoraUser{
			SID: c.ID, CName: c.name(), UID: c.uid(), Speaker: c.Sends, DeviceType: c.Model,
			JoinTs: c.StartMs / 1000, LeaveTs: c.EndMs / 1000, Finished: c.Finished,
		})
		if a.Metrics != nil {
			a.Metrics = append(a.Metrics, AgoraMetrics{SID: c.ID, Data: agoraSeries(points[i], peers[i], o)})
		}
	}
	return a
}

// agoraSeries makes the series of one call from its points and received videos.
func agoraSeries(points []*Point, peers []*Peer, o *Options) []AgoraSeries {
	out := []AgoraSeries{}
	for _, m := range agoraMIDs {
		name := strconv.Itoa(m.mid)
		if m.approximate && !o.asksApproximate(name) || !o.asks(name) {
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

// add adds a value; of several in one second the last one counts.
func (s *AgoraSeries) add(ms int64, x cgi.Reading) {
	if !x.Known {
		return
	}
	kv := [2]float64{float64(ms / 1000), x.Value}
	if n := len(s.KVs); n > 0 && s.KVs[n-1][0] == kv[0] {
		s.KVs[n-1] = kv
		return
	}
	s.KVs = append(s.KVs, kv)
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

// agoraLists has the calls, the newest first.
func agoraLists(f *Facts, o *Options) any {
	a := &AgoraLists{Code: 200, CallLists: []AgoraCallItem{}, Meta: meta("agora", f, o)}
	newest := slices.Clone(f.Calls)
	slices.Reverse(newest)
	calls, more := page(newest, o, 10)
	a.HasMore = more
	for i := range calls {
		c := &calls[i]
		a.CallLists = append(a.CallLists, AgoraCallItem{
			CallID: c.ID, CName: c.name(), CreatedTs: c.StartMs / 1000, DestroyedTs: c.EndMs / 1000, Finished: c.Finished,
		})
	}
	return a
}

// minutePoints are the points of one minute.
type minutePoints struct {
	start  int64
	points []*Point
}

// byMinute groups the points by UTC minute.
func byMinute(points []Point) []minutePoints {
	var out []minutePoints
	for i := range points {
		p := &points[i]
		start := p.TsMs / minuteMs * minuteMs
		if len(out) == 0 || out[len(out)-1].start != start {
			out = append(out, minutePoints{start: start})
		}
		m := &out[len(out)-1]
		m.points = append(m.points, p)
	}
	return out
}

// agoraRows makes the rows of the minutes that are asked for.
func agoraRows[Row any](f *Facts, o *Options, row func(m *minutePoints) []Row) *AgoraData[Row] {
	a := &AgoraData[Row]{Code: 200, Message: "success", Data: []Row{}, Meta: meta("agora", f, o)}
	for _, m := range byMinute(f.Points) {
		rows := row(&m)
		if o.in(m.start) {
			a.Data = append(a.Data, rows...)
		}
	}
	return a
}

// agoraScale has how many rooms were in a call, and how many calls there were, at
// one time: the highest number of the minute, as samples saw it. A call has one
// room, so the two are the same.
func agoraScale(f *Facts, o *Options) any {
	open := openCalls{edges: seen(f)}
	return agoraRows(f, o, func(m *minutePoints) []AgoraScaleRow {
		most := open.most(m.start + minuteMs)
		row := AgoraScaleRow{Ts: m.start / 1000}
		if o.asks("pcu") {
			row.PCU = &most
		}
		if o.asks("pcc") {
			row.PCC = &most
		}
		return []AgoraScaleRow{row}
	})
}

// edge is the first or the last sample of a call.
type edge struct {
	ms   int64
	step int64 // +1, -1
}

// seen returns the first and last samples of all calls by time; of one time the
// first ones first.
func seen(f *Facts) []edge {
	first, last := map[int]int64{}, map[int]int64{}
	for i := range f.Points {
		p := &f.Points[i]
		if _, known := first[p.Call]; !known {
			first[p.Call] = p.TsMs
		}
		last[p.Call] = p.TsMs
	}
	var edges []edge
	for call, ms := range first {
		edges = append(edges, edge{ms, 1}, edge{last[call], -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(b.step, a.step)) })
	return edges
}

// openCalls walks through the edges.
type openCalls struct {
	edges []edge
	open  int64
}

// most is the highest number of open calls since the last question, until a time.
func (w *openCalls) most(until int64) int64 {
	most := w.open
	for len(w.edges) > 0 && w.edges[0].ms < until {
		w.open += w.edges[0].step
		most = max(most, w.open)
		w.edges = w.edges[1:]
	}
	return most
}

// agoraNet has the share of samples with 5 % loss or less on the way up.
func agoraNet(f *Facts, o *Options) any {
	const video, audio = "videoUpstreamExcellentTransRate", "audioUpstreamExcellentTransRate"
	return agoraRows(f, o, func(m *minutePoints) []AgoraNetRow {
		row := AgoraNetRow{Ts: m.start / 1000}
		if o.asks(video) {
			row.VideoUp = excellent(m.points, payload.VideoSend)
		}
		if o.asks(audio) {
			row.AudioUp = excellent(m.points, payload.AudioSend)
		}
		if row.VideoUp == nil && row.AudioUp == nil {
			return nil
		}
		return []AgoraNetRow{row}
	})
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

// agoraExperience has no row: joining and freezing are not measured here.
func agoraExperience(f *Facts, o *Options) any {
	return agoraRows(f, o, func(*minutePoints) []AgoraExperienceRow { return nil })
}

// Agora's experience ids: video freezes, audio freezes. Which one is suspected comes
// from the medium of the first cause; freezing itself is not measured.
const (
	expVideo, expAudio = 4, 5
	maxTags            = 3
	gradePoor          = 3
)

// agoraDiagnosis has one row a minute and call that was poor, with its causes, the
// newest first.
func agoraDiagnosis(f *Facts, o *Options) any {
	a := agoraRows(f, o, func(m *minutePoints) []AgoraDiagnosisRow {
		causes := map[int][]Cause{} // by call
		for i, p := range m.points {
			if p.Grade == gradePoor && !repeated(p, m.points[i+1:]) {
				causes[p.Call] = Count(causes[p.Call], p.Factors)
			}
		}
		var rows []AgoraDiagnosisRow
		for _, call := range slices.Sorted(maps.Keys(causes)) {
			c := &f.Calls[call]
			row := AgoraDiagnosisRow{User: c.user(), CName: c.name(), Ts: m.start / 1000, ExpID: expVideo}
			// All are measured between the room and the server, so host_user is "".
			for _, id := range Rank(causes[call]) {
				row.CauseTags = append(row.CauseTags, AgoraTag{FactorID: id})
			}
			if len(row.CauseTags) == 0 {
				continue
			}
			if slices.Contains(audioFactors, row.CauseTags[0].FactorID) {
				row.ExpID = expAudio
			}
			rows = append(rows, row)
		}
		return rows
	})
	slices.Reverse(a.Data)
	a.Data, _ = page(a.Data, o, 10)
	a.Meta.Users = map[string]string{}
	users := f.users()
	for _, row := range a.Data {
		a.Meta.Users[row.User] = users[row.User]
	}
	return a
}

// repeated reports whether a later point of the same call and second follows: a second
// counts once, with its last point.
func repeated(p *Point, later []*Point) bool {
	for _, x := range later {
		if x.TsMs/1000 != p.TsMs/1000 {
			return false
		}
		if x.Call == p.Call {
			return true
		}
	}
	return false
}

// audioFactors are the factor ids of audio.
var audioFactors = []int{9, 22, 24, 43, 45, 47}

// agoraUsage has one row a whole UTC day that has any record: rooms with a call, calls
// that began. Every call is a session and a channel of its own.
func agoraUsage(f *Facts, o *Options) any {
	a := &AgoraData[AgoraUsageRow]{Code: 200, Message: "success", Data: []AgoraUsageRow{}, Meta: meta("agora", f, o)}
	rooms, calls := map[int64]map[string]bool{}, map[int64]int64{}
	for i := range f.Calls {
		c := &f.Calls[i]
		day := c.StartMs / dayMs * dayMs
		if rooms[day] == nil {
			rooms[day] = map[string]bool{}
		}
		rooms[day][c.place()] = true
		calls[day]++
	}
	days := slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(f.Days), maps.Keys(calls)))))
	for _, day := range days {
		if !o.in(day) || !o.Until.IsZero() && day+dayMs > o.Until.UnixMilli()+1000 {
			continue
		}
		users, n := int64(len(rooms[day])), calls[day]
		row := AgoraUsageRow{Ts: day / 1000}
		for _, m := range []struct {
			name  string
			to    **int64
			value *int64
		}{{"userCount", &row.UserCount, &users}, {"sessionCount", &row.SessionCount, &n}, {"channelCount", &row.ChannelCount, &n}} {
			if o.asks(m.name) {
				*m.to = m.value
			}
		}
		a.Data = append(a.Data, row)
	}
	return a
}
