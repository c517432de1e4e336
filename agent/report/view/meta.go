package view

import "slices"

// Meta says of every key of a document how good it is. It is not part of the
// other system's reply.
type Meta struct {
	Source string `json:"source"`
	Part   string `json:"part"` // the part of the other system's interface, see Parts
	// CallID is the call of a document of one call: not all of these replies name it.
	CallID string `json:"call_id,omitempty"`
	// Exact: the same fact. Approximate: close, with the reason. Absent: the
	// endpoint does not say it, so the key is empty or not there.
	Exact       []string `json:"exact"`
	Approximate []string `json:"approximate"`
	Absent      []string `json:"absent"`
	// Users names the devices (client_id/device) behind the numbers of Agora's users.
	Users map[string]string `json:"users,omitempty"`
	// Skipped counts input lines that are read and no records (convert only).
	Skipped int `json:"skipped,omitempty"`
}

// level says how good a key is.
type level int

const (
	exact level = iota
	approximate
	absent
	onlyIfAsked // approximate, and left out unless it is asked for
)

// served is one row of the list of what is served.
type served struct {
	system string
	parts  []string // nil = all
	level  level
	what   string
}

// list is what the documents serve, and what they do not, with the reason.
// docs/convert.md has the same rows.
var list = []served{
	{"zoom", nil, exact, "date_time (start of the UTC minute)"},
	{"zoom", nil, exact, "bitrate (last of the minute, rounded)"},
	{"zoom", nil, exact, "frame_rate (last)"},
	{"zoom", nil, exact, "jitter (last)"},
	{"zoom", nil, exact, "resolution (last; exact when the endpoint gives both numbers)"},
	{"zoom", nil, exact, "as_input, as_output (content share)"},
	{"zoom", nil, approximate, "latency (network delay; one way or round trip is not documented, time in the application is not in it)"},
	{"zoom", nil, approximate, "avg_loss, max_loss (mean and maximum of the minute's samples, windows of about 6 s)"},
	{"zoom", nil, approximate, "resolution (width by 16:9 when the endpoint gives the height alone)"},
	{"zoom", nil, absent, "cpu_usage (the endpoint does not say it)"},

	{"agora", []string{"details"}, exact, "call_id, sid, cname, device_type, speaker, finished"},
	{"agora", []string{"lists"}, exact, "call_id, cname, finished, has_more"},
	{"agora", []string{"details"}, exact, "mid 20003, 20004, 20006, 20008, 20010"},
	{"agora", []string{"details"}, exact, "mid 20009 (by stream with stream records, else the sum at peer_uid 0)"},
	{"agora", []string{"details"}, exact, "mid 20019, 20020 (what the room sends; 20019 when the endpoint gives both numbers)"},
	{"agora", []string{"scale"}, exact, "pcc, pcu (of the rooms in the input: most at one time in the minute, as samples saw them)"},
	{"agora", []string{"usage"}, exact, "userCount, sessionCount, channelCount (of the rooms in the input; a call counts on the day when it began, UTC)"},
	{"agora", []string{"diagnosis"}, exact, "cname"},
	{"agora", []string{"details"}, approximate, "join_ts (up to one poll, or 60 s by the join timer)"},
	{"agora", []string{"details"}, approximate, "leave_ts (up to one poll late; the last sample where nobody saw the end)"},
	{"agora", []string{"lists"}, approximate, "created_ts (up to one poll, or 60 s by the join timer)"},
	{"agora", []string{"lists"}, approximate, "destroyed_ts (up to one poll late; the last sample where nobody saw the end)"},
	{"agora", []string{"details"}, approximate, "uid (a hash of client_id/device)"},
	{"agora", []string{"details"}, approximate, "peer_uid (index of the received stream + 1)"},
	{"agora", []string{"details"}, approximate, "mid 20019 (by 16:9 when the endpoint gives the height alone)"},
	{"agora", []string{"details"}, onlyIfAsked, "mid 20015, 20017 (loss in windows of about 6 s; theirs is not documented)"},
	{"agora", []string{"net"}, approximate, "audioUpstreamExcellentTransRate, videoUpstreamExcellentTransRate (share of samples, not of packets)"},
	{"agora", []string{"diagnosis"}, approximate, "user (uid of the call details, a hash of client_id/device)"},
	{"agora", []string{"diagnosis"}, approximate, "cause_tags (limits of the room's profile, not Agora's)"},
	{"agora", []string{"diagnosis"}, approximate, "exp_id 4, 5 (suspected from the first cause; freezing is not measured)"},
	{"agora", []string{"details"}, absent, "network, platform, sdk_version (the endpoint does not say them)"},
	{"agora", []string{"details"}, absent, "mid 20001, 20002, 20005, 20007, 20011, 20013, 20021, 20022 (need their client)"},
	{"agora", []string{"details"}, absent, "mid 20016, 20018 (end-to-end loss; only the way from the server is seen)"},
	{"agora", []string{"experience"}, absent, "joinSuccessRate, joinSuccess5SecsRate, videoFreezeRate, audioFreezeRate (need their client)"},
	{"agora", []string{"net"}, absent, "audioEnd2EndExcellentTransRate, videoEnd2EndExcellentTransRate (only the way to the server is seen)"},
	{"agora", []string{"diagnosis"}, absent, "exp_id 6 (joining is not seen)"},

	{"volc", nil, exact, "AggregateGranularity"},
	{"volc", nil, exact, "TimeStamp (start of the bucket, in the time zone asked for)"},
	{"volc", nil, exact, "poor_time_rate (share of graded samples; a name of roomcall's own)"},
	{"volc", nil, approximate, "audio_uplink_loss_rate, audio_downlink_loss_rate, video_uplink_loss_rate, video_downlink_loss_rate " +
		"(mean of samples, windows of about 6 s; names of roomcall's own)"},
	{"volc", nil, absent, "RequestId, Region (no request reaches their service)"},
	{"volc", nil, absent, "stall_rate, join_room_success_rate, 5s_join_room_success_rate, 10s_join_room_success_rate, AudioStallDuration " +
		"and every other indicator of the system's own (need their SDK)"},

	{"trtc", nil, exact, "UserId (client_id/device), RoomStr, Finished, DeviceType, Total"},
	{"trtc", nil, exact, "aBit, bigvBit, bigvEncFps, bigvWidth, bigvHeight with PeerId \"\" (what the room sends)"},
	{"trtc", nil, approximate, "JoinTs (up to one poll, or 60 s by the join timer)"},
	{"trtc", nil, approximate, "LeaveTs (up to one poll late; the last sample where nobody saw the end)"},
	{"trtc", nil, approximate, "aBit, bigvBit with a PeerId (the server's mix; video by stream with stream records)"},
	{"trtc", nil, approximate, "aLoss, bigvLoss (percent, windows of about 6 s; downstream from the server, not from the peer)"},
	{"trtc", nil, approximate, "bigvDecFps (received frame rate; theirs is the rendered one)"},
	{"trtc", nil, approximate, "bigvWidth (by 16:9 when the endpoint gives the height alone)"},
	{"trtc", nil, absent, "SdkVersion, ClientIp, RequestId (not known here)"},
	{"trtc", nil, absent, "appCpu, sysCpu, aBlock, bigvBlock, bigvCapFps (need their SDK)"},
}

