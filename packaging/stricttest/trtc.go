package stricttest

import (
	"fmt"
	"slices"
)

// TRTCUser is one user of a call.
type TRTCUser struct {
	RoomStr, UserID, DeviceType, SdkVersion, ClientIP string
	Joined, Left                                      int64
	Finished                                          bool
}

// TRTCSeries is one metric of one user, of a peer's stream where PeerID is not "".
type TRTCSeries struct {
	PeerID, UserID, DataType string
	Points                   []Point
}

// TRTCCall is the reply of DescribeCallDetail.
type TRTCCall struct {
	Total     int64
	Users     []TRTCUser
	Data      []TRTCSeries
	RequestID string
}

// trtcTypes are the documented metrics with the highest value each may have.
var trtcTypes = map[string]float64{"appCpu": 100, "sysCpu": 100, "aBit": 1e7, "aBlock": 1e7, "bigvBit": 1e7, "bigvCapFps": 1000, "bigvEncFps": 1000,
	"bigvDecFps": 1000, "bigvBlock": 1e7, "aLoss": 100, "bigvLoss": 100, "bigvWidth": 1e5, "bigvHeight": 1e5}

// TRTC reads the reply of DescribeCallDetail that was asked for a page of size users and
// the data types; without types the reply holds the list of users alone, and "all" stands
// for every type.
func TRTC(doc []byte, size int, types ...string) (TRTCCall, error) {
	r, v := open(doc)
	o := r.object("$", v, "Response")
	res := r.object("$.Response", o.values["Response"], "Total", "UserList", "Data", "RequestId")
	call := TRTCCall{Total: r.integer("$.Response.Total", res.values["Total"], 0, 1e6), RequestID: r.text("$.Response.RequestId", res.values["RequestId"])}
	users := map[string][]TRTCUser{}
	rows := r.list("$.Response.UserList", res.values["UserList"])
	if len(rows) > size || int64(len(rows)) > call.Total {
		r.fail("$.Response.UserList", "%d users, asked for %d of %d", len(rows), size, call.Total)
	}
	for i, e := range rows {
		at := fmt.Sprintf("$.Response.UserList[%d]", i)
		row := r.object(at, e, "RoomStr", "UserId", "JoinTs", "LeaveTs", "Finished", "DeviceType", "SdkVersion", "ClientIp")
		u := TRTCUser{RoomStr: r.text(at+".RoomStr", row.values["RoomStr"]), UserID: r.text(at+".UserId", row.values["UserId"]),
			Joined: r.second(at+".JoinTs", row.values["JoinTs"]), Left: r.second(at+".LeaveTs", row.values["LeaveTs"]), Finished: r.flag(at+".Finished", row.values["Finished"]),
			DeviceType: r.text(at+".DeviceType", row.values["DeviceType"]), SdkVersion: r.text(at+".SdkVersion", row.values["SdkVersion"]), ClientIP: r.text(at+".ClientIp", row.values["ClientIp"])}
		if u.RoomStr == "" || u.UserID == "" || u.Left < u.Joined {
			r.fail(at, "no room, no user, or left before it joined")
		}
		users[u.UserID] = append(users[u.UserID], u)
		call.Users = append(call.Users, u)
	}
	seen := map[string]bool{}
	for i, e := range r.list("$.Response.Data", res.values["Data"]) {
		at := fmt.Sprintf("$.Response.Data[%d]", i)
		row := r.object(at, e, "Content", "PeerId", "UserId", "DataType")
		s := TRTCSeries{PeerID: r.text(at+".PeerId", row.values["PeerId"]), UserID: r.text(at+".UserId", row.values["UserId"]), DataType: r.text(at+".DataType", row.values["DataType"])}
		highest, ok := trtcTypes[s.DataType]
		if !ok || !slices.Contains(types, s.DataType) && !slices.Contains(types, "all") {
			r.fail(at+".DataType", "%q is not documented, or was not asked for", s.DataType)
		}
		if key := s.UserID + "|" + s.PeerID + "|" + s.DataType; seen[key] {
			r.fail(at, "the same series comes twice")
		} else {
			seen[key] = true
		}
		if users[s.UserID] == nil {
			r.fail(at+".UserId", "%q is not in UserList", s.UserID)
		}
		content := r.list(at+".Content", row.values["Content"])
		if len(content) == 0 {
			r.fail(at+".Content", "a series without a value")
		}
		for j, c := range content {
			p := fmt.Sprintf("%s.Content[%d]", at, j)
			pair := r.object(p, c, "Time", "Value")
			pt := Point{r.second(p+".Time", pair.values["Time"]), r.number(p+".Value", pair.values["Value"], 0, highest)}
			inside := func(u TRTCUser) bool { return pt.Ts >= u.Joined && pt.Ts <= u.Left }
			if users[s.UserID] != nil && !slices.ContainsFunc(users[s.UserID], inside) {
				r.fail(p+".Time", "%d is in no stay of %s", pt.Ts, s.UserID)
			}
			if j > 0 && len(s.Points) > 0 && pt.Ts <= s.Points[len(s.Points)-1].Ts {
				r.fail(p+".Time", "times do not rise")
			}
			s.Points = append(s.Points, pt)
		}
		call.Data = append(call.Data, s)
	}
	return call, r.err()
}

// TRTCError reads the envelope of a refused request: code and message.
func TRTCError(doc []byte) (code, message string, err error) {
	r, v := open(doc)
	o := r.object("$", v, "Response")
	res := r.object("$.Response", o.values["Response"], "Error", "RequestId")
	if r.text("$.Response.RequestId", res.values["RequestId"]) == "" {
		r.fail("$.Response.RequestId", "a unique id is returned for each request")
	}
	e := r.object("$.Response.Error", res.values["Error"], "Code", "Message")
	code, message = r.text("$.Response.Error.Code", e.values["Code"]), r.text("$.Response.Error.Message", e.values["Message"])
	if code == "" || message == "" {
		r.fail("$.Response.Error", "no code or no message")
	}
	return code, message, r.err()
}
