package health

// Ends of several hints.
const (
	orPin       = "|; or pin it, after comparing it with the endpoint's own: fingerprint = \"{fingerprint}\""
	loginPaused = "|; endpoints lock accounts, so the password is not sent again before {until}, unless its settings or its file change; once it is right, `roomcall check --try-login` sends it at once and ends the wait"
)

// english has the words for everything that can be wrong, by its code: the problems
// of a status, the stages of `roomcall check`, and the errors of the packages that
// talk to endpoints and brokers. A second language is a second table with the same
// codes, see chinese.
var english = map[string]words{
	// the store
	"store_opening": {severity: Warning, unready: true, what: "The store is being opened"},
	"store_full": {unready: true, what: "The disk is full: nothing can be recorded|, since {since}|",
		hint: "free space on the disk that holds data_dir; the newest polls wait in memory meanwhile"},
	"store_read_only": {unready: true, what: "The file system that holds the store is read-only: nothing can be recorded|, since {since}|",
		hint: "the system made it read-only, mostly after an error of the disk: look at the system's log (dmesg), check the disk, then mount it writable again"},
	"store_io_error": {unready: true, what: "The disk that holds the store fails: nothing can be recorded|, since {since}|",
		hint: "look at the system's log (dmesg) and at the disk's own report (smartctl); replace the disk or card"},
	"store_failed": {unready: true, what: "The store accepts nothing|, since {since}|",
		hint: "look at the disk that holds data_dir and at the log"},
	"store_memory": {what: "Polls held in memory, because the disk does not accept them|: {polls}|",
		hint: "make the disk that holds data_dir accept data again; a restart before that loses them"},
	"store_holds": {
		hint: "polling goes on; samples wait in memory until the store accepts them"},
	"store_rejected": {
		hint: "it is left out, because the store can never accept it"},
	"store_missed": {what: "Polls that could not be recorded: {polls} (devices: {devices}), the last {ago}",
		hint: "look at the disk that holds data_dir and at the log; status --json has them by device; consumers get agent.missed"},
	"store_almost_full": {severity: Warning, what: "The store is almost full; soon the oldest undelivered records are evicted",
		hint: "bring the broker back, or raise [buffer] max_bytes"},
	"store_evicted": {severity: Warning, what: "Evicted before they were delivered, because of a limit|: {records}|",
		hint: "raise [buffer] max_bytes or max_age, or bring the broker back sooner"},
	"store_quarantined": {severity: Warning, what: "Quarantined, because the broker rejects them|: {records}|",
		hint: "look at the broker's log and size limits; `roomcall buffer replay --set-aside` sends them again"},
	"store_damaged_files": {severity: Warning, what: "Damaged files of the store, kept for examination|: {files}|",
		hint: "look at the disk; what could be saved is in the store; the files *.corrupt-* in data_dir may be removed"},
	"store_not_writable": {unready: true, what: "The agent may not write to its store: nothing can be recorded|, since {since}|",
		hint: "give the user that runs roomcall the right to write there, or change [agent] data_dir"},
	"store_missing": {unready: true, what: "The folder of the store is gone: nothing can be recorded|, since {since}|",
		hint: "mount the disk that holds data_dir again; if the folder was removed, restart the agent: it makes a new store"},
	"store_no_answer": {unready: true, what: "The disk that holds the store does not answer: nothing can be recorded|, since {since}|",
		hint: "look at the disk and at what it is connected by, a network mount for instance; recording goes on as soon as it answers"},
	"store_unreadable": {
		hint: "look at the permissions of data_dir; if its files are damaged, `roomcall run` salvages what is whole and says so"},
	"disk_full": {what: "The disk that holds the store is almost full|, {free} free|: when it is full, only what is delivered makes room",
		hint: "free space on the disk that holds data_dir"},
	"disk_small": {severity: Warning,
		hint: "the store may grow to {limit}: free space, or lower [buffer] max_bytes"},

	"store_new_epoch": {severity: Warning, what: "The numbers of the records began anew| {ago}|: {reason}|",
		hint: "a restored backup, a copied disk, or a second agent with this client_id; see docs/operate.md, \"Images, snapshots, backups\""},

	// the broker, as the status sees it
	"broker_connecting":   {severity: Warning, unready: true, what: "The broker is not connected yet|, since {since}|; waiting in the store: {records}"},
	"broker_disconnected": {unready: true, what: "The broker is not connected|, since {since}|; waiting in the store: {records}"},
	"broker_not_delivering": {what: "The broker acknowledges records but does not deliver them|, since {since}|",
		hint: "check the broker's access rules for this client id and topic; nothing is removed meanwhile"},
	"broker_unproven": {severity: Warning, what: "Delivery is not proven|, since {since}|: this client may not read its own echo topic",
		hint: "allow it to read the topic .../echo to have delivery proven"},
	"broker_left_out": {severity: Warning, what: "The broker ends the connection over something, which is left out|: {what}|, since {since}|",
		hint: "records go on; look at the broker's access list and limits. It is tried again later by itself, or after a reload"},

	// an endpoint, as the status sees it
	"endpoint_not_polled":  {unready: true, what: "{endpoint} has not been polled yet"},
	"endpoint_overdue":     {unready: true, what: "{endpoint} is not polled in time|: the last poll was {ago}, more than {intervals} intervals of {interval}|", hint: "the poll loop does not move: restart the service and report this"},
	"endpoint_unreachable": {what: "{endpoint} does not answer|, since {since}|", hint: "check that it is on and on the network: power, network cable, address"},
	"endpoint_refused":     {what: "{endpoint} refuses the agent|, since {since}|", hint: "check the account: username, password and login"},
	"endpoint_error":       {what: "{endpoint} answers, but not with its status|, since {since}|", hint: "check that the url names the endpoint; `roomcall poll --raw` shows its answer"},
	"endpoint_busy": {severity: Warning, what: "{endpoint} is busy|, since {since}|",
		hint: "it answers again once it has started or is free; if it stays like this for minutes, restart it"},
	"endpoint_attention": {severity: Warning, what: "{endpoint} answers, and something wants attention|, since {since}|"},
	"endpoint_upgrading": {severity: Warning, what: "{endpoint} is upgrading|, since {since}|",
		hint: "the endpoint installs new firmware; the agent waits until it is done"},
	"endpoint_poor_call":      {severity: Warning, what: "{endpoint} has a poor call|, since {since}|: {call}"},
	"endpoint_not_understood": {severity: Warning, what: "{endpoint} sends values that are not understood|: {values}|", hint: "`roomcall check` lists them"},

	// a room in a few words
	"room_not_polled":  {severity: Info, what: "Not polled yet"},
	"room_idle":        {severity: Info, what: "Ready"},
	"room_good":        {severity: Info, what: "Good call| for {for}|"},
	"room_fair":        {severity: Info, what: "Fair call| for {for}|"},
	"room_poor":        {severity: Warning, what: "Poor call| for {for}|"},
	"room_in_call":     {severity: Info, what: "In a call| for {for}|"},
	"room_unreachable": {what: "Endpoint does not answer| since {since}|"},
	"room_refused":     {what: "Endpoint refuses the agent| since {since}|"},
	"room_error":       {what: "Endpoint answers with errors| since {since}|"},
	"room_busy":        {severity: Warning, what: "Endpoint is busy| since {since}|"},
	"room_upgrading":   {severity: Warning, what: "Endpoint is upgrading| since {since}|"},
	"room_unclear":     {severity: Info, what: "Endpoint does not say whether it is in a call"},

	// a call, by where it is beyond a limit and how
	"call_good": {severity: Info, what: "All values are within the limits."},
	"call_unknown": {severity: Info, what: "The endpoint reports no values that can be graded.",
		hint: "if this goes on for minutes, run `roomcall check` during the call"},
	"call_other": {severity: Warning, what: "Values are beyond their limits|: {values}."},
	"call_uplink_loss": {severity: Warning, what: "What the room sends is lost on the way|: {values}|.| {fine}",
		hint: "look at this room's uplink: switch port, duplex, Wi-Fi, QoS"},
	"call_downlink_loss": {severity: Warning, what: "Packets are lost on the way to the room|: {values}|.| {fine}",
		hint: "look at this room's downlink: switch port, Wi-Fi, other traffic on the line; if the other sites see the same, it is the sender or the server"},
	"call_both_loss": {severity: Warning, what: "Packets are lost both ways|: {values}|.",
		hint: "look at what both ways share: this room's cable, switch port and Wi-Fi, then the site's line; rooms of the same site that are poor at the same time point to the line"},
	"call_uplink_delay": {severity: Warning, what: "What the room sends arrives late, but without loss|: {values}|.| {fine}",
		hint: "a queue in the uplink: look for uploads that fill the line, and give calls priority (QoS)"},
	"call_downlink_delay": {severity: Warning, what: "What the room receives arrives late, but without loss|: {values}|.| {fine}",
		hint: "a queue in the downlink or a far site: look for downloads that fill the line, and give calls priority (QoS)"},
	"call_both_delay": {severity: Warning, what: "Delay both ways, no loss|: {values}|.",
		hint: "a queue or a detour: look for traffic that fills the line, a VPN, or a server in another region"},
	"call_uplink_jitter": {severity: Warning, what: "What the room sends arrives unevenly|: {values}|.| {fine}",
		hint: "other traffic shares the uplink, or Wi-Fi is weak: use a cable, give calls priority (QoS)"},
	"call_downlink_jitter": {severity: Warning, what: "What the room receives arrives unevenly|: {values}|.| {fine}",
		hint: "other traffic shares the downlink, or Wi-Fi is weak: use a cable, give calls priority (QoS)"},
	"call_both_jitter": {severity: Warning, what: "Packets arrive unevenly both ways|: {values}|.",
		hint: "other traffic shares the line, or Wi-Fi is weak: use a cable, give calls priority (QoS)"},
	"call_uplink_fps": {severity: Warning, what: "The room sends few frames|: {values}|.| {fine}",
		hint: "the network is not the cause by itself: look at the call rate, at light on the camera and at the load of the endpoint"},
	"call_downlink_fps": {severity: Warning, what: "The room receives few frames|: {values}|.| {fine}",
		hint: "look at the sender: its call rate, its camera and its uplink"},
	"call_both_fps": {severity: Warning, what: "Few frames both ways|: {values}|.",
		hint: "look at the call rate that the conference allows and at the load of the endpoint"},
	"call_far_end": {severity: Warning, what: "What arrives from one site is poor, the others are fine: it is that site.| Measured: {values}.|",
		hint: "nothing to do in this room: that site should look at its uplink"},
	"call_far_ends": {severity: Warning, what: "What arrives from {bad} of {streams} sites is poor, the others are fine: it is those sites.| Measured: {values}.|",
		hint: "nothing to do in this room: those sites should look at their uplinks"},

	"endpoint_clock_off": {severity: Warning, what: "The clock of {endpoint} is wrong|, since {since}|: {off} the clock of the agent's machine|",
		hint: "give both a time server (NTP); until then the endpoint's own records cannot be compared with these"},

	// what events say, beside the problems that they open
	"call_started":                   {severity: Info, what: "{endpoint}: a call started at {since}"},
	"call_ended":                     {severity: Info, what: "{endpoint}: the call ended after {lasted}, {grade}| ({poor} of it poor)|; most often beyond its limit: {cause}|"},
	"event_recovered":                {severity: Info, what: "{endpoint}: the call is within its limits again, after {for}"},
	"event_recovered_call_ended":     {severity: Info, what: "{endpoint}: the poor call ended, {for} after it became poor"},
	"event_recovered_merged":         {severity: Info, what: "{endpoint}: this is now part of one incident of the room"},
	"event_recovered_device_removed": {severity: Info, what: "{endpoint} left the config during a poor call"},
	"event_recovered_store_reset":    {severity: Info, what: "{endpoint}: the poor call of the old epoch is closed, because the numbers begin anew"},
	"event_online_store_reset":       {severity: Info, what: "{endpoint}: the incident of the old epoch is closed, because the numbers begin anew"},
	"event_online_answers":           {severity: Info, what: "{endpoint} answers again, after {for}"},
	"event_online_accepted":          {severity: Info, what: "{endpoint} reports its status again, after {for}"},
	"event_online_clock_right":       {severity: Info, what: "The clock of {endpoint} is right again, after {for}"},
	"event_online_device_removed":    {severity: Info, what: "{endpoint} left the config"},
	"event_started":                  {severity: Info, what: "The agent started|, version {version}|: {reason}||; {detail}|"},
	"event_gap":                      {what: "{count} {kind} records of {device} (numbers {first} to {last}) are gone before they were delivered|: {reason}| ({detail})|"},
	"event_missed":                   {what: "{count} polls or events of {device} were not recorded| since {since}|: {reason}|"},
	"event_quarantined":              {severity: Warning, what: "The broker does not accept a {kind} record of {device} (number {first})|: {reason}|"},
	"event_damaged":                  {what: "A file of the store was damaged| ({detail})|"},
	"event_store_reset":              {severity: Warning, what: "The numbers of the records began anew under another epoch|: {reason}|. Calls and incidents of before are over"},
	"event_store_working":            {severity: Info, what: "The store accepts records again|, after {for}|"},
	"event_same_client_id":           {what: "The broker ends each connection of this agent soon after it begins"},
	"event_clock_step":               {severity: Warning, what: "The clock of the agent's machine jumped {jump}|: {reason}|"},

	// the way to an endpoint
	"endpoint_dns": {
		hint: "the name in url is not known here; check it, or use the address"},
	"endpoint_silent": {
		hint: "the address does not answer; check that the endpoint is on and that its IP whitelist has this machine"},
	"endpoint_no_answer": {
		hint: "the endpoint did not answer in time; it may be starting or overloaded, or timeout is too short"},
	"endpoint_nobody_listens": {
		hint: "the address answers, but nothing listens on the port; check the port in url and that the endpoint's web service is on"},
	"endpoint_no_route": {
		hint: "there is no way to the address; check cable, VLAN and gateway"},
	"endpoint_reset": {
		hint: "the endpoint closed the connection; it may be starting, or allow no more connections"},

	// what answers there
	"endpoint_too_large": {
		hint: "the answer is larger than any endpoint's; check that the url names the endpoint"},
	"endpoint_cut_body": {
		hint: "the answer ended before its announced length"},
	"endpoint_bad_header": {
		hint: "the endpoint's firmware sends an HTTP header that does not follow the standard, or another program listens on the port"},
	"endpoint_speaks_tls": {
		hint: "the port speaks TLS; set url to https://"},
	"endpoint_no_json": {
		hint: "the answer is not what an endpoint sends, or is damaged: check that the url names the endpoint; if it does, send the output of `roomcall poll --raw` to support"},
	"endpoint_moved": {
		hint: "the endpoint sends the request on to {to}; set url to it, if it is the endpoint"},
	"endpoint_web_page": {
		hint: "the answer is a web page; check that the url names the endpoint and its port"},
	"endpoint_wants_session": {
		hint: "the endpoint wants a session; check username, password and login"},
	"endpoint_no_cgi": {
		hint: "there is no action.cgi at this address; check host, port and path in url"},
	"endpoint_bad_request": {
		hint: "the endpoint does not understand the request; check http:// or https:// in url"},
	"endpoint_service_fails": {
		hint: "the endpoint's web service fails; it may be starting; if this does not stop, restart the endpoint"},
	"endpoint_odd_status": {
		hint: "no endpoint is known to answer like this; check that the url names the endpoint"},

	// login and session
	"endpoint_session_limit": {
		hint: "the endpoint's session table is full; sessions of other programs or people have to end first"},
	"endpoint_auth_failed": {
		hint: "the endpoint refuses user or password" + loginPaused},
	"endpoint_disabled": {
		hint: "the endpoint has its HTTP interface switched off; use https, or switch it on"},
	"endpoint_web_user": {
		hint: "a person is logged in on the endpoint's web page; the agent waits and does not throw them out"},
	"endpoint_no_session_given": {
		hint: "the endpoint opens no session: its session table is full, it is being upgraded, or it knows another login (set login)"},
	"endpoint_no_session_id": {
		hint: "the endpoint sent no session id, neither as a cookie nor in the reply"},
	"endpoint_login_refused": {
		hint: "the endpoint refuses the login; check username and password, or set login to the other family" + loginPaused},
	"endpoint_refused_before": {
		hint: "check username and password; they were refused before" + loginPaused},
	"endpoint_wants_login": {
		hint: "the endpoint refuses every request; it may want a login: set username and password"},
	"endpoint_session_lost": {
		hint: "the endpoint no longer accepts the session"},
	"endpoint_sessions_short": {
		hint: "the endpoint ends each session soon after the login; check that the account may use the API"},
	"endpoint_other_login": {severity: Warning,
		hint: "somebody else logs in with this account and ends the agent's session|, {times} times in a row by now|: give the agent an account of its own on the endpoint"},
	"endpoint_call_refused": {severity: Warning,
		hint: "the endpoint refuses to tell the values of its calls (id {err_id}, code {err_code})|; it says {said}|: check that the account may use the API, and send these numbers and the output of `roomcall poll --raw` during a call to support"},

	// TLS of an endpoint
	"endpoint_speaks_plain": {
		hint: "the port does not speak TLS; set url to http://, or check the port"},
	"endpoint_other_pin": {
		hint: "if the endpoint's certificate was changed on purpose, set fingerprint = \"{fingerprint}\""},
	"endpoint_unknown_ca": {
		hint: "the certificate is not from a known authority; set ca_file to the endpoint's root certificate" + orPin},
	"endpoint_other_name": {
		hint: "the certificate is for another name| (it carries only the common name {common_name}, which is not checked any more)|; set server_name to one that it carries: {names}" + orPin},
	"endpoint_out_of_date": {
		hint: "the certificate is outside its validity; check the endpoint's and this machine's clock, or renew it" + orPin},
	"endpoint_not_accepted": {
		hint: "the certificate is not accepted" + orPin},
	"endpoint_old_tls": {
		hint: "the endpoint speaks an older TLS version; set tls_min to \"1.1\" or \"1.0\", old terminals need legacy_ciphers = true too"},
	"endpoint_no_cipher": {
		hint: "the endpoint and the agent have no cipher in common; set legacy_ciphers = true, old terminals need tls_min = \"1.0\" too"},
	"endpoint_unreadable": {
		hint: "the certificate cannot be read or is not accepted; pin it with fingerprint, or put a TLS proxy in front of the endpoint"},
	"endpoint_handshake": {
		hint: "the TLS handshake failed; try tls_min = \"1.0\" and legacy_ciphers = true"},
	"endpoint_works_with": {
		hint: "it works with tls_min = \"{tls_min}\"| and legacy_ciphers = {legacy_ciphers}|; its certificate has the fingerprint {fingerprint}"},

	// an endpoint that works and is worth a look
	"endpoint_not_checked": {
		hint: "the certificate is not checked; compare the fingerprint with the endpoint's own and set fingerprint = \"{fingerprint}\" instead"},
	"endpoint_ends_soon": {
		hint: "the certificate ends soon, or has ended; renew it on the endpoint"},
	"endpoint_values_not_understood": {
		hint: "{count} values were not understood: {values}; send them to support together with the output of poll --raw"},
	"endpoint_clocks": {
		hint: "one of the two clocks is wrong: give this machine and the endpoint a time server (NTP); records carry this machine's time"},

	// the way to a broker
	"broker_dns": {
		hint: "the name in [mqtt] broker cannot be found from this machine: check it and the machine's DNS, or use the address"},
	"broker_unreachable": {
		hint: "check the host and port in [mqtt] broker, the network and the firewall, and that the broker runs"},
	"broker_no_answer": {
		hint: "something accepts connections there but does not answer as an MQTT broker: it hangs or is overloaded, or scheme and port in [mqtt] broker are wrong (tcp 1883, tls 8883)"},
	"broker_ends_connect": {
		hint: "the broker ends the connection at the login: it is starting, overloaded, or refuses this client; if that lasts, check its log, and scheme and port in [mqtt] broker (tcp 1883, tls 8883)"},
	"broker_unavailable": {
		hint: "the broker says that it is not available; wait, or look at its log"},
	"broker_path": {
		hint: "check the path of the websocket URL in [mqtt] broker, often /mqtt"},
	"broker_url": {
		hint: "a broker is tcp://HOST[:PORT], tls://, ws:// or wss://"},

	// login and TLS of a broker
	"broker_login": {
		hint: "check [mqtt] username and password_file, and the broker's users"},
	"broker_client_id": {
		hint: "the broker does not accept the client id: check [agent] client_id and the broker's rules for it"},
	"broker_unknown_ca": {
		hint: "set [mqtt] ca_file to the CA that signed the broker's certificate"},
	"broker_other_name": {
		hint: "the broker's certificate is for another name: correct the host in [mqtt] broker or set [mqtt] server_name"},
	"broker_expired": {
		hint: "renew the broker's certificate, or correct the clock of this machine"},
	"broker_client_cert": {
		hint: "the broker does not accept the client certificate: check [mqtt] cert_file and key_file, and their expiry"},
	"broker_no_tls": {
		hint: "the broker's port has no TLS: use tcp:// in [mqtt] broker, or the broker's TLS port"},
	"broker_file": {
		hint: "check {key} and who may read it"},

	// a connection to a broker that ended
	"broker_lost": {
		hint: "look at the broker's log at this time, and at the network between"},
	"broker_lost_at": {
		hint: "the broker's access list or its limits probably do not allow this ({extra}): after the second time it is left out, and tried again later or after a reload"},
	"broker_half_open": {
		hint: "the link is half-open; look at the network between here and the broker"},
	"broker_no_ack": {
		hint: "the link is half-open or the broker is overloaded; look at the broker's log"},
	"broker_no_echo": {
		hint: "the broker drops this message: look at its size limit and its log"},
	"broker_lost_early": {
		hint: "lost within a minute {times} times in a row: either the broker does not accept a message (access list? size limit?), or another client uses the client id \"{client_id}\""},
	"broker_same_client_id": {unready: true, what: "The broker ends each connection of this agent soon after it begins|, since {since}|; waiting in the store: {records}",
		hint: "another client probably uses the client id| \"{client_id}\"| (a cloned machine?): give each agent its own [agent] client_id"},

	// what a broker's access list allows
	"broker_subscribe": {
		hint: "give this user the right to read {topic}"},
	"broker_ends_on_write": {
		hint: "give client \"{client_id}\" write access to {topic} in the broker's access list, and look at the broker's log"},
	"broker_no_write": {
		hint: "give client \"{client_id}\" write access to {topic} in the broker's access list"},
	"broker_no_read": {
		hint: "for a full proof give client \"{client_id}\" read access to {topic}"},
	"broker_no_read_confirm": {
		hint: "give client \"{client_id}\" read access to {topic} in the broker's access list, or set [mqtt] confirm = \"puback\""},
	"broker_no_read_write": {
		hint: "give client \"{client_id}\" read and write access to {topic} in the broker's access list"},
	"broker_reason_code": {
		hint: "look up the reason code in the broker's log and limits"},

	// a broker that works and is worth a look
	"broker_not_checked": {
		hint: "[mqtt] insecure_skip_verify is on: anybody can pose as the broker"},
	"broker_ends_soon": {
		hint: "renew the broker's certificate soon"},

	// what runs beside the work: it may fail, and the work goes on
	"page_unavailable": {severity: Warning, what: "The status page and metrics cannot be had|, since {since}|",
		hint: "another program or another roomcall uses the address, or this machine does not have it: change [agent] http_listen; the agent tries again and works on meanwhile"},
	"log_failing": {severity: Warning, what: "The log is not written|; lines lost: {lines}",
		hint: "look at whoever reads the log (the journal, a pipe) and at the disk that keeps it; the agent works on meanwhile"},
	"log_elsewhere": {severity: Warning, what: "The log is not in its usual folder",
		hint: "on Windows it is in the folder logs inside data_dir; give the user that runs roomcall the right to write to the folder logs beside data_dir"},

	// who answers when the agent of a config is asked
	"other_agent": {what: "Another agent answers| at {address}|: {other}, not {client_id}",
		hint: "name its config with --config, or give each agent an [agent] http_listen of its own"},
	"reload_refused": {severity: Warning, what: "The last reload|, at {since},| was refused; the config of before stays in use",
		hint: "`roomcall check --offline` shows each error: correct the config, then reload it again"},
	"other_config": {severity: Warning, what: "The running agent has another config than the one on disk|; it was started with {path}",
		hint: "make it read the config again: `systemctl reload roomcall`, or `roomcall restart`"},

	// the clock of this machine
	"clock_in_past": {what: "The clock of this machine is in the past",
		hint: "set the clock; records carry its time"},
	"clock_not_synchronized": {severity: Warning, what: "The clock of this machine is not synchronized",
		hint: "start a time service (NTP); records carry this machine's time"},
	"clock_step": {severity: Warning, what: "The clock of this machine jumped| {jump}|, {ago}|",
		hint: "give this machine a time server (NTP) that it reaches always; records carry its time"},
}

