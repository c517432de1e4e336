package health

// Ends of several hints.
const (
	orPin       = "|; or pin it, after comparing it with the endpoint's own: fingerprint = \"{fingerprint}\""
	loginPaused = "|; endpoints lock accounts, so the password is not sent again before {until}, unless its settings or its file change; once it is right, `roomcall check --try-login` sends it at once and ends the wait"
)

// english has the words for everything that can be wrong, by its code: the problems
// of a status, the stages of `roomcall check`, and the errors of the packages that
// talk to endpoints and brokers. A second language is a second table with the same
// codes.
var english = map[string]words{
	// the store
	"store_opening": {warn: true, unready: true, what: "The store is being opened"},
	"store_full": {unready: true, what: "The store is full|: {error}",
		hint: "free space on the disk that holds data_dir"},
	"store_read_only": {unready: true, what: "The file system that holds the store is read-only|: {error}",
		hint: "the system made it read-only, mostly after an error of the disk: look at the system's log (dmesg), check the disk, then mount it writable again"},
	"store_io_error": {unready: true, what: "The disk that holds the store fails|: {error}",
		hint: "look at the system's log (dmesg) and at the disk's own report (smartctl); replace the disk or card"},
	"store_failed": {unready: true, what: "The store is {state}|: {error}",
		hint: "look at the disk that holds data_dir and at the log"},
	"store_memory": {what: "Held in memory because the disk does not accept them: {records}",
		hint: "make the disk that holds data_dir accept data again; a restart before that loses them"},
	"store_holds": {
		hint: "polling goes on; samples wait in memory until the store accepts them"},
	"store_rejected": {
		hint: "it is left out, because the store can never accept it"},
	"store_missed": {what: "Polls that could not be recorded: {polls} (devices: {devices}), the last {ago}",
		hint: "look at the disk that holds data_dir and at the log; status --json has them by device; consumers get agent.missed"},
	"store_almost_full": {warn: true, what: "The store is almost full; soon the oldest undelivered records are evicted",
		hint: "bring the broker back, or raise [buffer] max_bytes"},
	"store_evicted": {warn: true, what: "Evicted before they were delivered, because of a limit: {records}",
		hint: "raise [buffer] max_bytes or max_age, or bring the broker back sooner"},
	"store_quarantined": {warn: true, what: "Quarantined because the broker rejects them: {records}",
		hint: "look at the broker's log and size limits; `roomcall buffer replay --set-aside` sends them again"},
	"store_damaged_files": {warn: true, what: "Damaged files of the store, kept for examination: {files}",
		hint: "look at the disk; what could be saved is in the store; the files *.corrupt-* in data_dir may be removed"},
	"store_not_writable": {unready: true, what: "The store may not be written|: {error}",
		hint: "give the user that runs roomcall the right to write there, or change [agent] data_dir"},
	"store_unreadable": {
		hint: "look at the permissions of data_dir; if its files are damaged, `roomcall run` salvages what is whole and says so"},
	"disk_small": {warn: true,
		hint: "the store may grow to {limit}: free space, or lower [buffer] max_bytes"},

	"store_new_epoch": {warn: true, what: "The store began a new epoch {ago}: {reason}",
		hint: "a restored backup, a copied disk, or a second agent with this client_id; see docs/operate.md, \"Images, snapshots, backups\""},

	// the broker, as the status sees it
	"broker_connecting":   {warn: true, unready: true, what: "The broker is not connected yet| (for {since})|; waiting in the store: {records}"},
	"broker_disconnected": {unready: true, what: "The broker is not connected ({state}| for {since}|)|: {error}|; waiting in the store: {records}"},
	"broker_not_delivering": {what: "The broker acknowledges records but does not deliver them|: {error}",
		hint: "check the broker's access rules for this client id and topic; nothing is removed meanwhile"},
	"broker_unproven": {warn: true, what: "Delivery is not proven: this client may not read its own echo topic|: {error}",
		hint: "allow it to read the topic .../echo to have delivery proven"},
	"broker_left_out": {warn: true, what: "The broker ends the connection over something, which is left out: {what}| (for {since})|",
		hint: "records go on; look at the broker's access list and limits. It is tried again after six hours or a reload"},

	// an endpoint, as the status sees it
	"endpoint_not_polled":  {unready: true, what: "{endpoint} has not been polled yet"},
	"endpoint_overdue":     {unready: true, what: "{endpoint} was last polled {ago}, more than {intervals} intervals of {interval}", hint: "the poll loop does not move: restart the service and report this"},
	"endpoint_unreachable": {what: "{endpoint} cannot be reached| (no good poll for {since})|: {error}"},
	"endpoint_refused":     {what: "{endpoint} refuses access| (no good poll for {since})|: {error}"},
	"endpoint_error":       {what: "{endpoint} answers, but not with its status| (no good poll for {since})|: {error}"},
	"endpoint_busy":        {warn: true, what: "{endpoint} is busy|: {error}"},
	"endpoint_attention":   {warn: true, what: "{endpoint} answers, and something wants attention"},
	"endpoint_upgrading": {warn: true, what: "{endpoint} is upgrading|: {error}",
		hint: "the endpoint installs new firmware; the agent waits until it is done"},
	"endpoint_poor_call":      {warn: true, what: "{endpoint} has a poor call|: {reasons}"},
	"endpoint_not_understood": {warn: true, what: "{endpoint}: {values} values could not be understood", hint: "`roomcall check` lists them"},

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
	"endpoint_other_login": {warn: true,
		hint: "somebody else logs in with this account and ends the agent's session|, {times} times in a row by now|: give the agent an account of its own on the endpoint"},
	"endpoint_call_refused": {warn: true,
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
		hint: "something accepts connections there but does not speak MQTT: check scheme and port in [mqtt] broker (tcp 1883, tls 8883)"},
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
		hint: "the broker's access list or its limits probably do not allow this ({extra}): after the second time it is left out, and tried again after some hours or a reload"},
	"broker_half_open": {
		hint: "the link is half-open; look at the network between here and the broker"},
	"broker_no_ack": {
		hint: "the link is half-open or the broker is overloaded; look at the broker's log"},
	"broker_no_echo": {
		hint: "the broker drops this message: look at its size limit and its log"},
	"broker_lost_early": {
		hint: "lost within a minute {times} times in a row: either the broker does not accept a message (access list? size limit?), or another client uses the client id \"{client_id}\""},
	"broker_same_client_id": {
		hint: "another client probably uses the client id \"{client_id}\" (a cloned machine?): give each agent its own [agent] client_id"},

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
	"page_unavailable": {warn: true, what: "The status page and metrics cannot be had| (for {since})|: {error}",
		hint: "another program or another roomcall uses the address, or this machine does not have it: change [agent] http_listen; the agent tries again and works on meanwhile"},
	"log_failing": {warn: true, what: "The log is not written|: {error}|; lines lost: {lines}",
		hint: "look at whoever reads the log (the journal, a pipe) and at the disk that keeps it; the agent works on meanwhile"},
	"log_elsewhere": {warn: true, what: "The log is not in its usual folder|: {error}",
		hint: "on Windows it is in the folder logs inside data_dir; give the user that runs roomcall the right to write to the folder logs beside data_dir"},

	// who answers when the agent of a config is asked
	"other_agent": {what: "Another agent answers| at {address}|: {other}, not {client_id}",
		hint: "name its config with --config, or give each agent an [agent] http_listen of its own"},
	"other_config": {warn: true, what: "The running agent has another config than the one on disk|; it was started with {path}",
		hint: "make it read the config again: `systemctl reload roomcall`, or `roomcall restart`"},

	// the clock of this machine
	"clock_in_past": {what: "The clock of this machine is in the past",
		hint: "set the clock; records carry its time"},
	"clock_not_synchronized": {warn: true, what: "The clock of this machine is not synchronized",
		hint: "start a time service (NTP); records carry this machine's time"},
	"clock_step": {warn: true, what: "The clock of this machine jumped by {seconds} s {ago}"},
}

// leftOutWords are what an agent does beside sending records, and a broker may
// punish.
var leftOutWords = map[string]string{
	"will":            "the message \"lost\" that it publishes for an agent that is gone",
	"retain":          "retained messages, so newcomers wait for the next state of each room",
	"birth":           "the full birth message, a short one is sent",
	"short_birth":     "the birth message",
	"subscribe_echo":  "reading the topic .../echo, so delivery is not proven",
	"subscribe_state": "reading back the topics .../state and .../health, so a store put back from a backup is noticed less surely",
	"unsubscribe":     "ending a subscription",
}
