package cgitest

import (
	"encoding/json"
	"strings"
	"testing"
)

// vendorExample is the inner text of the vendor's example, without blanks.
const vendorExample = `{"stAudioParamSend":{"audioProtocol":"AAC-LD MONO","valueAudioJitter":"5ms","valueNetDelayAudio":"5ms","audioLossPer":"0.00%","audioLossNum":0,"auxAudioRate":"35.62k"},` +
	`"stAudioParamRecv":{"audioProtocol":"AAC-LD MONO","valueAudioJitter":"5ms","valueNetDelayAudio":"5ms","audioLossPer":"0.00%","audioLossNum":0,"auxAudioRate":"38.95k"},` +
	`"stAuxParamSend":{"szName":"","videoProtocolPrefix":"","videoProtocolPostfix":"Unknown","videoRate":"--","videoFrame":0,"valueVideoJitter":"--","valueNetDelayVideo":"0ms","videoLossPer":"--","videoLossNum":0},` +
	`"stAuxParamRecv":{"szName":"","videoProtocolPrefix":"","videoProtocolPostfix":"Unknown","videoRate":"--","videoFrame":0,"valueVideoJitter":"--","valueNetDelayVideo":"0ms","videoLossPer":"--","videoLossNum":0},` +
	`"stVideoParamSend":[{"szName":"","videoProtocolPrefix":"H.264 EC","videoProtocolPostfix":"320x180","videoRate":"109.54k","videoFrame":15,"valueVideoJitter":"3ms","valueNetDelayVideo":"5ms","videoLossPer":"0.00%","videoLossNum":0}],` +
	`"stVideoParamRecv":[{"szName":"site1","videoProtocolPrefix":"H.264 EC","videoProtocolPostfix":"720p","videoRate":"962.76k","videoFrame":41,"valueVideoJitter":"2ms","valueNetDelayVideo":"5ms","videoLossPer":"0.00%","videoLossNum":0}],` +
	`"joinDay":0,"joinHour":0,"joinMin":0}`

func TestMultiCallReplyIsTheVendorsExampleToTheByte(t *testing.T) {
	audio := Stream{Active: true, Codec: "AAC-LD MONO", JitterMs: 5, DelayMs: 5, RateKbps: 35.62}
	audioIn := audio
	audioIn.RateKbps = 38.95
	got := text(newMultiCall(Snapshot{
		AudioSend: audio, AudioRecv: audioIn,
		VideoSend:   []Stream{{Active: true, Codec: "H.264 EC", Size: "320x180", RateKbps: 109.54, FPS: 15, JitterMs: 3, DelayMs: 5}},
		VideoRecv:   []Stream{{Active: true, Name: "site1", Codec: "H.264 EC", Size: "720p", RateKbps: 962.76, FPS: 41, JitterMs: 2, DelayMs: 5}},
		JoinSeconds: 59,
	}))
	if got != vendorExample {
		t.Fatalf("got  %s\nwant %s", got, vendorExample)
	}
}

func TestJoinTimeIsSplitIntoDaysHoursAndMinutes(t *testing.T) {
	m := newMultiCall(Snapshot{JoinSeconds: 2*86400 + 3*3600 + 4*60 + 5})
	if m.JoinDay != 2 || m.JoinHour != 3 || m.JoinMin != 4 {
		t.Fatalf("%d d %d h %d min", m.JoinDay, m.JoinHour, m.JoinMin)
	}
}

func TestMailboxIsFourLevelsOfJSON(t *testing.T) {
	f, _ := familyByName("ideahub")
	var outer struct{ Data string }
	var data struct {
		State     map[string]any
		MsgStruct string
	}
	var list struct{ Msg []string }
	var message struct{ MsgID int }
	level := f.success(newMailbox(Snapshot{Call: InCall}))
	for _, v := range []any{&outer, &data, &list, &message} {
		if err := json.Unmarshal(level, v); err != nil {
			t.Fatalf("decode %s: %v", level, err)
		}
		switch v {
		case &outer:
			level = []byte(outer.Data)
		case &data:
			level = []byte(data.MsgStruct)
		case &list:
			level = []byte(list.Msg[0])
		}
	}
	if message.MsgID != 4500 || data.State["isInConf"] != 1.0 {
		t.Fatalf("message %+v, state %v", message, data.State)
	}
}

func TestSingleCallTotalsAreVideoPlusAudio(t *testing.T) {
	got := text(newSingleCall(Snapshot{
		AudioSend: Stream{Active: true, RateKbps: 63.56}, VideoSend: []Stream{{Active: true, RateKbps: 2.08}},
	}))
	for _, want := range []string{`"sendRate":"65.64k"`, `"revRate":"--"`, `"auxFormatRev":"Unknown"`, `"LSDSpeedSend":""`, `"AuxVideoLossPerSend":"--"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestFailuresHaveTheShapesThatWereSeen(t *testing.T) {
	for family, want := range map[string]string{
		"ideahub": `{"success":0,"error":{"id":100666995,"code":33558532,"params":[]}}`,
		"te40":    `{"success":0,"exception":{"id":100666995,"code":33558532}}`,
		"te20":    `{"success":0,"code":33558532,"msg":"request failed","data":""}`,
	} {
		f, _ := familyByName(family)
		if got := string(f.failure(failGeneric)); got != want {
			t.Errorf("%s: %s, want %s", family, got, want)
		}
	}
}
