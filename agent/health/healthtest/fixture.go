// Package healthtest has snapshots of agents for the tests of what shows them.
package healthtest

import (
	"encoding/json"
	"time"

	"roomcall/agent/health"
)

// Noon is the time of every test that shows a time.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// GoodSample is a payload of a room in a call.
const GoodSample = `{"v":1,"poll_ok":1,"in_call":1,"audio_send_bitrate_kbps":64,"audio_send_loss_pct":0,` +
	`"audio_recv_loss_pct":1.5,"audio_recv_mos_est":4.2,"video_recv_bitrate_kbps":1920.5,"video_recv_jitter_ms":12,` +
	`"video_recv_delay_ms":40,"video_recv_fps":30,"video_recv_height":720,"audio_send_codec":"AAC-LD"}`

// Well is an agent with one room in a call, where all is well.
func Well() health.Status {
	free := int64(5 << 30)
	return health.Status{
		Version: "1.2.3", ClientID: "lobby", Site: "Head office", Started: Noon.Add(-26 * time.Hour), UptimeS: 26 * 3600,
		StartReason: "boot", ConfigPath: "/etc/roomcall/agent.toml", ConfigHash: "9f2c",
		Endpoints: []health.Endpoint{{
			Device: "room-1", Room: "Großer Saal", URL: "https://10.0.0.5", Model: "IdeaHub", State: "in_call", InCall: true,
			CallID: "c1", Grade: "good", SourceAPI: "WEB_GetMultiCallStatusInfoAPI", LastPoll: Noon.Add(-2 * time.Second),
			LastOK: Noon.Add(-2 * time.Second), NextPoll: Noon.Add(3 * time.Second), IntervalS: 5, PollMs: 31.5,
			Polls: 1000, Failures: 2, Skipped: 1, Sample: json.RawMessage(GoodSample),
		}},
		Broker: health.Broker{URL: "tls://mqtt.example.org:8883", State: "connected", Since: Noon.Add(-time.Hour), Proof: "proven",
			Connects: 2, Losses: 1, Published: 5010, Acked: 5000, InFlight: 3, LastAck: Noon.Add(-time.Second)},
		Buffer: health.Buffer{State: "open", Waiting: 3, Oldest: Noon.Add(-2 * time.Second), DeliveredKept: 4000, BytesOnDisk: 24 << 20,
			MaxBytes: 256 << 20, Segments: 3, Appended: 5003, Acked: 5000, DiskFree: &free,
			AppendedByKind: map[string]uint64{"sample": 1000, "stream": 4003}, AckedByKind: map[string]uint64{"sample": 999, "stream": 4001}},
	}
}

// Ill is the same agent with everything wrong at once.
func Ill() health.Status {
	s, no := Well(), false
	s.Endpoints[0] = health.Endpoint{Device: "room-1", Room: `<script>alert("x")</script>`, URL: "https://10.0.0.5", State: "refused",
		Err: "login refused & locked", Hint: "check the user name", LastPoll: Noon.Add(-5 * time.Second), LastOK: Noon.Add(-90 * time.Minute),
		IntervalS: 15, Polls: 50, Failures: 40, Sample: json.RawMessage(`{"v":1,"poll_ok":0,"err":"login refused"}`)}
	s.Endpoints = append(s.Endpoints, health.Endpoint{Device: "room-2", URL: "http://10.0.0.6", IntervalS: 15})
	s.Broker = health.Broker{URL: "tcp://10.0.0.1:1883", State: "refused", Since: Noon.Add(-3 * time.Minute), Error: "not authorized",
		Class: "login", Hint: "check [mqtt] username and password_file", Proof: "pending", Losses: 4}
	s.Buffer = health.Buffer{State: "full", Waiting: 120, Error: "no space left on device", Hint: "free space", MaxBytes: 1 << 20, MemoryHeld: 7, Evicted: 9, Quarantined: 1, DamagedFiles: 2,
		Missed: []health.Missed{{Device: "room-1", Reason: "store_failing", Count: 162, Last: Noon.Add(-2 * time.Minute)}}}
	s.Clock = health.Clock{Synchronized: &no, Steps: 1, LastStep: Noon.Add(-time.Minute), LastStepS: -30}
	s.Warnings = []string{"agent.toml can be read by others"}
	return s
}
