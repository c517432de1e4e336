package main

import (
	"encoding/json"
	"html"
	"strings"
	"testing"

	"roomcall/agent/health"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// situation is what is wrong with a room, and what people are told then.
type situation struct {
	device, scenario string
	fault            func(t *testing.T, s *simulator) (endpoint []string) // lines of its config; nil = none
	event, code      string
	says             map[string]string // by language: the sentence, without its numbers
	todo             map[string]string // and the beginning of the next step
}

var situations = []situation{
	{"uplink", "near-end-bad", nil, "quality.degraded", "endpoint_poor_call",
		map[string]string{"en": "What the room sends is lost on the way: ", "zh": "会场发出的媒体流在网络中丢包："},
		map[string]string{"en": "ook at this room's uplink", "zh": "请检查本会场的上行链路"}},
	{"downlink", "far-end-bad", nil, "quality.degraded", "endpoint_poor_call",
		map[string]string{"en": "Packets are lost on the way to the room: ", "zh": "会场接收的媒体流有丢包："},
		map[string]string{"en": "ook at this room's downlink", "zh": "请检查本会场的下行链路"}},
	{"site", "one-site-bad", nil, "quality.degraded", "endpoint_poor_call",
		map[string]string{"en": "What arrives from one site is poor, the others are fine: it is that site", "zh": "只有一个会场的来流较差，其他会场正常，问题在该会场"},
		map[string]string{"en": "othing to do in this room", "zh": "本会场无需处理"}},
	{"delay", "long-delay", nil, "quality.degraded", "endpoint_poor_call",
		map[string]string{"en": "Delay both ways, no loss: ", "zh": "上下行时延都大，没有丢包："},
		map[string]string{"en": " queue or a detour", "zh": "有排队或绕路"}},
	{"away", "", func(_ *testing.T, s *simulator) []string { s.gone(); return nil }, "endpoint.offline", "endpoint_unreachable",
		map[string]string{"en": "does not answer, since ", "zh": "无响应，自 "},
		map[string]string{"en": "he address answers, but nothing listens on the port", "zh": "地址有响应，但端口无人监听"}},
	{"locked", "", func(*testing.T, *simulator) []string { return []string{`username = "api"`, `password = "wrong"`} }, "endpoint.refused", "endpoint_refused",
		map[string]string{"en": "refuses the agent, since ", "zh": "拒绝采集代理访问，自 "},
		map[string]string{"en": "he endpoint refuses ", "zh": "终端拒绝"}},
}

// TestASituationIsToldInTheSameWordsEverywhere provokes what can be wrong with a room, and
// reads it from the event, the status and the page.
func TestASituationIsToldInTheSameWordsEverywhere(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		t.Run(lang, func(t *testing.T) {
			r := newRig(t)
			broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
			sub := r.consumer(broker)
			tables := []string{"language = \"" + lang + "\"\n"}
			for _, s := range situations {
				sim := newSimulator(t, cgitest.Options{Scenario: s.scenario, Username: "api", Password: "right"})
				var lines []string
				if s.fault != nil {
					lines = s.fault(t, sim)
				}
				if len(lines) == 0 {
					lines = []string{`username = "api"`, `password = "right"`}
				}
				tables = append(tables, endpointTable(s.device, sim.url(), append(lines, `room = "Room of `+s.device+`"`)...))
			}
			r.configure(append(tables, mqttTable(broker.URL()))...)
			r.run()

			told := map[string]map[string]any{} // the opening event by device
			sub.Wait(func(got []brokertest.Message) bool {
				for _, m := range got {
					var ev map[string]any
					if strings.HasSuffix(m.Topic, "/event") && json.Unmarshal(m.Payload, &ev) == nil {
						for _, s := range situations {
							if ev["device"] == s.device && ev["type"] == s.event {
								told[s.device] = ev
							}
						}
					}
				}
				return len(told) == len(situations)
			})
			problems := map[string]health.Problem{}
			r.waitStatus("every room has its problem", func(st health.Status) bool {
				problems = map[string]health.Problem{}
				for _, p := range health.Lang(lang).Problems(st, st.Started) {
					problems[p.Device] = p
				}
				for _, s := range situations {
					if problems[s.device].Code != s.code {
						return false
					}
				}
				return true
			})
			page, err := r.ask("/")
			if err != nil {
				t.Fatal(err)
			}
			shown := html.UnescapeString(string(page))
			for _, s := range situations {
				ev, p := told[s.device], problems[s.device]
				text, _ := ev["text"].(string)
				if ev["code"] != s.code || !strings.Contains(text, "Room of "+s.device) || !strings.Contains(text, s.says[lang]) || !strings.Contains(text, s.todo[lang]) {
					t.Errorf("event of %s: %v: %s", s.device, ev["code"], text)
				}
				if !strings.Contains(p.What, s.says[lang]) || !strings.Contains(p.Hint, s.todo[lang]) {
					t.Errorf("status of %s: %s; %s", s.device, p.What, p.Hint)
				}
				if !strings.Contains(shown, s.todo[lang]) {
					t.Errorf("the page does not say of %s: %s", s.device, s.todo[lang])
				}
			}
		})
	}
}
