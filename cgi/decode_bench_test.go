package cgi

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// The plain way to read the reply: one pass of encoding/json for the envelope
// and one for the JSON in its string. It only makes strings; units,
// placeholders and quirks would come on top.
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

// decodePlainly is the two passes.
func decodePlainly(raw []byte) error {
	var outer plainEnvelope
	if err := json.Unmarshal(raw, &outer); err != nil {
		return err
	}
	var status plainStatus
	return json.Unmarshal([]byte(outer.Data), &status)
}

func decodeHere(raw []byte) error {
	_, err := parseMultiCall(raw)
	return err
}

// BenchmarkDecode reads the vendor's example: with this package, and with two
// passes of encoding/json into structs. "compared" does both in turn, so that
// other load on the machine hits both alike, and gives the share of the time.
func BenchmarkDecode(b *testing.B) {
	raw := readReply(b, "vendor_example")
	for _, way := range []struct {
		name   string
		decode func([]byte) error
	}{{"roomcall", decodeHere}, {"encoding_json_twice", decodePlainly}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if err := way.decode(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("compared", func(b *testing.B) {
		var here, plain []time.Duration
		for b.Loop() {
			here = append(here, timeOf(b, decodeHere, raw))
			plain = append(plain, timeOf(b, decodePlainly, raw))
		}
		slices.Sort(here)
		slices.Sort(plain)
		h, p := here[len(here)/2], plain[len(plain)/2]
		b.ReportMetric(float64(h), "median-ns/roomcall")
		b.ReportMetric(float64(p), "median-ns/encoding_json")
		b.ReportMetric(float64(h)/float64(p), "share")
	})
}

// timeOf measures a row of decodings, so that neither way always starts with
// the caches of the other.
func timeOf(b *testing.B, decode func([]byte) error, raw []byte) time.Duration {
	const row = 100
	start := time.Now()
	for range row {
		if err := decode(raw); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / row
}
