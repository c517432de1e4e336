package cgi

import (
	"encoding/json"
	"testing"
)

// The plain way to read the reply: one pass of encoding/json for the envelope
// and one for the JSON in its string. It only makes strings; units,
// placeholders and oddities would come on top.
type plainEnvelope struct {
	Success int    `json:"success"`
	Data    string `json:"data"`
}

type plainAudio struct {
	AudioProtocol      string `json:"audioProtocol"`
	ValueAudioJitter   string `json:"valueAudioJitter"`
	ValueNetDelayAudio string `json:"valueNetDelayAudio"`
	AudioLossPer       string `json:"audioLossPer"`
	AudioLossNum       int    `json:"audioLossNum"`
	AuxAudioRate       string `json:"auxAudioRate"`
}

type plainVideo struct {
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

type plainStatus struct {
	StAudioParamSend plainAudio   `json:"stAudioParamSend"`
	StAudioParamRecv plainAudio   `json:"stAudioParamRecv"`
	StAuxParamSend   plainVideo   `json:"stAuxParamSend"`
	StAuxParamRecv   plainVideo   `json:"stAuxParamRecv"`
	StVideoParamSend []plainVideo `json:"stVideoParamSend"`
	StVideoParamRecv []plainVideo `json:"stVideoParamRecv"`
	JoinDay          int          `json:"joinDay"`
	JoinHour         int          `json:"joinHour"`
	JoinMin          int          `json:"joinMin"`
}

// BenchmarkDecode reads the vendor's example: with this package, and with two
// passes of encoding/json into structs.
func BenchmarkDecode(b *testing.B) {
	raw := readReply(b, "vendor_example")
	b.Run("roomcall", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := parseMultiCall(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json_twice", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			var outer plainEnvelope
			if err := json.Unmarshal(raw, &outer); err != nil {
				b.Fatal(err)
			}
			var status plainStatus
			if err := json.Unmarshal([]byte(outer.Data), &status); err != nil {
				b.Fatal(err)
			}
		}
	})
}
