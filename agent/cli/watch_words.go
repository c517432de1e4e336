package cli

import "roomcall/agent/health"

// screenWords are the fixed words of the screen; what is wrong is said by agent/health.
type screenWords struct {
	room, device, state, grade, worst, age string // headings
	stream, loss, jitter, delay            string
	ranks                                  [ranks]string // in the counts, and for what no sample says
	stopped                                string
	states, grades, media                  map[string]string
	rooms, matches                         string // counts
	connecting, down, nothing              string
	notes                                  map[blindSpot]string
	orders                                 [fleetOrders]string
	keys, typingKeys, roomKeys             string
	heard, since, seen, legend, most       string
}

// rankWords are the English words of the ranks, for the filter and for lines.
var rankWords = watchWords[health.English].ranks

var watchWords = map[health.Lang]screenWords{
	health.English: {
		room: "ROOM", device: "DEVICE", state: "STATE", grade: "GRADE", worst: "WORST", age: "AGE",
		stream: "STREAM", loss: "loss", jitter: "jitter", delay: "delay",
		ranks: [ranks]string{rankLost: "agent lost", rankUnreachable: "unreachable", rankRefused: "refused", rankError: "error",
			rankBusy: "busy", rankPoor: "poor", rankFair: "fair", rankStale: "stale", rankUnknown: "call, not graded", rankGood: "good", rankIdle: "idle"},
		stopped:    "agent stopped",
		states:     map[string]string{"in_call": "in call"},
		media:      map[string]string{"audio": "audio", "video": "video", "aux": "aux", "send": "send", "recv": "recv"},
		rooms:      "%d rooms",
		matches:    "%d of %d",
		connecting: "connecting ...",
		down:       "No link to the broker for %s; shown is what was heard before. It is tried again: %s",
		nothing:    "no room yet",
		notes: map[blindSpot]string{
			noRetained: "The broker sent no stored states: a room appears when it reports next, one that is silent does not.",
			tooMany:    "There are more devices than are shown here: choose some with --filter.",
		},
		orders:     [fleetOrders]string{byWorst: "worst first", byName: "by name", byAge: "oldest first"},
		keys:       "q quit  / filter  s sort  Enter room  arrows PgUp PgDn Home End",
		typingKeys: "Enter keeps it, Esc clears it",
		roomKeys:   "Esc back  arrows other room  q quit",
		heard:      "last heard %s ago",
		since:      "since %s",
		seen:       "Seen for %s, a mark is %s, the newest at the right:",
		legend:     "▁ good ▄ fair █ poor . idle x not working",
		most:       "at most %s",
	},
	health.Chinese: {
		room: "会议室", device: "设备", state: "状态", grade: "质量", worst: "最差指标", age: "更新",
		stream: "媒体流", loss: "丢包率", jitter: "抖动", delay: "时延",
		ranks: [ranks]string{rankLost: "代理失联", rankUnreachable: "无法连接", rankRefused: "拒绝访问", rankError: "异常",
			rankBusy: "忙", rankPoor: "差", rankFair: "一般", rankStale: "无新数据", rankUnknown: "通话未评级", rankGood: "良好", rankIdle: "空闲"},
		stopped: "代理已停止",
		states: map[string]string{"in_call": "通话中", "idle": "空闲", "unreachable": "无法连接", "refused": "拒绝访问", "error": "异常",
			"busy": "忙", "upgrading": "升级中"},
		grades:     map[string]string{"good": "良好", "fair": "一般", "poor": "差", "unknown": "未知"},
		media:      map[string]string{"audio": "音频", "video": "视频", "aux": "辅流", "send": "发送", "recv": "接收"},
		rooms:      "共 %d 个会议室",
		matches:    "%d / %d",
		connecting: "正在连接 ...",
		down:       "与消息服务器的连接已中断 %s,显示的是之前的数据,正在重连: %s",
		nothing:    "暂无会议室",
		notes: map[blindSpot]string{
			noRetained: "消息服务器没有下发保留的状态: 会议室要等下次上报才会出现,不上报的不会出现。",
			tooMany:    "设备过多,未全部显示: 请用 --filter 缩小范围。",
		},
		orders:     [fleetOrders]string{byWorst: "最差在前", byName: "按名称", byAge: "最久未更新在前"},
		keys:       "q 退出  / 筛选  s 排序  Enter 详情  方向键 PgUp PgDn Home End",
		typingKeys: "Enter 确认, Esc 清除",
		roomKeys:   "Esc 返回  方向键 切换会议室  q 退出",
		heard:      "%s前更新",
		since:      "(%s 起)",
		seen:       "已观察 %s,每格 %s,最右为最新:",
		legend:     "▁ 良好 ▄ 一般 █ 差 . 空闲 x 不可用",
		most:       "最大 %s",
	},
}
