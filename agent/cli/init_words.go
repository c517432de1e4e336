package cli

import "roomcall/agent/health"

// initWords are what `roomcall init` says to the person at the keyboard. The lines of
// the stages are those of `roomcall check`.
type initWords struct {
	address, another, onlyHTTP, oldTLS, pin          string
	user, password, loginAgain                       string
	room, clientID                                   string
	broker, anotherBroker, brokerCA, onlyTCP         string
	brokerUser, brokerPassword, brokerLoginAgain     string
	replace, needed                                  string
	trying, written, keptAs, kept, unwell            string
	next, nextCheck, nextStart, nextReload, nextPage string
	nextAdmin, nextRun                               string
}

// initWordsIn has them in every language.
var initWordsIn = map[health.Lang]initWords{health.English: initEnglish, health.Chinese: initChinese}

var initEnglish = initWords{
	address:  "Address of the endpoint, as in a browser, for example 192.0.2.10",
	another:  "Another address, or Enter to keep this one",
	onlyHTTP: "Only http is answered there: the password would cross the network unencrypted. Use http (yes/no)",
	oldTLS:   "The endpoint only knows old encryption (%s), which others on the network may break. Allow it for this endpoint (yes/no)",
	pin:      "Compare the fingerprint above with the one that the endpoint itself shows. Is it the same, and shall it be pinned (yes/no)",

	user:       "User of the endpoint's API (Enter = no login)",
	password:   "Password of %s at the endpoint (it is not shown)",
	loginAgain: "User and password once more; endpoints lock an account after some wrong tries",

	room:     "Name of the room",
	clientID: "Name of this agent at the broker, a-z, 0-9 and -, used by no other agent",

	broker:        "Address of the MQTT broker, for example mqtt.example.org or tcp://192.0.2.20",
	anotherBroker: "Another address of the broker, or Enter to keep this one",
	brokerCA:      "File with the certificate of the authority that signed the broker's (PEM; Enter = none)",

	onlyTCP: "Only unencrypted MQTT is answered there: passwords and records would cross the network unencrypted. Use tcp:// (yes/no)",

	brokerUser:       "User of the broker (Enter = none)",
	brokerPassword:   "Password of %s at the broker (it is not shown)",
	brokerLoginAgain: "User and password of the broker once more",

	replace: "%s exists. Replace it; the old one is kept as %s (yes/no)",
	needed:  "an answer is needed here",
	trying:  "Trying %s ...",
	written: "config written: %s",
	keptAs:  "the config from before is kept as %s",
	kept:    "%s exists and is kept; --force replaces it",
	unwell:  "warning: with this config it does not work yet: %s",

	next:       "Next:",
	nextCheck:  "correct what is named above in %s, then test it:",
	nextStart:  "start it with the machine, from now on:",
	nextReload: "the running agent still has the config from before; make it read the new one:",
	nextPage:   "see how it is doing: %s, or",
	nextRun:    "start it here, or let your own supervisor do so; there is no systemd on this system:",
	nextAdmin:  "in a terminal opened with \"Run as administrator\"",
}

var initChinese = initWords{
	address:  "终端地址（与浏览器里输入的相同，例如 192.0.2.10）",
	another:  "请输入其他地址，直接按回车则保留当前地址",
	onlyHTTP: "该地址只响应 http：密码将以明文在网络上传输。是否使用 http（yes/no，是/否）",
	oldTLS:   "该终端只支持旧的加密方式（%s），可能被同一网络中的人破解。是否对该终端允许使用（yes/no，是/否）",
	pin:      "请把上面的证书指纹与终端自身显示的指纹核对。两者是否一致，是否固定该证书（yes/no，是/否）",

	user:       "终端 API 账号（直接按回车 = 不登录）",
	password:   "账号 %s 在终端上的密码（输入时不显示）",
	loginAgain: "请重新输入账号和密码；多次输错后终端会锁定账号",

	room:     "会议室名称",
	clientID: "采集代理在 MQTT 服务器上的名称（a-z、0-9 和 -，不能与其他代理相同）",

	broker:        "MQTT 服务器地址，例如 mqtt.example.org 或 tcp://192.0.2.20",
	anotherBroker: "请输入其他 MQTT 服务器地址，直接按回车则保留当前地址",
	brokerCA:      "签发服务器证书的 CA 证书文件（PEM 格式；直接按回车 = 无）",

	onlyTCP: "该地址只响应未加密的 MQTT：密码和数据将以明文在网络上传输。是否使用 tcp://（yes/no，是/否）",

	brokerUser:       "MQTT 服务器账号（直接按回车 = 无）",
	brokerPassword:   "账号 %s 在 MQTT 服务器上的密码（输入时不显示）",
	brokerLoginAgain: "请重新输入 MQTT 服务器的账号和密码",

	replace: "%s 已存在。是否替换？原文件会保留为 %s（yes/no，是/否）",
	needed:  "此项必须填写",
	trying:  "正在尝试 %s ……",
	written: "配置已写入：%s",
	keptAs:  "原配置保留为 %s",
	kept:    "%s 已存在，予以保留；如需替换请加 --force",
	unwell:  "警告：按此配置还不能正常工作：%s",

	next:       "下一步：",
	nextCheck:  "在 %s 中改正上面指出的问题，然后检查：",
	nextStart:  "立即启动，并随系统自动启动：",
	nextReload: "正在运行的采集代理仍在使用原配置，让它读取新配置：",
	nextPage:   "查看运行情况：%s，或者",
	nextRun:    "在此启动，或由您自己的进程管理程序启动；本系统没有 systemd：",
	nextAdmin:  "请在以“以管理员身份运行”打开的终端中执行",
}
