package health

// Ends of several hints.
const (
	orPinZH       = "|；或与终端自身的证书核对后固定指纹：fingerprint = \"{fingerprint}\""
	loginPausedZH = "|；终端会锁定账号，因此在 {until} 之前不再发送密码，除非修改配置或密码文件；密码改对后，运行 `roomcall check --try-login` 立即重试并结束等待"
)

// chinese has what and hint in Chinese, by the codes of english.
var chinese = map[string]words{
	// the store
	"store_opening": {what: "正在打开本地存储"},
	"store_full": {what: "磁盘已满，无法记录数据|，自 {since} 起|",
		hint: "请清理 data_dir 所在磁盘；其间最新的采集结果暂存在内存中"},
	"store_read_only": {what: "存储所在的文件系统变为只读，无法记录数据|，自 {since} 起|",
		hint: "文件系统被系统置为只读，多半是磁盘出错：请查看系统日志（dmesg），检查磁盘后重新以可写方式挂载"},
	"store_io_error": {what: "存储所在的磁盘出错，无法记录数据|，自 {since} 起|",
		hint: "请查看系统日志（dmesg）和磁盘自检结果（smartctl）；更换磁盘或存储卡"},
	"store_failed": {what: "本地存储无法写入|，自 {since} 起|",
		hint: "请检查 data_dir 所在磁盘和日志"},
	"store_memory": {what: "磁盘无法写入，采集结果暂存在内存中|：{polls} 次|",
		hint: "请让 data_dir 所在磁盘恢复写入；在此之前重启会丢失这些记录"},
	"store_holds": {
		hint: "采集继续进行；采样暂存在内存中，直到存储可以写入"},
	"store_rejected": {
		hint: "存储永远无法接受它，已跳过"},
	"store_missed": {what: "有 {polls} 次采集未能记录（涉及 {devices} 台设备），最近一次在 {ago}",
		hint: "请检查 data_dir 所在磁盘和日志；status --json 按设备列出；数据接收方会收到 agent.missed"},
	"store_almost_full": {what: "本地存储快满了，即将淘汰最早的未送达记录",
		hint: "请恢复 MQTT 服务器，或调大 [buffer] max_bytes"},
	"store_evicted": {what: "因达到上限，未送达就被淘汰|：{records}|",
		hint: "请调大 [buffer] max_bytes 或 max_age，或尽快恢复 MQTT 服务器"},
	"store_quarantined": {what: "有记录因 MQTT 服务器拒收而被隔离|：{records}|",
		hint: "请查看 MQTT 服务器的日志和消息大小限制；`roomcall buffer replay --set-aside` 可重新发送"},
	"store_damaged_files": {what: "存储中有损坏的文件，已保留供检查|：{files} 个|",
		hint: "请检查磁盘；能恢复的内容已在存储中；确认后可删除 data_dir 中的 *.corrupt-* 文件"},
	"store_not_writable": {what: "采集代理没有写入存储的权限，无法记录数据|，自 {since} 起|",
		hint: "请给运行 roomcall 的用户写权限，或修改 [agent] data_dir"},
	"store_missing": {what: "存储文件夹不存在，无法记录数据|，自 {since} 起|",
		hint: "请重新挂载 data_dir 所在磁盘；如果文件夹已被删除，请重启采集代理，它会新建存储"},
	"store_no_answer": {what: "存储所在磁盘没有响应，无法记录数据|，自 {since} 起|",
		hint: "请检查磁盘及其连接（例如网络挂载）；磁盘恢复响应后会自动继续记录"},
	"store_unreadable": {
		hint: "请检查 data_dir 的权限；如果文件损坏，`roomcall run` 会恢复完好的部分并给出说明"},
	"disk_full": {what: "存储所在的磁盘几乎已满|，剩余 {free}|：写满后只能靠清除已送达的记录腾出空间",
		hint: "请清理 data_dir 所在的磁盘"},
	"disk_small": {
		hint: "存储最多会增长到 {limit}：请清理磁盘，或调小 [buffer] max_bytes"},
	"store_new_epoch": {what: "记录编号已重新开始|（{ago}）|：{reason}|",
		hint: "原因是恢复了备份、拷贝了磁盘，或有另一个采集代理使用同一 client_id；见 docs/operate.md 的 \"Images, snapshots, backups\""},

	// the broker, as the status sees it
	"broker_connecting":   {what: "尚未连上 MQTT 服务器|，自 {since} 起|；存储中等待发送：{records}"},
	"broker_disconnected": {what: "未连接 MQTT 服务器|，自 {since} 起|；存储中等待发送：{records}"},
	"broker_not_delivering": {what: "MQTT 服务器确认了消息，但并未送达|，自 {since} 起|",
		hint: "请检查 MQTT 服务器上此 client id 和主题的访问规则；在此期间不会删除任何记录"},
	"broker_unproven": {what: "无法证实送达|（自 {since} 起）|：此客户端无权读取自己的 echo 主题",
		hint: "请允许它读取主题 .../echo，以便证实送达"},
	"broker_left_out": {what: "MQTT 服务器因某一操作断开连接，现已省略该操作|：{what}|，自 {since} 起|",
		hint: "记录照常发送；请查看 MQTT 服务器的访问列表和限制。稍后自动再试，重新加载配置后也会再试"},

	// an endpoint, as the status sees it
	"endpoint_not_polled":  {what: "{endpoint} 尚未采集"},
	"endpoint_overdue":     {what: "{endpoint} 未按时采集|：最近一次在 {ago}，超过 {intervals} 个周期（每周期 {interval}）|", hint: "采集循环停住了：请重启服务并反馈此问题"},
	"endpoint_unreachable": {what: "{endpoint} 无响应|，自 {since} 起|", hint: "请检查终端是否开机、是否在网：电源、网线、地址"},
	"endpoint_refused":     {what: "{endpoint} 拒绝采集代理访问|，自 {since} 起|", hint: "请检查账号：username、password 和 login"},
	"endpoint_error":       {what: "{endpoint} 有响应，但未返回状态|，自 {since} 起|", hint: "请确认 url 指向该终端；`roomcall poll --raw` 可显示它的应答"},
	"endpoint_busy": {what: "{endpoint} 忙|，自 {since} 起|",
		hint: "启动完成或空闲后会恢复应答；如果数分钟后仍然如此，请重启终端"},
	"endpoint_attention": {what: "{endpoint} 有响应，但有事项需要关注|，自 {since} 起|"},
	"endpoint_upgrading": {what: "{endpoint} 正在升级|，自 {since} 起|",
		hint: "终端正在安装新固件；采集代理会等待升级完成"},
	"endpoint_poor_call":      {what: "{endpoint} 通话质量差|，自 {since} 起|：{call}"},
	"endpoint_not_understood": {what: "{endpoint} 上报了无法识别的值|：{values} 个|", hint: "`roomcall check` 会列出这些值"},

	// a room in a few words
	"room_not_polled":  {what: "尚未采集"},
	"room_idle":        {what: "就绪"},
	"room_good":        {what: "通话良好|，已 {for}|"},
	"room_fair":        {what: "通话一般|，已 {for}|"},
	"room_poor":        {what: "通话较差|，已 {for}|"},
	"room_in_call":     {what: "通话中|，已 {for}|"},
	"room_unreachable": {what: "终端无响应|，自 {since} 起|"},
	"room_refused":     {what: "终端拒绝访问|，自 {since} 起|"},
	"room_error":       {what: "终端应答异常|，自 {since} 起|"},
	"room_busy":        {what: "终端忙|，自 {since} 起|"},
	"room_upgrading":   {what: "终端正在升级|，自 {since} 起|"},
	"room_unclear":     {what: "终端未说明是否在通话中"},

	// a call, by where it is beyond a limit and how
	"call_good": {what: "各项指标均在门限之内。"},
	"call_unknown": {what: "终端没有上报可评级的数据。",
		hint: "如果持续数分钟，请在通话中运行 `roomcall check`"},
	"call_other": {what: "有指标超过门限|：{values}|。"},
	"call_uplink_loss": {what: "会场发出的媒体流在网络中丢包|：{values}|。|{fine}",
		hint: "请检查本会场的上行链路：交换机端口、双工模式、Wi-Fi、QoS"},
	"call_downlink_loss": {what: "会场接收的媒体流有丢包|：{values}|。|{fine}",
		hint: "请检查本会场的下行链路：交换机端口、Wi-Fi、线路上的其他流量；如果其他会场也如此，问题在发送方或服务器"},
	"call_both_loss": {what: "上行和下行都有丢包|：{values}|。",
		hint: "请检查上下行共用的部分：本会场的网线、交换机端口和 Wi-Fi，其次是本地出口线路；同一地点多个会场同时变差，说明问题在出口线路"},
	"call_uplink_delay": {what: "会场发出的媒体流时延大，但没有丢包|：{values}|。|{fine}",
		hint: "上行有排队：请查找占满线路的上传流量，并为会议流量设置优先级（QoS）"},
	"call_downlink_delay": {what: "会场接收的媒体流时延大，但没有丢包|：{values}|。|{fine}",
		hint: "下行有排队，或对端较远：请查找占满线路的下载流量，并为会议流量设置优先级（QoS）"},
	"call_both_delay": {what: "上下行时延都大，没有丢包|：{values}|。",
		hint: "有排队或绕路：请检查是否有流量占满线路、是否经过 VPN、服务器是否在其他地区"},
	"call_uplink_jitter": {what: "会场发出的媒体流到达不均匀|：{values}|。|{fine}",
		hint: "上行与其他流量争抢，或 Wi-Fi 信号弱：请改用网线，并为会议流量设置优先级（QoS）"},
	"call_downlink_jitter": {what: "会场接收的媒体流到达不均匀|：{values}|。|{fine}",
		hint: "下行与其他流量争抢，或 Wi-Fi 信号弱：请改用网线，并为会议流量设置优先级（QoS）"},
	"call_both_jitter": {what: "上下行的媒体流到达都不均匀|：{values}|。",
		hint: "线路与其他流量争抢，或 Wi-Fi 信号弱：请改用网线，并为会议流量设置优先级（QoS）"},
	"call_uplink_fps": {what: "会场发出的视频帧率低|：{values}|。|{fine}",
		hint: "原因不一定在网络：请检查呼叫带宽、摄像机处的光线和终端负荷"},
	"call_downlink_fps": {what: "会场接收的视频帧率低|：{values}|。|{fine}",
		hint: "请检查发送方：呼叫带宽、摄像机和上行链路"},
	"call_both_fps": {what: "上下行视频帧率都低|：{values}|。",
		hint: "请检查会议允许的呼叫带宽和终端负荷"},
	"call_far_end": {what: "只有一个会场的来流较差，其他会场正常，问题在该会场。|实测：{values}。|",
		hint: "本会场无需处理：请该会场检查其上行链路"},
	"call_far_ends": {what: "{streams} 个会场中有 {bad} 个的来流较差，其他会场正常，问题在这些会场。|实测：{values}。|",
		hint: "本会场无需处理：请这些会场检查各自的上行链路"},

	"endpoint_clock_off": {what: "{endpoint} 的时钟不准|，自 {since} 起|：比采集代理所在机器{off}|",
		hint: "请为两者配置时间服务器（NTP）；在此之前，终端自身的记录无法与这里的记录对照"},

	// what events say, beside the problems that they open
	"call_started":                   {what: "{endpoint}：通话于 {since} 开始"},
	"call_ended":                     {what: "{endpoint}：通话结束，时长 {lasted}，评级：{grade}|（其中较差 {poor}）|；最常超过门限的是{cause}|"},
	"event_recovered":                {what: "{endpoint}：{for}后通话恢复到门限之内"},
	"event_recovered_call_ended":     {what: "{endpoint}：质量差的通话已结束，距变差 {for}"},
	"event_recovered_merged":         {what: "{endpoint}：已并入该会场的同一事件"},
	"event_recovered_device_removed": {what: "{endpoint} 在质量差的通话中被移出配置"},
	"event_recovered_store_reset":    {what: "{endpoint}：记录编号重新开始，旧 epoch 中质量差的通话已关闭"},
	"event_online_store_reset":       {what: "{endpoint}：记录编号重新开始，旧 epoch 中的事件已关闭"},
	"event_online_answers":           {what: "{endpoint} 中断 {for}后恢复响应"},
	"event_online_accepted":          {what: "{endpoint} 中断 {for}后恢复上报状态"},
	"event_online_clock_right":       {what: "{endpoint} 的时钟在 {for}后恢复正常"},
	"event_online_device_removed":    {what: "{endpoint} 已移出配置"},
	"event_started":                  {what: "采集代理已启动|，版本 {version}|：{reason}||；{detail}|"},
	"event_gap":                      {what: "{device} 的 {count} 条 {kind} 记录（编号 {first} 至 {last}）未送达就已丢失|：{reason}|（{detail}）|"},
	"event_missed":                   {what: "{device} 有 {count} 次采集或事件未能记录|，自 {since} 起|：{reason}|"},
	"event_quarantined":              {what: "MQTT 服务器不接受 {device} 的一条 {kind} 记录（编号 {first}）|：{reason}|"},
	"event_damaged":                  {what: "一个存储文件损坏|（{detail}）|"},
	"event_store_reset":              {what: "记录编号以新的 epoch 重新开始|：{reason}|。此前的通话和事件均告结束"},
	"event_store_working":            {what: "本地存储恢复写入|，中断了 {for}|"},
	"event_same_client_id":           {what: "MQTT 服务器总是在连接建立后不久断开此采集代理"},
	"event_clock_step":               {what: "采集代理所在机器的时钟{jump}|：{reason}|"},

	// the way to an endpoint
	"endpoint_dns": {
		hint: "url 中的名称在本机无法解析；请检查名称，或改用 IP 地址"},
	"endpoint_silent": {
		hint: "该地址没有响应；请检查终端是否开机，以及终端的 IP 白名单是否包含本机"},
	"endpoint_no_answer": {
		hint: "终端未在规定时间内应答；可能正在启动或过载，或者 timeout 太短"},
	"endpoint_nobody_listens": {
		hint: "地址有响应，但端口无人监听；请检查 url 中的端口，以及终端的 Web 服务是否开启"},
	"endpoint_no_route": {
		hint: "没有到该地址的路由；请检查网线、VLAN 和网关"},
	"endpoint_reset": {
		hint: "终端关闭了连接；可能正在启动，或不允许更多连接"},

	// what answers there
	"endpoint_too_large": {
		hint: "应答超过任何终端的大小；请确认 url 指向该终端"},
	"endpoint_cut_body": {
		hint: "应答在声明的长度之前就结束了"},
	"endpoint_bad_header": {
		hint: "终端固件发送的 HTTP 头不符合标准，或者该端口是别的程序"},
	"endpoint_speaks_tls": {
		hint: "该端口使用 TLS；请把 url 改为 https://"},
	"endpoint_no_json": {
		hint: "应答不是终端的格式，或已损坏：请确认 url 指向该终端；如果无误，请把 `roomcall poll --raw` 的输出发给技术支持"},
	"endpoint_moved": {
		hint: "终端把请求转到 {to}；如果那就是终端，请把 url 改为该地址"},
	"endpoint_web_page": {
		hint: "应答是一个网页；请确认 url 指向该终端及其端口"},
	"endpoint_wants_session": {
		hint: "终端要求会话；请检查 username、password 和 login"},
	"endpoint_no_cgi": {
		hint: "该地址没有 action.cgi；请检查 url 中的主机、端口和路径"},
	"endpoint_bad_request": {
		hint: "终端无法理解请求；请检查 url 用 http:// 还是 https://"},
	"endpoint_service_fails": {
		hint: "终端的 Web 服务出错；可能正在启动；如果一直如此，请重启终端"},
	"endpoint_odd_status": {
		hint: "没有已知的终端会这样应答；请确认 url 指向该终端"},

	// login and session
	"endpoint_session_limit": {
		hint: "终端的会话已满；需要等其他程序或人员的会话结束"},
	"endpoint_auth_failed": {
		hint: "终端拒绝了用户名或密码" + loginPausedZH},
	"endpoint_disabled": {
		hint: "终端的 HTTP 接口已关闭；请改用 https，或在终端上开启"},
	"endpoint_web_user": {
		hint: "有人正登录终端的网页；采集代理会等待，不会把对方踢下线"},
	"endpoint_no_session_given": {
		hint: "终端没有建立会话：会话已满、正在升级，或使用另一种登录方式（请设置 login）"},
	"endpoint_no_session_id": {
		hint: "终端既没有在 cookie 中也没有在应答中给出会话标识"},
	"endpoint_login_refused": {
		hint: "终端拒绝登录；请检查 username 和 password，或把 login 改为另一种方式" + loginPausedZH},
	"endpoint_refused_before": {
		hint: "请检查 username 和 password；之前已被拒绝" + loginPausedZH},
	"endpoint_wants_login": {
		hint: "终端拒绝所有请求；可能需要登录：请设置 username 和 password"},
	"endpoint_session_lost": {
		hint: "终端不再接受此会话"},
	"endpoint_sessions_short": {
		hint: "每次登录后不久会话就被终端结束；请检查该账号是否允许使用 API"},
	"endpoint_other_login": {
		hint: "有人用同一账号登录，使采集代理的会话中断|，已连续 {times} 次|：请在终端上为采集代理单独建一个账号"},
	"endpoint_call_refused": {
		hint: "终端拒绝提供通话数据（id {err_id}，code {err_code}）|；终端提示：{said}|：请检查该账号是否允许使用 API，并把这些编号和通话中 `roomcall poll --raw` 的输出发给技术支持"},

	// TLS of an endpoint
	"endpoint_speaks_plain": {
		hint: "该端口不使用 TLS；请把 url 改为 http://，或检查端口"},
	"endpoint_other_pin": {
		hint: "如果终端的证书是有意更换的，请设置 fingerprint = \"{fingerprint}\""},
	"endpoint_unknown_ca": {
		hint: "证书不是由已知机构签发；请把 ca_file 设为终端的根证书" + orPinZH},
	"endpoint_other_name": {
		hint: "证书属于另一个名称|（只有通用名 {common_name}，现已不再校验）|；请把 server_name 设为证书中的名称之一：{names}" + orPinZH},
	"endpoint_out_of_date": {
		hint: "证书不在有效期内；请检查终端和本机的时钟，或更新证书" + orPinZH},
	"endpoint_not_accepted": {
		hint: "证书未被接受" + orPinZH},
	"endpoint_old_tls": {
		hint: "终端使用较旧的 TLS 版本；请把 tls_min 设为 \"1.1\" 或 \"1.0\"，老终端还需要 legacy_ciphers = true"},
	"endpoint_no_cipher": {
		hint: "终端与采集代理没有共同的加密套件；请设置 legacy_ciphers = true，老终端还需要 tls_min = \"1.0\""},
	"endpoint_unreadable": {
		hint: "证书无法读取或未被接受；请用 fingerprint 固定，或在终端前加一个 TLS 代理"},
	"endpoint_handshake": {
		hint: "TLS 握手失败；请尝试 tls_min = \"1.0\" 和 legacy_ciphers = true"},
	"endpoint_works_with": {
		hint: "使用 tls_min = \"{tls_min}\"| 和 legacy_ciphers = {legacy_ciphers}| 可以连通；证书指纹为 {fingerprint}"},

	// an endpoint that works and is worth a look
	"endpoint_not_checked": {
		hint: "没有校验证书；请与终端自身的指纹核对，并改为设置 fingerprint = \"{fingerprint}\""},
	"endpoint_ends_soon": {
		hint: "证书即将到期，或已到期；请在终端上更新"},
	"endpoint_values_not_understood": {
		hint: "有 {count} 个值无法识别：{values}；请连同 poll --raw 的输出发给技术支持"},
	"endpoint_clocks": {
		hint: "两个时钟中有一个不准：请为本机和终端配置时间服务器（NTP）；记录使用本机时间"},

	// the way to a broker
	"broker_dns": {
		hint: "[mqtt] broker 中的名称在本机无法解析：请检查名称和本机的 DNS，或改用 IP 地址"},
	"broker_unreachable": {
		hint: "请检查 [mqtt] broker 中的主机和端口、网络和防火墙，以及 MQTT 服务器是否在运行"},
	"broker_no_answer": {
		hint: "那里能接受连接，但没有像 MQTT 服务器那样应答：可能已无响应或过载，或者 [mqtt] broker 的协议和端口不对（tcp 1883，tls 8883）"},
	"broker_ends_connect": {
		hint: "MQTT 服务器在登录时断开连接：可能正在启动、过载或拒绝此客户端；如果一直如此，请查看它的日志，以及 [mqtt] broker 的协议和端口（tcp 1883，tls 8883）"},
	"broker_unavailable": {
		hint: "MQTT 服务器表示暂不可用；请等待，或查看它的日志"},
	"broker_path": {
		hint: "请检查 [mqtt] broker 中 websocket URL 的路径，通常是 /mqtt"},
	"broker_url": {
		hint: "broker 的写法是 tcp://HOST[:PORT]、tls://、ws:// 或 wss://"},

	// login and TLS of a broker
	"broker_login": {
		hint: "请检查 [mqtt] username 和 password_file，以及 MQTT 服务器上的用户"},
	"broker_client_id": {
		hint: "MQTT 服务器不接受此 client id：请检查 [agent] client_id 和服务器的相关规则"},
	"broker_unknown_ca": {
		hint: "请把 [mqtt] ca_file 设为签发服务器证书的 CA"},
	"broker_other_name": {
		hint: "MQTT 服务器的证书属于另一个名称：请改正 [mqtt] broker 中的主机名，或设置 [mqtt] server_name"},
	"broker_expired": {
		hint: "请更新 MQTT 服务器的证书，或校正本机时钟"},
	"broker_client_cert": {
		hint: "MQTT 服务器不接受客户端证书：请检查 [mqtt] cert_file 和 key_file 及其有效期"},
	"broker_no_tls": {
		hint: "MQTT 服务器的这个端口没有 TLS：请在 [mqtt] broker 中使用 tcp://，或改用 TLS 端口"},
	"broker_file": {
		hint: "请检查 {key} 以及谁有权读取它"},

	// a connection to a broker that ended
	"broker_lost": {
		hint: "请查看 MQTT 服务器此时的日志，以及中间的网络"},
	"broker_lost_at": {
		hint: "多半是 MQTT 服务器的访问列表或限制不允许此操作（{extra}）：第二次之后将省略，稍后或重新加载配置后再试"},
	"broker_half_open": {
		hint: "连接已半断开；请检查到 MQTT 服务器的网络"},
	"broker_no_ack": {
		hint: "连接已半断开，或 MQTT 服务器过载；请查看它的日志"},
	"broker_no_echo": {
		hint: "MQTT 服务器丢弃了这条消息：请检查它的大小限制和日志"},
	"broker_lost_early": {
		hint: "连续 {times} 次在一分钟内断开：要么 MQTT 服务器不接受某条消息（访问列表？大小限制？），要么有另一个客户端使用 client id \"{client_id}\""},
	"broker_same_client_id": {what: "MQTT 服务器总是在连接建立后不久断开此采集代理|，自 {since} 起|；存储中等待发送：{records}",
		hint: "可能有另一个客户端使用同一个 client id| \"{client_id}\"|（克隆的机器？）：请给每个采集代理设置不同的 [agent] client_id"},

	// what a broker's access list allows
	"broker_subscribe": {
		hint: "请给此用户读取 {topic} 的权限"},
	"broker_ends_on_write": {
		hint: "请在 MQTT 服务器的访问列表中给客户端 \"{client_id}\" 写 {topic} 的权限，并查看服务器日志"},
	"broker_no_write": {
		hint: "请在 MQTT 服务器的访问列表中给客户端 \"{client_id}\" 写 {topic} 的权限"},
	"broker_no_read": {
		hint: "要完整证实送达，请给客户端 \"{client_id}\" 读取 {topic} 的权限"},
	"broker_no_read_confirm": {
		hint: "请在 MQTT 服务器的访问列表中给客户端 \"{client_id}\" 读取 {topic} 的权限，或设置 [mqtt] confirm = \"puback\""},
	"broker_no_read_write": {
		hint: "请在 MQTT 服务器的访问列表中给客户端 \"{client_id}\" 读写 {topic} 的权限"},
	"broker_reason_code": {
		hint: "请在 MQTT 服务器的日志和限制中查找此原因码"},

	// a broker that works and is worth a look
	"broker_not_checked": {
		hint: "[mqtt] insecure_skip_verify 已开启：任何人都可以冒充 MQTT 服务器"},
	"broker_ends_soon": {
		hint: "请尽快更新 MQTT 服务器的证书"},

	// what runs beside the work: it may fail, and the work goes on
	"page_unavailable": {what: "状态页和监控指标不可用|，自 {since} 起|",
		hint: "地址被另一个程序或另一个 roomcall 占用，或本机没有该地址：请修改 [agent] http_listen；采集代理会重试，其间照常工作"},
	"log_failing": {what: "日志无法写入|；丢失 {lines} 行",
		hint: "请检查读取日志的一方（journal、管道）和保存日志的磁盘；采集代理照常工作"},
	"log_elsewhere": {what: "日志不在通常的文件夹中",
		hint: "在 Windows 上，日志位于 data_dir 内的 logs 文件夹；请给运行 roomcall 的用户写入 data_dir 旁边 logs 文件夹的权限"},

	// who answers when the agent of a config is asked
	"other_agent": {what: "应答的是另一个采集代理|（{address}）|：{other}，而不是 {client_id}",
		hint: "请用 --config 指定它的配置，或给每个采集代理设置不同的 [agent] http_listen"},
	"reload_refused": {what: "最近一次重新加载配置被拒绝|（{since}）|，仍使用原来的配置",
		hint: "`roomcall check --offline` 会列出每个错误：请改正配置，然后重新加载"},
	"other_config": {what: "正在运行的采集代理使用的配置与磁盘上的不同|；启动时使用的是 {path}",
		hint: "请让它重新读取配置：`systemctl reload roomcall`，或 `roomcall restart`"},

	// the clock of this machine
	"clock_in_past": {what: "本机时钟是过去的时间",
		hint: "请校准时钟；记录使用本机时间"},
	"clock_not_synchronized": {what: "本机时钟未同步",
		hint: "请启动时间服务（NTP）；记录使用本机时间"},
	"clock_step": {what: "本机时钟发生跳变|：{ago}{jump}|",
		hint: "请为本机配置始终可达的时间服务器（NTP）；记录使用本机时间"},
}
