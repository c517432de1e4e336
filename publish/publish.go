// Package publish carries messages to an MQTT 3.1.1 broker.
//
// Promise: a Receipt completes exactly once, and with a nil error only after the
// broker acknowledged this very message (PUBACK) on the connection that sent
// it, or, with Confirm "echo", after the broker also handed the message back.
// A timeout, a lost connection and a shutdown all complete it with an error: the
// caller keeps the record. Messages leave in the order of the Publish calls.
//
// A connection is one Conn with its own MQTT client inside. It is never
// repaired: when it is lost, everything in flight fails and the owner calls
// Backoff and Connect again.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxPayload is the largest payload in bytes that Publish accepts.
	MaxPayload = 1 << 20
	// maxTopic is the length limit of MQTT strings in bytes. The MQTT library
	// truncates longer ones silently, so they are rejected here.
	maxTopic = 65535
)

// The two values of Config.Confirm.
const (
	ConfirmPuback = "puback"
	ConfirmEcho   = "echo"
)

// Config says where the broker is and how patient to be. Zero values mean the
// default in brackets. The ranges are the caller's business: agent/config checks
// what an operator writes.
type Config struct {
	// Brokers are URLs tried in turn, the first one chosen by a hash of ClientID: tcp,
	// tls, ws or wss, port and path optional (1883, 8883, 80, 443; "/mqtt"). At least one.
	Brokers []string
	// ClientID is the MQTT client id and the topic level below Prefix.
	ClientID string
	// Username and Password log in; empty = anonymous. User information in a
	// broker URL is used when Username is empty.
	Username, Password string
	// PasswordAgain returns the password as it is kept now. It is asked before each
	// attempt that follows a failed one, so that a password that was changed works
	// without a restart, and the old one is not tried again; nil = it never changes.
	PasswordAgain func() string

	// CAFile (PEM) replaces the system's roots. CertFile and KeyFile, both or
	// none, are the client certificate; they are read again at every handshake,
	// so a renewed certificate needs no restart.
	CAFile, CertFile, KeyFile string
	// ServerName is the name to expect in the broker's certificate [the host
	// of the URL].
	ServerName         string
	InsecureSkipVerify bool

	// Prefix is the topic root ["roomcall/v1"].
	Prefix string
	// Confirm is ConfirmPuback or ConfirmEcho [ConfirmPuback].
	Confirm string

	// KeepAlive is told to the broker, 1 s to 65,535 s [30 s]. Silence of half
	// of it is answered with a ping of our own.
	KeepAlive time.Duration
	// AckTimeout is how long the oldest sent message may wait without any
	// acknowledgement before the connection is given up [20 s]. After a broker
	// that answered pings was given up so, it is longer, up to 15 times.
	AckTimeout time.Duration
	// WriteTimeout is the patience with one write of at most 16 KiB [10 s].
	WriteTimeout time.Duration
	// ConnectTimeout bounds name look-up, TCP, TLS and websocket together, and
	// then the CONNACK, which gets more, up to a minute, after it was late [15 s].
	ConnectTimeout time.Duration
	// PingTimeout is the patience with a PINGRESP [10 s].
	PingTimeout time.Duration
	// MaxInflight is the caller's window, 1 to 65,000 [100]; Publish rejects more
	// than this plus a reserve of 256 for messages beside the window.
	MaxInflight int
	// ReconnectMin and ReconnectMax bound Backoff [1 s, 2 min].
	ReconnectMin, ReconnectMax time.Duration

	// ProofTimeout is how long the echo may take after its PUBACK [10 s];
	// ProofInterval is the time between two proofs on one connection [1 h].
	ProofTimeout, ProofInterval time.Duration

	// Birth returns the retained birth payload for each connect; nil = none. Where
	// it is over MaxRetained bytes or the broker does not accept it, ShortBirth is
	// sent instead, and none where that is not accepted either.
	Birth, ShortBirth func() []byte
	// Echo returns a JSON object with what the agent wants to find again at its next
	// connect, such as the epoch and the highest position of its store; nil =
	// nothing. It is published retained on the echo topic, see Conn.Remember, and is
	// in each message of the delivery proof. It is called often and from several
	// goroutines, and must not block.
	Echo func() []byte
	// OnRecall gets, once a connection, what the broker had retained of this agent
	// when the connection began; nil = nobody asks. It is called outside of all
	// locks, on a goroutine of the connection, and may block: the connection is not
	// Deliverable before it has returned, and nothing that it shows is replaced
	// before that as long as the caller publishes states and health only over a
	// Deliverable connection. So whoever finds its store behind what was published
	// takes a new epoch here, and the first record goes out under it. ctx ends
	// with the connection; then the next one calls it again. It is not called on a
	// connection that is closed to ask the broker by MQTT 5.
	OnRecall func(ctx context.Context, r Recalled)
	// OnProof is called, outside of all locks, when the proof's state changes,
	// and with the result of each later proof unless it fails again. It must
	// not block.
	OnProof func(Proof)
	// Dial opens the TCP connection, below TLS and websocket [DialTCP]. A fleet
	// simulator counts and cuts there.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Rand returns the jitter in [0, 1) [math/rand].
	Rand func() float64
	// Logger receives the MQTT library's own messages at debug level [none].
	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.KeepAlive, 30*time.Second)
	def(&cfg.AckTimeout, 20*time.Second)
	def(&cfg.WriteTimeout, 10*time.Second)
	def(&cfg.ConnectTimeout, 15*time.Second)
	def(&cfg.PingTimeout, 10*time.Second)
	def(&cfg.ReconnectMin, time.Second)
	def(&cfg.ReconnectMax, 2*time.Minute)
	def(&cfg.ProofTimeout, 10*time.Second)
	def(&cfg.ProofInterval, time.Hour)
	if cfg.MaxInflight == 0 {
		cfg.MaxInflight = 100
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "roomcall/v1"
	}
	if cfg.Confirm == "" {
		cfg.Confirm = ConfirmPuback
	}
	if cfg.Dial == nil {
		cfg.Dial = DialTCP
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
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
