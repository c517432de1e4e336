package publish

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTopic is the length limit of MQTT strings in bytes. The MQTT library
// truncates longer ones silently, so they are refused here.
const maxTopic = 65535

// Topic gives the topic of a lane: "<prefix>/<client_id>/<lane>", where a lane
// is "<device>/<kind>".
func (c *Client) Topic(lane string) string {
	return c.cfg.Prefix + "/" + c.cfg.ClientID + "/" + lane
}

// checkTopic tells why a topic cannot be published to: MQTT 3.1.1, 4.7.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("topic is empty")
	case len(topic) > maxTopic:
		return fmt.Errorf("topic has %d bytes, at most %d are allowed", len(topic), maxTopic)
	case strings.ContainsAny(topic, "+#\x00"):
		return errors.New("topic has one of +, # and NUL")
	case !utf8.ValidString(topic):
		return errors.New("topic is not UTF-8")
	}
	return nil
}

// Message is one thing to publish, always with QoS 1.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
}

func (m Message) check() error {
	err := checkTopic(m.Topic)
	if err == nil && len(m.Payload) > MaxPayload {
		err = fmt.Errorf("payload has %d bytes, at most %d are allowed", len(m.Payload), MaxPayload)
	}
	if err != nil {
		return &Error{Class: ClassMessage, Op: "publish", Err: err}
	}
	return nil
}
