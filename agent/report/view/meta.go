package view

// Meta says of every key of a document how good it is. It is not part of the
// other system's reply.
type Meta struct {
	Source string `json:"source"`
	// Exact: the same fact. Approximate: close, with the reason. Absent: the
	// endpoint does not say it, so the key is empty or not there.
	Exact       []string `json:"exact"`
	Approximate []string `json:"approximate"`
	Absent      []string `json:"absent"`
	// Skipped counts input lines that are read and no records (convert only).
	Skipped int `json:"skipped,omitempty"`
}

const source = "roomcall"

func zoomMeta() *Meta {
	return &Meta{
		Source: source,
		Exact: []string{"date_time", "bitrate (last of the minute, rounded)", "frame_rate (last)", "jitter (last)",
			"resolution (last; exact when the endpoint gives both numbers)", "as_input, as_output (content share)"},
		Approximate: []string{"latency (network delay; one way or round trip is not documented, time in the application is not in it)",
			"avg_loss, max_loss (mean and maximum of the minute's samples, windows of about 6 s)",
			"resolution (width by 16:9 when the endpoint gives the height alone)"},
		Absent: []string{"cpu_usage"},
	}
}

func agoraMeta(o Options) *Meta {
	m := &Meta{
		Source: source,
		Exact: []string{"call_id, sid, cname, device_type, speaker, finished", "leave_ts, destroyed_ts (up to one poll late)",
			"mid 20003, 20004, 20006, 20008, 20010", "mid 20009 (by stream with stream records, else the sum at peer_uid 0)",
			"mid 20019, 20020 (what the room sends; 20019 when the endpoint gives both numbers)", "pcc, pcu (of the rooms in the input)"},
		Approximate: []string{"join_ts, created_ts (up to one poll, or 60 s by the join timer)",
			"uid (a hash of client_id/device)", "peer_uid (index of the received stream + 1)",
			"mid 20019 (by 16:9 when the endpoint gives the height alone)",
			"cause_tags (limits of the room's profile, not Agora's)"},
		Absent: []string{"network, platform, sdk_version", "mid 20001, 20002, 20005, 20007, 20011, 20013, 20021, 20022",
			"mid 20016, 20018 (end-to-end loss; only the way from the server is seen)",
			"joinSuccessRate, joinSuccess5SecsRate, videoFreezeRate, audioFreezeRate",
			"audioEnd2EndExcellentTransRate, videoEnd2EndExcellentTransRate", "exp_id 6"},
	}
	loss := "mid 20015, 20017; audioUpstreamExcellentTransRate, videoUpstreamExcellentTransRate (share of samples, not of packets)"
	exp := "exp_id 4, 5 (suspected from the cause; freezing is not measured)"
	if o.Approximate {
		m.Approximate = append(m.Approximate, loss)
	} else {
		m.Absent = append(m.Absent, loss+": approximate, left out unless asked for")
	}
	if o.Suspected {
		m.Approximate = append(m.Approximate, exp)
	} else {
		m.Absent = append(m.Absent, exp+": left out unless asked for")
	}
	return m
}

func volcMeta() *Meta {
	return &Meta{
		Source: source,
		Exact:  []string{"AggregateGranularity", "TimeStamp (start of the bucket, UTC)", "poor_time_rate (share of graded samples; a name of roomcall's own)"},
		Approximate: []string{"audio_uplink_loss_rate, audio_downlink_loss_rate, video_uplink_loss_rate, video_downlink_loss_rate " +
			"(mean of samples, windows of about 6 s; names of roomcall's own)"},
		Absent: []string{"RequestId, Region", "stall_rate, join_room_success_rate and every other indicator of the system's own"},
	}
}

func trtcMeta() *Meta {
	return &Meta{
		Source: source,
		Exact: []string{"UserId (the device), RoomStr, Finished, DeviceType", "LeaveTs (up to one poll late)",
			"aBit, bigvBit, bigvEncFps, bigvWidth, bigvHeight with PeerId \"\" (what the room sends)"},
		Approximate: []string{"JoinTs (up to one poll, or 60 s by the join timer)",
			"aBit, bigvBit with a PeerId (the server's mix; video by stream with stream records)",
			"aLoss, bigvLoss (percent, windows of about 6 s; downstream from the server, not from the peer)",
			"bigvDecFps (received frame rate; theirs is the rendered one)",
			"bigvWidth (by 16:9 when the endpoint gives the height alone)"},
		Absent: []string{"SdkVersion, ClientIp, RequestId", "appCpu, sysCpu, aBlock, bigvBlock, bigvCapFps"},
	}
}
