package view

import (
	"cmp"
	"maps"
	"slices"

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

// trtc makes the reply with all data types that are known.
func trtc(f *Facts) *TRTC {
	t := &TRTC{Meta: trtcMeta()}
	r := &t.Response
	r.UserList, r.Data = []TRTCUser{}, []TRTCData{}
	users := map[string][]int{} // calls of a device
	for i := range f.Calls {
		c := &f.Calls[i]
		users[c.place()] = append(users[c.place()], i)
		r.UserList = append(r.UserList, TRTCUser{
			RoomStr: c.name(), UserID: c.Device, JoinTs: c.StartMs / 1000, LeaveTs: c.EndMs / 1000,
			Finished: c.Finished, DeviceType: c.Model,
		})
	}
	r.Total = len(r.UserList)
	points, peers := f.pointsByCall(), f.peersByCall(payload.VideoRecv)
	for _, user := range slices.Sorted(maps.Keys(users)) {
		calls := users[user]
		for _, dt := range trtcTypes {
			s := trtcSeries{user: f.Calls[calls[0]].Device, of: dt}
			for _, i := range calls {
				s.call(points[i], peers[i])
			}
			r.Data = append(r.Data, s.sorted()...)
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
	s.by[peer].Content = append(s.by[peer].Content, TRTCPoint{Time: ms / 1000, Value: x.Value})
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
