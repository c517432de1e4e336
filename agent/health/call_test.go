package health

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// huawei are limits as the profile huawei has them.
var huawei = map[string]float64{
	"audio_loss_pct_fair": 5, "audio_loss_pct_poor": 10, "video_loss_pct_fair": 1, "video_loss_pct_poor": 3,
	"audio_delay_ms_fair": 150, "audio_delay_ms_poor": 250, "video_delay_ms_fair": 150, "video_delay_ms_poor": 250,
	"audio_jitter_ms_fair": 30, "audio_jitter_ms_poor": 50, "video_jitter_ms_fair": 30, "video_jitter_ms_poor": 50,
	"video_fps_poor": 7,
}

// composedCodes are all codes that Call.Code and HeadlineCode make.
func composedCodes() []string {
	list := []string{"room_not_polled"}
	for _, grade := range []string{"good", "fair", "unknown"} {
		for _, scope := range []string{"", "uplink", "downlink", "both", "far_end"} {
			for _, metric := range []string{"", "loss", "delay", "jitter", "fps"} {
				for _, bad := range []int{0, 2} {
					list = append(list, Call{Grade: grade, Scope: scope, Reasons: "video_recv_" + metric, Streams: 3, Bad: bad}.Code())
				}
			}
		}
	}
	for _, state := range []string{"idle", "in_call", "unreachable", "refused", "error", "busy", "upgrading", ""} {
		for _, grade := range []string{"", "good", "fair", "poor"} {
			list = append(list, HeadlineCode(state, grade))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func TestACallHasItsWordsInEveryLanguage(t *testing.T) {
	for _, code := range composedCodes() {
		for _, l := range Languages {
			if l.of(code).what == "" {
				t.Errorf("%s: no words for %q", l, code)
			}
		}
	}
}

func TestACallInWords(t *testing.T) {
	sample := func(rest string) Call { return CallOf([]byte(`{"v":1,`+rest+`}`), huawei) }
	for _, c := range []struct {
		name, want string
		call       Call
	}{
		{"uplink", "What the room sends is lost on the way: audio 12 %, video 8 % (limit 10 / 3). What it receives is fine. Look at this room's uplink: switch port, duplex, Wi-Fi, QoS.",
			sample(`"grade":"poor","grade_reasons":"audio_send_loss,video_send_loss","audio_send_loss_pct":12.04,"video_send_loss_pct":8,"audio_recv_loss_pct":0,"video_recv_loss_pct":0.2`)},
		{"uplink, and the other way is not fine", "What the room sends is lost on the way: audio 12 % (limit 10). Look",
			sample(`"grade":"poor","grade_reasons":"audio_send_loss","audio_send_loss_pct":12,"audio_recv_loss_pct":6`)},
		{"one far end", "What arrives from one site is poor, the others are fine: it is that site. Measured: video loss 9 % (limit 3). Nothing to do in this room: ",
			Call{Grade: "poor", Reasons: "video_recv_loss", Scope: "far_end", Streams: 3, Bad: 1, Values: map[string]float64{"video_recv_loss_pct": 9}, Limits: huawei}},
		{"delay both ways", "Delay both ways, no loss: sent audio 300 ms, received audio 310 ms (limit 250). A queue or a detour: ",
			sample(`"grade":"poor","grade_reasons":"audio_send_delay,audio_recv_delay","audio_send_delay_ms":300,"audio_recv_delay_ms":310`)},
		{"loss and jitter, fair", "Packets are lost on the way to the room: video 1.5 % (limit 1); also audio jitter 35 ms (limit 30). What it sends is fine.",
			sample(`"grade":"fair","grade_reasons":"video_recv_loss,audio_recv_jitter","video_recv_loss_pct":1.5,"audio_recv_jitter_ms":35,"video_send_loss_pct":0`)},
		{"frame rate", "The room receives few frames: video 5/s (limit 7).",
			sample(`"grade":"poor","grade_reasons":"video_recv_fps","video_recv_fps":5`)},
		{"keys instead of reasons, no limits known", "What the room sends arrives unevenly: audio 60 ms. Other",
			Call{Grade: "poor", Reasons: "audio_send_jitter_ms", Values: map[string]float64{"audio_send_jitter_ms": 60}}},
		{"good", "All values are within the limits.", sample(`"grade":"good"`)},
		{"nothing to grade", "The endpoint reports no values that can be graded. If", sample(`"grade":"unknown"`)},
		{"not a payload", "The endpoint reports no values", CallOf([]byte("offline"), nil)},
		{"reasons of a newer agent", "Values are beyond their limits.", sample(`"grade":"poor","grade_reasons":"smell"`)},
	} {
		what, hint := English.Call(c.call)
		if text := English.Sentences(what, hint); !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %q\nwant %q", c.name, text, c.want)
		}
	}
}

func TestACallInChinese(t *testing.T) {
	sample := func(rest string) Call { return CallOf([]byte(`{"v":1,`+rest+`}`), huawei) }
	for want, c := range map[string]Call{
		"会场发出的媒体流在网络中丢包：音频 12 %、视频 8 %（门限 10 / 3）。接收方向正常。请检查本会场的上行链路：交换机端口、双工模式、Wi-Fi、QoS。": sample(
			`"grade":"poor","grade_reasons":"video_send_loss,audio_send_loss","audio_send_loss_pct":12,"video_send_loss_pct":8,"audio_recv_loss_pct":0`),
		"只有一个会场的来流较差，其他会场正常，问题在该会场。实测：视频丢包率 9 %（门限 3）。本会场无需处理：请该会场检查其上行链路。": {
			Grade: "poor", Reasons: "video_recv_loss", Scope: "far_end", Values: map[string]float64{"video_recv_loss_pct": 9}, Limits: huawei},
		"上下行时延都大，没有丢包：上行音频 300 ms、下行音频 310 ms（门限 250）；另外 上行音频抖动 60 ms（门限 50）。有排队或绕路：请检查是否有流量占满线路、是否经过 VPN、服务器是否在其他地区。": sample(
			`"grade":"poor","grade_reasons":"audio_recv_delay,audio_send_delay,audio_send_jitter","audio_send_delay_ms":300,"audio_recv_delay_ms":310,"audio_send_jitter_ms":60`),
	} {
		if got := Chinese.Sentences(Chinese.Call(c)); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestARoomInAFewWords(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, zone)
	for want, c := range map[string]struct {
		state, grade string
		since        time.Time
	}{
		"Good call for 12 min":                   {"in_call", "good", now.Add(-12 * time.Minute)},
		"Poor call for 4 min":                    {"in_call", "poor", now.Add(-4 * time.Minute)},
		"In a call":                              {"in_call", "unknown", time.Time{}},
		"Ready":                                  {"idle", "", now.Add(-time.Hour)},
		"Endpoint does not answer since 09:12":   {"unreachable", "", now.Add(-18 * time.Minute).UTC()},
		"Endpoint is busy since 28 Feb 23:30":    {"busy", "", now.Add(-10 * time.Hour)},
		"Endpoint does not say whether it is in": {"", "", time.Time{}},
	} {
		if got := English.Headline(c.state, c.grade, c.since, now); !strings.HasPrefix(got, want) || c.state != "" && got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := English.ClockUTC(now, now); got != "09:30 (01:30 UTC)" {
		t.Error(got)
	}
}

func TestTheLanguageIsTheSettingsElseTheReadersElseTheSystems(t *testing.T) {
	for _, c := range []struct {
		want            Lang
		setting         string
		accept, locale_ string
	}{
		{English, "auto", "", ""}, {Chinese, "zh", "en", "en_US.UTF-8"}, {English, "en", "zh-CN", "zh_CN.UTF-8"},
		{Chinese, "auto", "zh-CN,zh;q=0.9,en;q=0.8", ""}, {English, "auto", "zh;q=0.3,en-US", "zh_CN.UTF-8"},
		{Chinese, "auto", "de-DE,de", "zh_CN.UTF-8"}, {Chinese, "", "", "zh-Hans-CN"}, {English, "auto", "*", "C.UTF-8"},
		{English, "auto", "zh;q=0", "POSIX"}, {English, "auto", ";;,,=q", "\x00"},
	} {
		if got := Language(c.setting, c.accept, c.locale_); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s/0 秒", 40 * time.Second: "40 s/40 秒", 12*time.Minute + 29*time.Second: "12 min/12 分钟",
		65 * time.Minute: "1 h 5 min/1 小时 5 分钟", 48 * time.Hour: "2 d/2 天", 52 * time.Hour: "2 d 4 h/2 天 4 小时",
	} {
		if got := fmt.Sprintf("%s/%s", English.For(d), Chinese.For(d)); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
