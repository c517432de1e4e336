package cgitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// audioParam and videoParam have the vendor's keys in the vendor's order
// (WEB_GetMultiCallStatusInfoAPI, tables 3 and 4).
type audioParam struct {
	AudioProtocol      string `json:"audioProtocol"`
	ValueAudioJitter   string `json:"valueAudioJitter"`
	ValueNetDelayAudio string `json:"valueNetDelayAudio"`
	AudioLossPer       string `json:"audioLossPer"`
	AudioLossNum       int    `json:"audioLossNum"`
	AuxAudioRate       string `json:"auxAudioRate"`
}

type videoParam struct {
	SzName               string `json:"szName"`
	VideoProtocolPrefix  string `json:"videoProtocolPrefix"`
	VideoProtocolPostfix string `json:"videoProtocolPostfix"`
	VideoRate            string `json:"videoRate"`
	VideoFrame           int    `json:"videoFrame"`
	ValueVideoJitter     string `json:"valueVideoJitter"`
	ValueNetDelayVideo   string `json:"valueNetDelayVideo"`
	VideoLossPer         string `json:"videoLossPer"`
	VideoLossNum         int    `json:"videoLossNum"`
}

type multiCall struct {
	AudioSend audioParam   `json:"stAudioParamSend"`
	AudioRecv audioParam   `json:"stAudioParamRecv"`
	AuxSend   videoParam   `json:"stAuxParamSend"`
	AuxRecv   videoParam   `json:"stAuxParamRecv"`
	VideoSend []videoParam `json:"stVideoParamSend"`
	VideoRecv []videoParam `json:"stVideoParamRecv"`
	JoinDay   int64        `json:"joinDay"`
	JoinHour  int64        `json:"joinHour"`
	JoinMin   int64        `json:"joinMin"`
}

func newMultiCall(s Snapshot) multiCall {
	return multiCall{
		AudioSend: audioOf(s.AudioSend), AudioRecv: audioOf(s.AudioRecv),
		AuxSend: videoOf(s.AuxSend), AuxRecv: videoOf(s.AuxRecv),
		VideoSend: videosOf(s.VideoSend), VideoRecv: videosOf(s.VideoRecv),
		JoinDay: s.JoinSeconds / 86400, JoinHour: s.JoinSeconds / 3600 % 24, JoinMin: s.JoinSeconds / 60 % 60,
	}
}

func audioOf(s Stream) audioParam {
	if !s.Active {
		return audioParam{"", "--", "0ms", "--", 0, "--"}
	}
	return audioParam{s.Codec, ms(s.JitterMs), ms(s.DelayMs), percent(s.LossPct), s.LossPackets, rate(s.RateKbps)}
}

func videoOf(s Stream) videoParam {
	if !s.Active {
		return videoParam{"", "", "Unknown", "--", 0, "--", "0ms", "--", 0}
	}
	return videoParam{s.Name, s.Codec, s.Size, rate(s.RateKbps), s.FPS, ms(s.JitterMs), ms(s.DelayMs), percent(s.LossPct), s.LossPackets}
}

func videosOf(in []Stream) []videoParam {
	out := make([]videoParam, 0, len(in))
	for _, s := range in {
		out = append(out, videoOf(s))
	}
	return out
}

func ms(v int) string          { return fmt.Sprintf("%dms", v) }
func percent(v float64) string { return fmt.Sprintf("%.2f%%", v) }
func rate(v float64) string    { return fmt.Sprintf("%.2fk", v) }

// newSingleCall returns the fields of WEB_GetCallStatusInfoAPI with the vendor's
// irregular spelling. The send and receive totals are the sum of video and
// audio, as in the vendor's example; "auxAudioRate" is the audio's rate.
func newSingleCall(s Snapshot) map[string]any {
	out := map[string]any{
		"auxTokenTxtID": 0,
		"joinDay":       s.JoinSeconds / 86400, "joinHour": s.JoinSeconds / 3600 % 24, "joinMin": s.JoinSeconds / 60 % 60,
	}
	for _, speed := range []string{"LSD", "HSD", "MLP", "HMLP"} {
		out[speed+"SpeedSend"], out[speed+"SpeedRev"] = "", ""
	}
	single(out, "Send", "sendRate", s.AudioSend, first(s.VideoSend), s.AuxSend)
	single(out, "Rev", "revRate", s.AudioRecv, first(s.VideoRecv), s.AuxRecv)
	return out
}

func single(out map[string]any, dir, total string, audio, video, aux Stream) {
	a, v, x := audioOf(audio), videoOf(video), videoOf(aux)
	out[total] = "--"
	if audio.Active {
		out[total] = rate(audio.RateKbps + video.RateKbps)
	}
	out["auxAudioRate"+dir], out["audioLossPer"+dir], out["audioLossNum"+dir] = a.AuxAudioRate, a.AudioLossPer, a.AudioLossNum
	out["videoRate"+dir], out["videoFrame"+dir], out["mainFormat"+dir] = v.VideoRate, v.VideoFrame, v.VideoProtocolPostfix
	out["videoLossPer"+dir], out["videoLossNum"+dir] = v.VideoLossPer, v.VideoLossNum
	out["auxVideoRate"+dir], out["auxVideoFrame"+dir], out["auxFormat"+dir] = x.VideoRate, x.VideoFrame, x.VideoProtocolPostfix
	out["AuxVideoLossPer"+dir], out["auxVideoLossNum"+dir] = x.VideoLossPer, x.VideoLossNum
}

