package cli

import "roomcall/agent/health"

// screenWords are the fixed words of the screen; what is wrong is said by agent/health.
type screenWords struct {
	room, device, state, grade, worst, age string // headings
	stream                                 string
	ranks                                  [ranks]string // in the counts, and for what no sample says
	stopped                                string
	states, grades, media                  map[string]string
	rooms, matches                         string // counts
	connecting, down, nothing              string
	notes                                  map[blindSpot]string
	orders                                 [fleetOrders]string
	keys, typingKeys, roomKeys             string
	heard, since, seen, legend, most       string
	lostHint, staleHint                    string // next steps that only the fleet needs
}

// rankWords are the English words of the ranks, for the filter and for lines.
var rankWords = watchWords[health.English].ranks

var watchWords = map[health.Lang]screenWords{
	health.English: {
		room: "ROOM", device: "DEVICE", state: "STATE", grade: "GRADE", worst: "WORST", age: "AGE",
		stream: "STREAM",
		ranks: [ranks]string{rankLost: "agent lost", rankUnreachable: "unreachable", rankRefused: "refused", rankError: "error",
			rankBusy: "busy", rankPoor: "poor", rankFair: "fair", rankStale: "stale", rankUnknown: "call, not graded", rankGood: "good", rankIdle: "idle"},
		stopped:    "agent stopped",
		states:     map[string]string{"in_call": "in call"},
		media:      map[string]string{"audio": "audio", "video": "video", "aux": "aux", "send": "send", "recv": "recv", "loss": "loss", "jitter": "jitter", "delay": "delay", "fps": "fps"},
		rooms:      "%d rooms",
		matches:    "%d of %d",
		connecting: "connecting ...",
		down:       "No link to the broker for %s: shown is what was heard before",
		nothing:    "no room yet",
		notes: map[blindSpot]string{
			noRetained: "The broker sent no stored states: a room appears when it reports next, one that is silent does not.",
			tooMany:    "There are more devices than are shown here: choose some with --filter.",
		},
		orders:     [fleetOrders]string{byWorst: "worst first", byName: "by name", byAge: "oldest first"},
		keys:       "q quit  / filter  s sort  Enter room  PgUp PgDn Home End",
		typingKeys: "Enter keeps it, Esc clears it",
		roomKeys:   "Esc back  arrows other room  q quit",
		heard:      "last heard %s ago",
		since:      "since %s",
		seen:       "Seen for %s, a mark is %s, the newest at the right:",
		legend:     "▁ good ▄ fair █ poor . idle x not working",
		most:       "at most %s",
		lostHint:   "the broker lost this agent: look whether its machine is on and on the network; nothing is known of the room meanwhile",
		staleHint:  "the agent reports nothing of this room: run `roomcall status` on its machine",
	},
	health.Chinese: {
		room: "会议室", device: "设备", state: "状态", grade: "质量", worst: "最差指标", age: "更新",
		stream: "媒体流",
		ranks: [ranks]string{rankLost: "采集代理失联", rankUnreachable: "无响应", rankRefused: "拒绝访问", rankError: "应答异常",
			rankBusy: "忙", rankPoor: "较差", rankFair: "一般", rankStale: "无新数据", rankUnknown: "未评级", rankGood: "良好", rankIdle: "就绪"},
		stopped: "采集代理停止",
		states: map[string]string{"in_call": "通话中", "idle": "就绪", "unreachable": "无响应", "refused": "拒绝访问", "error": "应答异常",
			"busy": "忙", "upgrading": "升级中"},
		grades:     map[string]string{"good": "良好", "fair": "一般", "poor": "较差", "unknown": "未评级"},
		media:      map[string]string{"audio": "音频", "video": "视频", "aux": "辅流", "send": "上行", "recv": "下行", "loss": "丢包率", "jitter": "抖动", "delay": "时延", "fps": "帧率"},
		rooms:      "共 %d 个会议室",
		matches:    "%d / %d",
		connecting: "正在连接 ...",
		down:       "与 MQTT 服务器的连接已中断 %s：显示的是之前的数据，正在重连",
		nothing:    "暂无会议室",
		notes: map[blindSpot]string{
			noRetained: "MQTT 服务器没有下发保留的状态：会议室要等下次上报才会出现，不上报的不会出现。",
			tooMany:    "设备过多，未全部显示：请用 --filter 缩小范围。",
		},
		orders:     [fleetOrders]string{byWorst: "最差在前", byName: "按名称", byAge: "最久未更新在前"},
		keys:       "q 退出  / 筛选  s 排序  Enter 详情  PgUp PgDn Home End",
		typingKeys: "Enter 确认，Esc 清除",
		roomKeys:   "Esc 返回  方向键 切换会议室  q 退出",
		heard:      "%s前更新",
		since:      "（自 %s 起）",
		seen:       "已观察 %s，每格 %s，最右为最新：",
		legend:     "▁ 良好 ▄ 一般 █ 较差 . 就绪 x 不可用",
		most:       "最大 %s",
		lostHint:   "MQTT 服务器与该采集代理失去联系：请检查其所在机器是否开机、是否在网；在此期间会议室状态未知",
		staleHint:  "采集代理没有上报该会议室的数据：请在其所在机器上运行 `roomcall status`",
	},
}