// meta is the _meta of a document: the rows of its part.
func meta(system string, f *Facts, o *Options) *Meta {
	m := &Meta{Source: "roomcall", Part: o.Part, Exact: []string{}, Approximate: []string{}, Absent: []string{}, Skipped: f.Skipped}
	for _, s := range list {
		if s.system != system || s.parts != nil && !slices.Contains(s.parts, o.Part) {
			continue
		}
		switch {
		case s.level == exact:
			m.Exact = append(m.Exact, s.what)
		case s.level == approximate, s.level == onlyIfAsked && (o.Approximate || len(o.Metrics) > 0):
			m.Approximate = append(m.Approximate, s.what)
		case s.level == onlyIfAsked:
			m.Absent = append(m.Absent, s.what+": approximate, left out unless asked for")
		default:
			m.Absent = append(m.Absent, s.what)
		}
	}
	if o.oneCall && len(f.Calls) == 1 {
		m.CallID = f.Calls[0].ID
	}
	if system == "agora" && o.Part == "details" {
		m.Users = f.users()
	}
	return m
}

// Served lists what the documents of a part serve and what they do not, for the
// documentation: "exact", "approximate", "absent" and the key with the reason.
func Served(system, part string) (rows [][2]string) {
	words := map[level]string{exact: "exact", approximate: "approximate", absent: "absent", onlyIfAsked: "approximate, if asked for"}
	for _, s := range list {
		if s.system == system && (s.parts == nil || slices.Contains(s.parts, part)) {
			rows = append(rows, [2]string{words[s.level], s.what})
		}
	}
	return rows
}
