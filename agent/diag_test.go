package main

import "testing"

func TestNamesAreTakenOutOfABundle(t *testing.T) {
	for in, want := range map[string]string{
		`{"room":"Board room","device":"hub"}`:            `{"room":"[redacted]","device":"hub"}`,
		`room = "Board \"A\" room"`:                       `room = "[redacted]"`,
		`{\"szName\":\"site1\",\"videoRate\":\"1k\"}`:     `{\"szName\":"[redacted]",\"videoRate\":\"1k\"}`,
		`{\\\"szName\\\":\\\"site1\\\",\\\"a\\\":1}`:      `{\\\"szName\\\":"[redacted]",\\\"a\\\":1}`,
		`username = "api"`:                                `username = "[redacted]"`,
		`level=INFO room=A1 device=hub`:                   `level=INFO room="[redacted]" device=hub`,
		`"peer":"HQ Beijing","loss_pct":0`:                `"peer":"[redacted]","loss_pct":0`,
		`{"szname" : "会议室","videoRate":"--"}`:             `{"szname" : "[redacted]","videoRate":"--"}`,
		`"audio_recv_codec":"AAC-LD MONO","room_count":3`: `"audio_recv_codec":"AAC-LD MONO","room_count":3`,
		`{"sitename":"","state":"idle"}`:                  `{"sitename":"[redacted]","state":"idle"}`,
	} {
		if got := string(redact([]byte(in))); got != want {
			t.Errorf("redact(%s)\n got %s\nwant %s", in, got, want)
		}
	}
}
