package web

var (
	buildInfo = desc("build_info", "Version of the agent; always 1.", "version", "goversion")

	endpointUp       = desc("endpoint_up", "1 if the newest poll of the endpoint was good.", "device")
	endpointInfo     = desc("endpoint_info", "What the endpoint is; always 1.", "device", "room", "model", "source_api")
	endpointState    = desc("endpoint_state", "1 for the state the endpoint is in, 0 for the others.", "device", "state")
	endpointInCall   = desc("endpoint_in_call", "1 while the endpoint is in a call.", "device")
	endpointGrade    = desc("endpoint_grade", "1 for the grade of the call, 0 for the others; only in a call.", "device", "grade")
	endpointOddities = desc("endpoint_not_understood_values", "Values of the newest poll that could not be read.", "device")
	polls            = desc("polls_total", "Polls since the start.", "device")
	pollFailures     = desc("poll_failures_total", "Polls that failed since the start.", "device")
	pollsSkipped     = desc("polls_skipped_total", "Polls left out because one was still running.", "device")
	pollDuration     = desc("poll_duration_seconds", "Duration of the newest poll.", "device")
	pollInterval     = desc("poll_interval_seconds", "Poll interval in force.", "device")
	lastPoll         = desc("last_poll_timestamp_seconds", "When the newest poll ended.", "device")
	lastGoodPoll     = desc("last_good_poll_timestamp_seconds", "When the newest good poll ended.", "device")

	brokerConnected = desc("broker_connected", "1 while the broker connection is up.")
	brokerConnects  = desc("broker_connects_total", "Connections made since the start.")
	brokerLosses    = desc("broker_connection_losses_total", "Connections lost since the start.")
	brokerPublished = desc("broker_records_published_total", "Records sent since the start, repeats included.")
	brokerAcked     = desc("broker_records_acked_total", "Records that the broker acknowledged since the start.")
	brokerInFlight  = desc("broker_in_flight_records", "Records sent and not acknowledged yet.")
	brokerLastAck   = desc("broker_last_ack_timestamp_seconds", "When the broker acknowledged last.")
	deliveryProof   = desc("delivery_proof", "1 for the state of the delivery proof, 0 for the others.", "state")

	bufferOpen        = desc("buffer_open", "1 while the store is open and takes records.")
	bufferWaiting     = desc("buffer_waiting_records", "Records that wait for delivery.")
	bufferOldest      = desc("buffer_oldest_timestamp_seconds", "Time of the oldest record that waits.")
	bufferKept        = desc("buffer_delivered_kept_records", "Delivered records that are still kept.")
	bufferBytes       = desc("buffer_bytes", "Size of the store on disk.")
	bufferLimit       = desc("buffer_limit_bytes", "Most that the store may take on disk.")
	bufferSegments    = desc("buffer_segments", "Files of the store.")
	bufferMemory      = desc("buffer_memory_held_records", "Records in memory until the disk has space again.")
	bufferEvicted     = desc("records_evicted_total", "Undelivered records thrown away by a limit since the start.")
	bufferQuarantined = desc("buffer_quarantined_records", "Records set aside because the broker will not take them.")
	bufferDamaged     = desc("buffer_damaged_files", "Damaged files of the store that are kept aside for examination.")
	diskFree          = desc("disk_free_bytes", "Free space where the store lies.")
	appended          = desc("records_appended_total", "Records stored since the start.", "kind")
	acked             = desc("records_acked_total", "Records delivered since the start.", "kind")

	clockSteps = desc("clock_steps_total", "Jumps of the wall clock of more than 2 s since the start.")
)

// States and proofs that are exported as 0/1 series.
var (
	endpointStates = []string{"idle", "in_call", "unreachable", "refused", "busy", "upgrading", "error"}
	grades         = []string{"unknown", "good", "fair", "poor"}
	proofs         = []string{"pending", "proven", "unproven", "failed"}
)
