package view

import (
	"cmp"
	"slices"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// TRTC is the reply of DescribeCallDetail.
type TRTC struct {
	Response TRTCResponse `json:"Response"`
	Meta     *Meta        `json:"_meta,omitempty"`
}

// TRTCResponse is its body.
type TRTCResponse struct {
	Total     int        `json:"Total"`
	UserList  []TRTCUser `json:"UserList"`
	Data      []TRTCData `json:"Data"`
	RequestID string     `json:"RequestId"`
}

// TRTCUser is one user in a room; here the room's device in one call.
type TRTCUser struct {
	RoomStr    string `json:"RoomStr"`
	UserID     string `json:"UserId"`
	JoinTs     int64  `json:"JoinTs"`
	LeaveTs    int64  `json:"LeaveTs"`
	Finished   bool   `json:"Finished"`
	DeviceType string `json:"DeviceType"`
	SDKVersion string `json:"SdkVersion"`
	ClientIP   string `json:"ClientIp"`
}

// TRTCData is one series. PeerId is "" for what the room sends.
type TRTCData struct {
	Content  []TRTCPoint `json:"Content"`
	PeerID   string      `json:"PeerId"`
	UserID   string      `json:"UserId"`
	DataType string      `json:"DataType"`
}

// TRTCPoint is one value at a Unix second.
type TRTCPoint struct {
	Time  int64   `json:"Time"`
	Value float64 `json:"Value"`
}

// mixed is the peer of what the server sends as one stream.
const mixed = "mixed"

type trtcType struct {
	name           string
	group, reading int
}

var trtcTypes = []trtcType{
	{"aBit", payload.AudioSend, bitrate}, {"aBit", payload.AudioRecv, bitrate},
	{"aLoss", payload.AudioSend, loss}, {"aLoss", payload.AudioRecv, loss},
	{"bigvBit", payload.VideoSend, bitrate}, {"bigvBit", payload.VideoRecv, bitrate},
	{"bigvEncFps", payload.VideoSend, fps}, {"bigvDecFps", payload.VideoRecv, fps},
	{"bigvLoss", payload.VideoSend, loss}, {"bigvLoss", payload.VideoRecv, loss},
	{"bigvWidth", payload.VideoSend, width}, {"bigvWidth", payload.VideoRecv, width},
	{"bigvHeight", payload.VideoSend, height}, {"bigvHeight", payload.VideoRecv, height},
}

// trtcAbsent are the data types that need the system's SDK.
var trtcAbsent = []string{"appCpu", "sysCpu", "aBlock", "bigvBlock", "bigvCapFps"}

func trtcNames() []string {
	var names []string
	for _, t := range trtcTypes {
		names = append(names, t.name)
	}
	return slices.Compact(names)
}

// Bounds of a request, from the system's document.
const (
	trtcMaxUsers = 6
	trtcMaxPage  = 100
	trtcMaxRange = time.Hour // with data
)

// trtcCheck rejects what the system rejects, with its error codes.
func trtcCheck(o *Options) error {
	data := !slices.Contains(o.Metrics, NoMetrics)
	switch {
	case len(o.Devices) > trtcMaxUsers:
		return refuse("InvalidParameter.UserIdsMorethanSix", "%d devices, at most %d are allowed", len(o.Devices), trtcMaxUsers)
	case o.Limit > trtcMaxPage:
		return refuse("InvalidParameter.PageSizeOversize", "a page of %d, at most %d are allowed", o.Limit, trtcMaxPage)
	case data && !o.Since.IsZero() && !o.Until.IsZero() && o.Until.Truncate(time.Second).Sub(o.Since) > trtcMaxRange:
		return refuse("InvalidParameter.QueryScaleOversize", "a time range of %v, at most %v is allowed with data", o.Until.Sub(o.Since), trtcMaxRange)
	}
	return nil
}

// trtcDetail makes the reply: the user of the call, and its series by data type.
func trtcDetail(f *Facts, o *Options) any {
	t := &TRTC{Meta: meta("trtc", f, o)}
	r := &t.Response
	r.UserList, r.Data, r.Total = []TRTCUser{}, []TRTCData{}, len(f.Calls)
	users, _ := page(f.Calls, o, trtcMaxUsers)
	points, peers := f.pointsByCall(o), f.peersByCall(payload.VideoRecv)
	for i := range users {
		c := &users[i]
		r.UserList = append(r.UserList, TRTCUser{
			RoomStr: c.name(), UserID: c.place(), JoinTs: c.StartMs / 1000, LeaveTs: c.EndMs / 1000,
			Finished: c.Finished, DeviceType: c.Model,
		})
		for _, dt := range trtcTypes {
			if o.asks(dt.name) {
				s := trtcSeries{user: c.place(), of: dt}
				s.call(points[i], peers[i])
				r.Data = append(r.Data, s.sorted()...)
			}
		}
	}
	return t
}

// trtcSeries collects one data type of one user by peer.
type trtcSeries struct {
	user string
	of   trtcType
	by   map[string]*TRTCData
}

// call adds a call. What is received counts as from the peer "mixed", unless
// stream records tell the streams apart.
func (s *trtcSeries) call(points []*Point, peers []*Peer) {
	found := false
	if s.of.group == payload.VideoRecv {
		for _, p := range peers {
			x := p.Readings[s.of.reading]
			s.add(p.name(), p.TsMs, x)
			found = found || x.Known
		}
	}
	if found {
		return
	}
	peer := ""
	if s.of.group%2 == 1 {
		peer = mixed
	}
	for _, p := range points {
		s.add(peer, p.TsMs, p.get(s.of.group, s.of.reading))
	}
}

// add adds a value; of several in one second the last one counts.
func (s *trtcSeries) add(peer string, ms int64, x cgi.Reading) {
	if !x.Known {
		return
	}
	if s.by == nil {
		s.by = map[string]*TRTCData{}
	}
	if s.by[peer] == nil {
		s.by[peer] = &TRTCData{PeerID: peer, UserID: s.user, DataType: s.of.name}
	}
	d, p := s.by[peer], TRTCPoint{Time: ms / 1000, Value: x.Value}
	if n := len(d.Content); n > 0 && d.Content[n-1].Time == p.Time {
		d.Content[n-1] = p
		return
	}
	d.Content = append(d.Content, p)
}

// sorted returns the series by peer.
func (s *trtcSeries) sorted() []TRTCData {
	var out []TRTCData
	for _, d := range s.by {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b TRTCData) int { return cmp.Compare(a.PeerID, b.PeerID) })
	return out
}
