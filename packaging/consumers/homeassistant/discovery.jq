# Makes Home Assistant's discovery configs from a birth message: one line a device,
# the topic, a tab, the config. $topic is the topic of the birth message. Device
# discovery needs Home Assistant 2024.12 or newer.

. as $birth
| ($topic | rtrimstr("/" + $birth.client_id + "/birth")) as $prefix
| .devices[]
| ("roomcall_" + $birth.client_id + "_" + .device) as $name
| ($prefix + "/" + $birth.client_id) as $agent
# A value is valid for 3 polls at the slower interval. An endpoint that does not answer
# is polled at least every minute and a half, and its state must not expire meanwhile.
| ([.poll_interval_s, .idle_interval_s] | max * 3 | ceil) as $fresh
| ([$fresh, 300] | max) as $reachable

# What the endpoint does not report is an absent key: default(none) makes it unknown.
| def sensor($key; $text; $more):
    {($key): ({platform: "sensor", unique_id: ($name + "_" + $key), name: $text, expire_after: $fresh,
      value_template: "{{ value_json.\($key) | default(none) }}"} + $more)};
  def number($key; $text; $unit; $class):
    sensor($key; $text; {state_class: "measurement", suggested_display_precision: 1}
      + if $unit == "" then {} else {unit_of_measurement: $unit} end
      + if $class == "" then {} else {device_class: $class} end);
  def group($media; $dir; $text):
    number("\($media)_\($dir)_bitrate_kbps"; $text + " bit rate"; "kbit/s"; "data_rate")
    + number("\($media)_\($dir)_loss_pct"; $text + " loss"; "%"; "")
    + number("\($media)_\($dir)_jitter_ms"; $text + " jitter"; "ms"; "duration")
    + number("\($media)_\($dir)_delay_ms"; $text + " delay"; "ms"; "duration");

"homeassistant/device/\($name)/config\t" + ({
  device: {
    identifiers: [$name], name: (if .room == "" then .device else .room end), manufacturer: "Huawei"
  },
  origin: {name: "roomcall", sw_version: $birth.version},
  # Of the agent's three availability values, all except online mean that nothing is known.
  availability: [{
    topic: ($agent + "/availability"),
    value_template: "{{ 'online' if value == 'online' else 'offline' }}"
  }],
  state_topic: ($agent + "/" + .device + "/state"),
  qos: 1,
  components: (
    {in_call: {platform: "binary_sensor", unique_id: ($name + "_in_call"), name: "In a call", expire_after: $fresh,
      payload_on: "1", payload_off: "0", value_template: "{{ value_json.in_call | default(none) }}"}}
    + sensor("endpoint_state"; "State"; {device_class: "enum", expire_after: $reachable,
        options: ["idle", "in_call", "unreachable", "refused", "busy", "upgrading", "error"]})
    + sensor("grade"; "Grade"; {device_class: "enum", options: ["unknown", "good", "fair", "poor"]})
    + sensor("grade_reasons"; "Reasons"; {})
    + sensor("call_minutes"; "Time in call"; {state_class: "measurement", unit_of_measurement: "min", device_class: "duration"})
    + group("audio"; "send"; "Sent audio") + group("audio"; "recv"; "Received audio")
    + group("video"; "send"; "Sent video") + group("video"; "recv"; "Received video")
    + number("video_send_fps"; "Sent frames"; "fps"; "") + number("video_recv_fps"; "Received frames"; "fps"; "")
    + number("audio_send_mos_est"; "Sent audio MOS estimate"; ""; "")
    + number("audio_recv_mos_est"; "Received audio MOS estimate"; ""; "")
  )
} | tojson)