// leftOutWords are what an agent does beside sending records, and a broker may
// punish.
var leftOutWords = map[Lang]map[string]string{
	English: {
		"will":            "the message \"lost\" that it publishes for an agent that is gone",
		"retain":          "retained messages, so newcomers wait for the next state of each room",
		"birth":           "the full birth message, a short one is sent",
		"short_birth":     "the birth message",
		"subscribe_echo":  "reading the topic .../echo, so delivery is not proven",
		"subscribe_state": "reading back the topics .../state and .../health, so a store put back from a backup is noticed less surely",
		"unsubscribe":     "ending a subscription",
		"availability":    "the messages \"online\" and \"offline\", so only \"lost\" tells of this agent",
		"publish_echo":    "writing the topic .../echo, so delivery is not proven",
		"retain_echo":     "a retained message on the topic .../echo, so a store put back from a backup is noticed less surely",
		"publish_state":   "the state of each room; its records go on",
		"health":          "the health message",
	},
	Chinese: {
		"will":            "遗嘱消息（采集代理失联时由服务器发布 \"lost\"）",
		"retain":          "保留消息，新的订阅者要等到各会场的下一次 state",
		"birth":           "完整的 birth 消息，改发简短的",
		"short_birth":     "birth 消息",
		"subscribe_echo":  "读取主题 .../echo，因此无法证实送达",
		"subscribe_state": "读回主题 .../state 和 .../health，因此不容易发现存储是从备份恢复的",
		"unsubscribe":     "取消订阅",
		"availability":    "上线和下线消息（online、offline），只有失联时才有 lost 消息",
		"publish_echo":    "写入主题 .../echo，因此无法证实送达",
		"retain_echo":     "主题 .../echo 上的保留消息，因此不容易发现存储是从备份恢复的",
		"publish_state":   "各会场的 state 消息，记录照常发送",
		"health":          "health 消息",
	},
}

