package cgi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// encodeMultiCall writes a status the way an endpoint does: the opposite of
// parseMultiCall. What is absent is left out.
func encodeMultiCall(st Status) []byte {
	data := map[string]any{"stVideoParamSend": encodeList(st.VideoSend), "stVideoParamRecv": encodeList(st.VideoRecv)}
	for key, s := range map[string]Stream{"stAudioParamSend": st.AudioSend, "stAudioParamRecv": st.AudioRecv} {
		if s.Active {
			data[key] = encodeStream(s, "audioProtocol", "auxAudioRate", "Audio", "audioLoss")
		}
	}
	for key, s := range map[string]Stream{"stAuxParamSend": st.AuxSend, "stAuxParamRecv": st.AuxRecv} {
		if s.Active {
			data[key] = encodeVideo(s)
		}
	}
	if st.JoinMinutes.Known {
		total := int(st.JoinMinutes.Value)
		days := min(total/1440, maxJoinDays)
		hours := min((total-days*1440)/60, maxJoinPart)
		data["joinDay"], data["joinHour"], data["joinMin"] = days, hours, total-days*1440-hours*60
	}
	inner, _ := json.Marshal(data)
	outer, _ := json.Marshal(map[string]any{"success": 1, "data": string(inner)})
	return outer
}

func encodeList(list []Stream) []map[string]any {
	var out []map[string]any
	for _, s := range list {
		out = append(out, encodeVideo(s))
	}
	return out
}

func encodeVideo(s Stream) map[string]any {
	if !s.Active {
		return map[string]any{}
	}
	m := encodeStream(s, "videoProtocolPrefix", "videoRate", "Video", "videoLoss")
	m["szName"] = s.Name
	if s.FPS.Known {
		m["videoFrame"] = json.RawMessage(plainNumber(s.FPS))
	}
	switch {
	case s.Height == 0:
	case s.Width == 0 || s.WidthAssumed:
		m["videoProtocolPostfix"] = fmt.Sprintf("%dp", s.Height)
	default:
		m["videoProtocolPostfix"] = fmt.Sprintf("%dx%d", s.Width, s.Height)
	}
	return m
}

// encodeStream writes what audio and video have in common. An active stream
// without a rate has one that cannot be read.
func encodeStream(s Stream, codec, rate, kind, loss string) map[string]any {
	m := map[string]any{codec: s.Codec, rate: "?"}
	if s.BitrateKbps.Known {
		m[rate] = plainNumber(s.BitrateKbps) + "k"
	}
	if s.JitterMs.Known {
		m["value"+kind+"Jitter"] = plainNumber(s.JitterMs) + "ms"
	}
	if s.DelayMs.Known {
		m["valueNetDelay"+kind] = plainNumber(s.DelayMs) + "ms"
	}
	if s.LossPct.Known {
		m[loss+"Per"] = plainNumber(s.LossPct) + "%"
	}
	if s.LossPackets.Known {
		m[loss+"Num"] = int64(s.LossPackets.Value)
	}
	return m
}

func plainNumber(r Reading) string { return strconv.FormatFloat(r.Value, 'f', -1, 64) }

// allStreams returns every stream of a status.
func allStreams(st Status) []Stream {
	all := []Stream{st.AudioSend, st.AudioRecv, st.AuxSend, st.AuxRecv}
	return append(append(all, st.VideoSend...), st.VideoRecv...)
}

func readings(s Stream) []Reading {
	return []Reading{s.BitrateKbps, s.LossPct, s.LossPackets, s.JitterMs, s.DelayMs, s.FPS}
}

// nonsense names the first thing in a status that no endpoint can mean.
func nonsense(st Status) string {
	for _, s := range allStreams(st) {
		if !s.Active && s != (Stream{}) {
			return fmt.Sprintf("an inactive stream with values: %+v", s)
		}
		for _, r := range readings(s) {
			if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || r.Value < 0 || !r.Known && r.Value != 0 {
				return fmt.Sprintf("the reading %+v", r)
			}
		}
		if s.LossPct.Value > 100 || s.Width < 0 || s.Height < 0 || s.Width > maxPixels || s.Height > maxPixels {
			return fmt.Sprintf("a value out of range: %+v", s)
		}
	}
	if j := st.JoinMinutes; j.Value < 0 || j.Value != math.Trunc(j.Value) {
		return fmt.Sprintf("the join time %+v", j)
	}
	return ""
}