func first(in []Stream) Stream {
	if len(in) == 0 {
		return Stream{}
	}
	return in[0]
}

// newMailbox returns the reply of WEB_GetMailboxDataAPI: the state object and
// the messages, which are JSON in a string in a string.
func newMailbox(s Snapshot) map[string]any {
	state := map[string]any{
		"speaker": 1, "mic": 1, "gk": 1, "sip": 1, "t140cap": 2, "cfgonebit": 189, "upgradeProc": 5640,
		"callstate": 0, "calltype": 0, "conftype": 0, "isInConf": 0, "streamType": 0, "confNetType": 0,
		"upgrade": 0, "sitename": "meeting room",
	}
	switch s.Call {
	case Dialling:
		state["callstate"], state["calltype"] = 1, 8
	case InCall:
		state["callstate"], state["calltype"], state["conftype"], state["isInConf"] = 2, 8, 2, 1
		if s.Single {
			state["conftype"] = 1
		} else {
			state["streamType"] = 1
		}
	case Upgrading:
		state["upgrade"] = 1
	}
	message := text(map[string]any{"msgID": 4500, "param": text(map[string]any{"call": s.Call})})
	return map[string]any{"state": state, "msgStruct": text(map[string]any{"num": 1, "msg": []string{message}})}
}

// text encodes a value as the vendor does: characters as they are, no escapes
// for HTML.
func text(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // only types of this package come here
		return ""
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// success wraps data in the envelope: a string that holds JSON, as
// documented, or a plain object, as newer endpoints do.
func (f Family) success(data any) []byte {
	s, isText := data.(string)
	switch {
	case isText:
		return []byte(text(envelope{Success: 1, Data: s}))
	case f.plainObject:
		return []byte(text(envelope{Success: 1, Data: data}))
	default:
		return []byte(text(envelope{Success: 1, Data: " " + text(data)}))
	}
}

// rawNames are names as people give them, which break JSON that is made without
// care.
var rawNames = []string{`Room "Alpine"`, `C:\`, "two\nlines\x1b[31m", `x","videoLossPer":"99.00%`}

// rawCall is the call status of firmware that puts names into its JSON as they are.
func (f Family) rawCall(s Snapshot) []byte {
	call := newMultiCall(s)
	for i := range call.VideoRecv {
		call.VideoRecv[i].SzName = fmt.Sprintf("<%d>", i)
	}
	inner := text(call)
	for i := range call.VideoRecv {
		inner = strings.Replace(inner, fmt.Sprintf(`"<%d>"`, i), `"`+rawNames[i%len(rawNames)]+`"`, 1)
	}
	if f.plainObject {
		return []byte(`{"success":1,"data":` + inner + `}`)
	}
	return []byte(text(envelope{Success: 1, Data: " " + inner}))
}

// envelope is the outer object of a success, in the vendor's order.
type envelope struct {
	Success int `json:"success"`
	Data    any `json:"data"`
}

// failure is an id and a code as public clients and the vendor's pages have
// them.
type failure struct{ id, code int64 }

var (
	failGeneric   = failure{100666995, 33558532}
	failAuth      = failure{100666780, 16781315}
	failFull      = failure{0, 16781313}
	failNotInConf = failure{100666767, 33558532}
	failLogout    = failure{100666117, 151031810}
	failShape     = failure{3, 0}
)

// The shapes of a refusal, in the vendor's order.
type (
	errorReply struct {
		Success int         `json:"success"`
		Error   errorObject `json:"error"`
	}
	errorObject struct {
		ID     int64 `json:"id"`
		Code   int64 `json:"code"`
		Params []any `json:"params"`
	}
	exceptionReply struct {
		Success   int `json:"success"`
		Exception struct {
			ID   int64 `json:"id"`
			Code int64 `json:"code"`
		} `json:"exception"`
	}
	topLevelReply struct {
		Success int    `json:"success"`
		Code    int64  `json:"code"`
		Msg     string `json:"msg"`
		Data    string `json:"data"`
	}
)

func (f Family) failure(e failure) []byte {
	switch {
	case f.topLevel && e.code != 0:
		return []byte(text(topLevelReply{Code: e.code, Msg: "request failed"}))
	case f.exception && e.id != 0:
		var out exceptionReply
		out.Exception.ID, out.Exception.Code = e.id, e.code
		return []byte(text(out))
	default:
		return []byte(text(errorReply{Error: errorObject{ID: e.id, Code: e.code, Params: []any{}}}))
	}
}
