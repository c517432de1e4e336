package health

// english has the words for everything that can be wrong, by its code: the problems
// of a status, the stages of `roomcall check`, and the errors of the packages that
// talk to endpoints and brokers. A second language is a second table with the same
// codes.
var english = map[string]words{
	// the store
	"store_opening": {warn: true, unready: true, what: "The store is being opened"},
	"store_full": {unready: true, what: "The store is full|: {error}",
		hint: "free space on the disk that holds data_dir"},
	"store_failed": {unready: true, what: "The store is {state}|: {error}",
		hint: "look at the disk that holds data_dir and at the log"},
	"store_memory": {what: "Held in memory because the disk does not accept them: {records}",
		hint: "free space on the disk that holds data_dir; a restart before that loses them"},
	"store_almost_full": {warn: true, what: "The store is almost full; soon the oldest undelivered records are evicted",
		hint: "bring the broker back, or raise [buffer] max_bytes"},
	"store_evicted": {warn: true, what: "Evicted before they were delivered, because of a limit: {records}",
		hint: "raise [buffer] max_bytes or max_age, or bring the broker back sooner"},
	"store_quarantined": {warn: true, what: "Quarantined because the broker rejects them: {records}",
		hint: "look at the broker's log and size limits; `roomcall buffer replay --set-aside` sends them again"},
	"store_damaged_files": {warn: true, what: "Damaged files of the store, kept for examination: {files}",
		hint: "look at the disk; what could be saved is in the store; the files *.corrupt-* in data_dir may be removed"},
	"store_not_writable": {
		hint: "give the user that runs roomcall the right to write there, or change [agent] data_dir"},
	"store_unreadable": {
		hint: "look at the permissions of data_dir; if its files are damaged, `roomcall run` salvages what is whole and says so"},
	"disk_small": {warn: true,
		hint: "the store may grow to {limit}: free space, or lower [buffer] max_bytes"},

	// the broker, as the status sees it
	"broker_connecting":   {warn: true, unready: true, what: "The broker is not connected yet| (for {since})|; waiting in the store: {records}"},
	"broker_disconnected": {unready: true, what: "The broker is not connected ({state}| for {since}|)|: {error}|; waiting in the store: {records}"},
	"broker_not_delivering": {what: "The broker acknowledges records but does not deliver them|: {error}",
		hint: "check the broker's access rules for this client id and topic; nothing is removed meanwhile"},
	"broker_unproven": {warn: true, what: "Delivery is not proven: this client may not read its own echo topic|: {error}",
		hint: "allow it to read the topic .../echo to have delivery proven"},

	// an endpoint, as the status sees it
	"endpoint_not_polled":     {unready: true, what: "{endpoint} has not been polled yet"},
	"endpoint_overdue":        {unready: true, what: "{endpoint} was last polled {ago}, more than {intervals} intervals of {interval}", hint: "the poll loop does not move: restart the service and report this"},
	"endpoint_unreachable":    {what: "{endpoint} cannot be reached| (no good poll for {since})|: {error}"},
	"endpoint_refused":        {what: "{endpoint} refuses access| (no good poll for {since})|: {error}"},
	"endpoint_error":          {what: "{endpoint} answers, but not with its status| (no good poll for {since})|: {error}"},
	"endpoint_busy":           {warn: true, what: "{endpoint} is busy|: {error}"},
	"endpoint_upgrading":      {warn: true, what: "{endpoint} is upgrading|: {error}"},
	"endpoint_poor_call":      {warn: true, what: "{endpoint} has a poor call|: {reasons}"},
	"endpoint_not_understood": {warn: true, what: "{endpoint}: {values} values could not be understood", hint: "`roomcall check` lists them"},

	// the clock of this machine
	"clock_in_past": {what: "The clock of this machine is in the past",
		hint: "set the clock; records carry its time"},
	"clock_not_synchronized": {warn: true, what: "The clock of this machine is not synchronized",
		hint: "start a time service (NTP); records carry this machine's time"},
	"clock_step": {warn: true, what: "The clock of this machine jumped by {seconds} s {ago}"},
}
