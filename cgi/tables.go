package cgi

// The actions that are asked for the state of a call.
const (
	multiCallAction  = "WEB_GetMultiCallStatusInfoAPI"
	singleCallAction = "WEB_GetCallStatusInfoAPI"
	mailboxAction    = "WEB_GetMailboxDataAPI"
)

// Bounds of texts and numbers. The vendor's are 192 characters for names and 20
// for codecs; the vendor's table says 0 to 59 for joinHour too. Session ids of 31
// letters and digits (TE) and 64 hex digits (IdeaHub, Box) were seen, tokens of 32.
const (
	maxName      = 768 // bytes: 192 characters of up to 4
	maxCodec     = 64
	maxModel     = 64
	maxToken     = 256
	minSessionID = 3  // "" and " " stand for "see the cookie"
	maxStreams   = 64 // of one direction
	maxJoinDays  = 3650
	maxJoinPart  = 59
)

// The readers of the tables.
var (
	rate    = number(readRate)
	millis  = number(readMillis)
	percent = number(readPercent)
	frames  = number(readFPS)
	count   = wholeTo(maxCount)
	bit     = wholeTo(1)
	days    = wholeTo(maxJoinDays)
	part    = wholeTo(maxJoinPart) // of an hour or a day
	name    = text(maxName)
	codec   = textOrPlaceholder(maxCodec)
	model   = text(maxModel)

	sessionID = token(minSessionID)
	csrfToken = token(1)
)

// multiFields is table 2 of WEB_GetMultiCallStatusInfoAPI: the object in data.
func multiFields(st *Status, join *joinTime) table {
	return table{noEnding, nil, [maxFields]field{
		row("stAudioParamSend", audioStream, &st.AudioSend),
		row("stAudioParamRecv", audioStream, &st.AudioRecv),
		row("stAuxParamSend", videoStream, &st.AuxSend),
		row("stAuxParamRecv", videoStream, &st.AuxRecv),
		row("stVideoParamSend", videoStreams, &st.VideoSend),
		row("stVideoParamRecv", videoStreams, &st.VideoRecv),
		row("joinDay", days, &join.days),
		row("joinHour", part, &join.hours),
		row("joinMin", part, &join.minutes),
	}}
}

// audioFields is table 3. "auxAudioRate" is the audio rate: in the single-stream
// reply it and the video rate add up to the total.
func audioFields(s *Stream) table {
	return table{noEnding, s, [maxFields]field{
		row("audioProtocol", codec, &s.Codec),
		row("valueAudioJitter", millis, &s.JitterMs),
		row("valueNetDelayAudio", millis, &s.DelayMs),
		row("audioLossPer", percent, &s.LossPct),
		row("audioLossNum", count, &s.LossPackets),
		row("auxAudioRate", rate, &s.BitrateKbps),
	}}
}

// videoFields is table 4.
func videoFields(s *Stream) table {
	return table{noEnding, s, [maxFields]field{
		row("szName", name, &s.Name),
		row("videoProtocolPrefix", codec, &s.Codec),
		row("videoProtocolPostfix", resolution, s),
		row("videoRate", rate, &s.BitrateKbps),
		row("videoFrame", frames, &s.FPS),
		row("valueVideoJitter", millis, &s.JitterMs),
		row("valueNetDelayVideo", millis, &s.DelayMs),
		row("videoLossPer", percent, &s.LossPct),
		row("videoLossNum", count, &s.LossPackets),
	}}
}

// WEB_GetCallStatusInfoAPI has all streams in one flat object; the direction is
// the ending of the key. The receiving side ends in "Rev"; "Recv" is accepted as
// well. In the vendor's example sendRate 65.64k is videoRateSend 2.08k plus
// auxAudioRateSend 63.56k. There is no delay, jitter or codec.
var (
	sendEnding = []string{"Send"}
	recvEnding = []string{"Rev", "Recv"}
)

func singleAudioFields(ending []string, s *Stream) table {
	return table{ending, s, [maxFields]field{
		row("auxAudioRate", rate, &s.BitrateKbps),
		row("audioLossPer", percent, &s.LossPct),
		row("audioLossNum", count, &s.LossPackets),
	}}
}

func singleVideoFields(ending []string, s *Stream) table {
	return table{ending, s, [maxFields]field{
		row("videoRate", rate, &s.BitrateKbps),
		row("videoFrame", frames, &s.FPS),
		row("mainFormat", resolution, s),
		row("videoLossPer", percent, &s.LossPct),
		row("videoLossNum", count, &s.LossPackets),
	}}
}

func singleAuxFields(ending []string, s *Stream) table {
	return table{ending, s, [maxFields]field{
		row("auxVideoRate", rate, &s.BitrateKbps),
		row("auxVideoFrame", frames, &s.FPS),
		row("auxFormat", resolution, s),
		row("AuxVideoLossPer", percent, &s.LossPct),
		row("auxVideoLossNum", count, &s.LossPackets),
	}}
}

// singleOtherFields are the keys of that reply without a direction. The totals are
// read to see that they make sense, and not kept.
func singleOtherFields(join *joinTime) table {
	return table{noEnding, nil, [maxFields]field{
		row("sendRate", rate, new(Reading)),
		row("revRate", rate, new(Reading)),
		row("recvRate", rate, new(Reading)),
		row("joinDay", days, &join.days),
		row("joinHour", part, &join.hours),
		row("joinMin", part, &join.minutes),
		{key: "auxTokenTxtID"},
		{key: "siteHandle"},
	}}
}

// singleDataFields are H.224 data channels, no media.
func singleDataFields() table {
	return table{append(recvEnding, sendEnding...), nil, [maxFields]field{
		{key: "LSDSpeed"}, {key: "HSDSpeed"}, {key: "MLPSpeed"}, {key: "HMLPSpeed"},
	}}
}

// mailboxFields are the keys that matter of the state in WEB_GetMailboxDataAPI.
func mailboxFields(m *mailboxState) table {
	return table{noEnding, nil, [maxFields]field{
		row("callstate", count, &m.callState),
		row("conftype", count, &m.confType),
		row("isInConf", bit, &m.inConf),
		row("upgrade", count, &m.upgrade),
	}}
}

// restFields are keys of the REST interface that differ from the mailbox's in case
// alone and mean something else.
func restFields() table {
	return table{noEnding, nil, [maxFields]field{{key: "callState", exact: true}}}
}

// loginFields are the keys that matter in the replies of the login actions and of
// WEB_GetLoginInfo.
func loginFields(r *loginReply) table {
	return table{noEnding, nil, [maxFields]field{
		row("acSessionId", sessionID, &r.SessionID),
		row("acCSRFToken", csrfToken, &r.CSRFToken),
		row("szTermType", model, &r.Model),
		row("AlreadyLogin", yes, &r.AlreadyLogin),
	}}
}
