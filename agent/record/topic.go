package record

import (
	"strings"

	"roomcall/agent/report"
)

// A topic here is "<device>/<kind>"; the store calls it a lane.

// OwnEvents is the topic of the agent's own events.
const OwnEvents = report.AgentDevice + "/event"

func topicOf(device, kind string) string { return device + "/" + kind }

// Device is the device of a topic.
func Device(topic string) string {
	device, _, _ := strings.Cut(topic, "/")
	return device
}

// Kind is the kind of a topic.
func Kind(topic string) string {
	_, kind, _ := strings.Cut(topic, "/")
	return kind
}