// whyWords are the reasons of events and problems.
var whyWords = map[Lang]map[string]string{
	English: {
		// why the numbers of the records began anew
		"reverted":       "the store was behind what had been published, as after a restored backup or snapshot",
		"copied":         "the store was made on another machine, or is a copy",
		"same_client_id": "another agent uses this client_id",
		"many_devices":   "those of devices that left the config took too much of the store",
		// why records are gone, or never came to be
		"max_bytes":      "the store had reached max_bytes",
		"max_age":        "they were older than max_age",
		"damaged":        "a file of the store was damaged",
		"store_failing":  "the disk accepted nothing for longer than memory holds",
		"store_busy":     "the disk did not answer",
		"store_rejected": "the store cannot accept them",
		"stopped":        "the agent was stopped before the disk accepted them",
		"restarted":      "seen at a start: the machine was off for so long, or its clock was wrong, then or now",
		// why an agent started
		"first": "for the first time", "start": "by a person or a service", "boot": "the machine was started",
		"upgrade": "another version was installed", "crash": "it had ended without a stop", "watchdog": "it had hung",
		"collected": "any polls that it had collected until then (commit_interval) were not stored",
	},
	Chinese: {
		"reverted":       "存储落后于已发布的内容，例如恢复了备份或快照",
		"copied":         "存储来自另一台机器，或者是拷贝",
		"same_client_id": "另一个采集代理使用了相同的 client_id",
		"many_devices":   "已移出配置的设备占用了过多存储",
		"max_bytes":      "存储已达到 max_bytes 上限",
		"max_age":        "保存时间超过了 max_age",
		"damaged":        "存储文件损坏",
		"store_failing":  "磁盘长时间无法写入，内存已放不下",
		"store_busy":     "磁盘没有响应",
		"store_rejected": "存储无法接受这些记录",
		"stopped":        "采集代理停止时磁盘仍无法写入",
		"restarted":      "启动时发现：机器关机了这么久，或者当时或现在的时钟不准",
		"first":          "首次启动", "start": "由人员或服务启动", "boot": "机器开机",
		"upgrade": "安装了新版本", "crash": "上次异常退出", "watchdog": "上次无响应",
		"collected": "此前如有暂存在内存中的采集（commit_interval），则未写入存储",
	},
}

