package web

import "roomcall/agent/health"

// w is a label of the page in its language. What is wrong and what to do has its words
// in agent/health.
func (p *page) w(label string) string {
	if zh, ok := chinese[label]; ok && p.lang == health.Chinese {
		return zh
	}
	return label
}

// chinese has the labels in Chinese; a test finds one that is missing.
var chinese = map[string]string{
	"The agent does not answer; what is shown may be old. This page goes on by itself when it is back.": "采集代理没有响应，页面内容可能已过时。恢复后页面会自动更新。",

	"All rooms": "全部会场", "Charts and calls": "曲线与通话记录", "No endpoint is configured.": "尚未配置终端。",
	", and something wants attention": "，另有事项需要关注", "What to do:": "处理建议：", "now": "现在",

	"failing": "异常", "busy": "忙", "poor": "较差", "fair": "一般", "in a call": "通话中", "good": "良好", "ready": "就绪",
	"not polled yet": "尚未采集", "no answer": "无响应", "nothing known": "无数据",
	"The last hour, in minutes:": "最近一小时（分钟）：",

	"Now": "当前数值", "Loss %": "丢包率 %", "Jitter ms": "抖动 ms", "Delay ms": "时延 ms", "kbit/s": "码率 kbit/s", "Frames/s": "帧率",
	"Lines": "分辨率（行）", "MOS est.": "MOS 估算", "limit %s": "门限 %s",
	"Audio sent": "音频上行", "Video sent": "视频上行", "Content sent": "辅流上行",
	"Audio received": "音频下行", "Video received": "视频下行", "Content received": "辅流下行",

	"Charts": "变化曲线", "Time": "时间", "Last hour": "最近一小时", "This call": "本次通话", "Last day": "最近一天",
	"Each point is the worst of its minute.": "每个点是该分钟内的最差值。", "No call in this time.": "这段时间没有通话。", "audio": "音频", "video": "视频", "content": "辅流",
	"Loss sent, %": "上行丢包率 %", "Loss received, %": "下行丢包率 %", "Jitter sent, ms": "上行抖动 ms", "Jitter received, ms": "下行抖动 ms",
	"Delay sent, ms": "上行时延 ms", "Delay received, ms": "下行时延 ms", "Bit rate sent, kbit/s": "上行码率 kbit/s",
	"Bit rate received, kbit/s": "下行码率 kbit/s", "Frame rate sent, /s": "上行帧率", "Frame rate received, /s": "下行帧率",

	"Calls of the last 24 hours": "最近 24 小时的通话", "No call has ended.": "没有已结束的通话。",
	"Start": "开始", "Duration": "时长", "Grade": "质量", "Cause": "原因",

	"Endpoint": "终端", "Address": "地址", "Model": "型号", "API": "接口", "Last poll": "最近采集", "Last good poll": "最近成功采集",
	"Polls": "采集次数", "%d, %d failed, %d skipped": "%d 次，失败 %d 次，跳过 %d 次", "Error": "错误",

	"Broker":   "MQTT 服务器",
	"Delivery": "送达确认", "proven: the broker handed a test message back": "已确认：服务器送回了测试消息",
	"not proven: no right to read the echo topic": "未确认：没有读取 echo 主题的权限", "failed: acknowledged, but not handed back": "失败：服务器已应答但没有送回",
	"being checked": "正在确认", "not checked yet": "尚未确认",
	"Delivered": "已送达", "%d records": "%d 条记录", "Last confirmation": "最近确认", "In flight": "在途",
	"Connections": "连接次数", "%d made, %d lost": "建立 %d 次，断开 %d 次",

	"Store": "本地存储", "%s · %d records wait · %s of %s": "%s · %d 条记录待发 · %s / %s",
	"Oldest that waits": "最早的待发记录", "Delivered and kept": "已送达并保留", "Files": "文件数", "Free on the disk": "磁盘剩余",
	"Evicted": "已淘汰", "Polls not recorded": "未能记录的采集", "Quarantined": "已隔离", "Damaged files": "损坏的文件",

	"Agent": "采集代理", "Client id": "客户端标识", "Site": "站点", "Running for": "已运行", "Config": "配置文件", "Time of this page": "页面时间",
	"Status as JSON": "状态（JSON）", "Metrics": "指标", "Ready?": "就绪检查",
}
