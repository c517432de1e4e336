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

// mixed stands for the peers of what the server sends as one.
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

// trtc makes the reply with all data types that can be told.
func trtc(f *Facts) *TRTC {
	t := &TRTC{Meta: trtcMeta()}
	r := &t.Response
	r.UserList, r.Data = []TRTCUser{}, []TRTCData{}
	users := map[string]bool{}
	for i := range f.Calls {
		c := &f.Calls[i]
		users[c.Device] = true
		r.UserList = append(r.UserList, TRTCUser{
			RoomStr: c.name(), UserID: c.Device, JoinTs: c.StartMs / 1000, LeaveTs: c.EndMs / 1000,
			Finished: c.Finished, DeviceType: c.Model,
		})
	}
	r.Total = len(r.UserList)
	for _, user := range slices.Sorted(maps.Keys(users)) {
		for _, dt := range trtcTypes {
			r.Data = append(r.Data, trtcSeries(f, user, dt)...)
		}
	}
	return t
}

// trtcSeries is one data type of one user. What is received counts as from the
// peer "mixed", unless stream records tell the streams apart.
func trtcSeries(f *Facts, user string, dt trtcType) []TRTCData {
	series := map[string]*TRTCData{}
	add := func(peer string, ms int64, x cgi.Reading) {
		if !x.Known {
			return
		}
		if series[peer] == nil {
			series[peer] = &TRTCData{PeerID: peer, UserID: user, DataType: dt.name}
		}
		series[peer].Content = append(series[peer].Content, TRTCPoint{Time: ms / 1000, Value: x.Value})
	}
	if dt.group == payload.VideoRecv {
		for i := range f.Peers {
			if p := &f.Peers[i]; p.Group == dt.group && f.Calls[p.Call].Device == user {
				add(p.name(), p.TsMs, p.get(dt.reading))
			}
		}
	}
	if len(series) == 0 {
		peer := ""
		if dt.group%2 == 1 {
			peer = mixed
		}
		for i := range f.Points {
			if p := &f.Points[i]; f.Calls[p.Call].Device == user {
				add(peer, p.TsMs, p.get(dt.group, dt.reading))
			}
		}
	}
	var out []TRTCData
	for _, s := range series {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b TRTCData) int { return cmp.Compare(a.PeerID, b.PeerID) })
	return out
}