// stateWords are the states of the broker, the store and the delivery proof; in English
// they are their own words.
var stateWords = map[Lang]map[string]string{Chinese: {
	"unknown":          "未知",
	"broker_connected": "已连接", "broker_connecting": "正在连接", "broker_waiting": "未连接", "broker_refused": "登录被拒绝",
	"store_open": "正常", "store_opening": "正在打开", "store_full": "磁盘已满", "store_failed": "故障",
	"proof_proven": "已确认", "proof_unproven": "未确认", "proof_failed": "失败", "proof_pending": "正在确认",
}}

// gradeWords are the grades of a call.
var gradeWords = map[Lang]map[string]string{
	English: {"good": "good", "fair": "fair", "poor": "poor", "unknown": "not graded"},
	Chinese: {"good": "良好", "fair": "一般", "poor": "较差", "unknown": "未评级"},
}

// mediaWords are the media of a call in the language; a direction is put before or
// after the medium.
var mediaWords = map[Lang]map[string]string{
	English: {"audio": "audio", "video": "video", "aux": "content", "send": "sent %s", "recv": "received %s",
		"loss": "loss", "delay": "delay", "jitter": "jitter", "fps": "frame rate",
		"limit": " (limit %s)", "also": "; also %s", "named": "%s %s", "ahead": "%s ahead of", "behind": "%s behind", "forward": "forward by %s", "back": "back by %s", "fine_recv": "What it receives is fine.", "fine_send": "What it sends is fine."},
	Chinese: {"audio": "音频", "video": "视频", "aux": "辅流", "send": "上行%s", "recv": "下行%s",
		"loss": "丢包率", "delay": "时延", "jitter": "抖动", "fps": "帧率",
		"limit": "（门限 %s）", "also": "；另外 %s", "named": "%s%s", "ahead": "快 %s", "behind": "慢 %s", "forward": "向前跳了 %s", "back": "向后跳了 %s", "fine_recv": "接收方向正常。", "fine_send": "发送方向正常。"},
}
