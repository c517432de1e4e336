// Package publish carries messages to an MQTT 3.1.1 broker.
//
// Promise: a Receipt settles exactly once, and with a nil error only after the
// broker acknowledged this very message (PUBACK) on the connection that sent
// it, or, with Confirm "echo", after the broker also handed the message back.
// A timeout, a lost connection and a shutdown all settle it with an error: the
// caller keeps the record. Messages leave in the order of the Publish calls.
//
// A connection is one Conn with its own MQTT client inside. It is never
// repaired: when it is lost, everything in flight fails and the owner calls
// Backoff and Connect again.
package publish

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

// MaxPayload is the largest payload in bytes that Publish takes.
const MaxPayload = 1 << 20

// The two values of Config.Confirm.
const (
	ConfirmPuback = "puback"
	ConfirmEcho   = "echo"
)

// Config says where the broker is and how patient to be. Zero values take the
// default in brackets.
type Config struct {
	// Brokers are URLs tried in turn: tcp, tls, ws or wss, port and path
	// optional (1883, 8883, 80, 443; "/mqtt"). At least one.
	Brokers []string
	// ClientID is the MQTT client id and the topic level below Prefix.
	ClientID string
	// Username and Password log in; empty = anonymous. User information in a
	// broker URL is used when Username is empty.
	Username, Password string

	// CAFile (PEM) replaces the system's roots. CertFile and KeyFile are the
	// client certificate; they are read again at every handshake, so a renewed
	// certificate needs no restart.
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
	// acknowledgement before the connection is given up [20 s].
	AckTimeout time.Duration
	// WriteTimeout is the patience with one write of at most 16 KiB [10 s].
	WriteTimeout time.Duration
	// ConnectTimeout bounds name look-up, TCP, TLS, websocket and CONNACK
	// together [15 s].
	ConnectTimeout time.Duration
	// PingTimeout is the patience with a PINGRESP [10 s].
	PingTimeout time.Duration
	// MaxInflight is the caller's window [100]; Publish refuses more than this
	// plus a reserve of 256 for messages beside the window.
	MaxInflight int
	// ReconnectMin and ReconnectMax bound Backoff [1 s, 2 min].
	ReconnectMin, ReconnectMax time.Duration

	// ProofTimeout is how long the echo may take after its PUBACK [10 s];
	// ProofInterval is the time between two proofs on one connection [1 h].
	ProofTimeout, ProofInterval time.Duration

	// Birth gives the retained birth payload at each connect; nil = none.
	Birth func() []byte
	// OnProof is called, outside of all locks, when the proof's state changes,
	// and with the result of each later proof unless it fails again. It must
	// not block.
	OnProof func(Proof)
	// Rand gives the jitter in [0, 1) [math/rand].
	Rand func() float64
	// Logger takes the MQTT library's own messages at debug level [none].
	Logger *slog.Logger
}

// Client makes one connection after the other. Its methods may be called from
// any goroutine.
type Client struct {
	cfg     Config
	brokers []broker
	backoff *backoff
	count   counters
	open    func(context.Context, broker) (net.Conn, net.Conn, error) // dial, see there
	// For Check: no will, birth and availability, and another client id.
	quiet    bool
	idSuffix string

	mu         sync.Mutex
	next       int // index of the broker to try
	conn       *Conn
	state      State
	current    string
	since      time.Time
	lastErr    *Error
	errAt      time.Time
	expires    time.Time // broker's certificate
	ownExpires time.Time // client certificate
	proof      Proof
	verdicts   map[string]verdict
	proven     map[string]bool // broker URL -> an echo once came back
	probe      map[string]bool // broker URL -> ask it by MQTT 5 before the next connection
	early      earlyLosses
}

// New checks cfg. It opens no connection; the certificate files are read once
// so that a wrong path is told at the start.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{
		cfg:      cfg,
		backoff:  newBackoff(cfg.ReconnectMin, cfg.ReconnectMax, len(cfg.Brokers), cfg.Rand),
		state:    Disconnected,
		since:    time.Now(),
		proof:    Proof{State: ProofPending, Since: time.Now()},
		verdicts: map[string]verdict{},
		proven:   map[string]bool{},
		probe:    map[string]bool{},
	}
	c.open = c.dial
	needTLS := false
	for _, s := range cfg.Brokers {
		b, err := parseBroker(s)
		if err != nil {
			return nil, err
		}
		needTLS = needTLS || b.tls
		c.brokers = append(c.brokers, b)
	}
	if needTLS {
		if _, err := c.tlsConfig(c.brokers[0]); err != nil {
			return nil, err
		}
	}
	routePahoLogs(cfg.Logger)
	return c, nil
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
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func (cfg Config) validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Class: ClassConfig, Op: "configure MQTT", Err: fmt.Errorf(format, args...)}
	}
	switch {
	case len(cfg.Brokers) == 0:
		return bad("[mqtt] broker is empty")
	case cfg.ClientID == "" || !utf8.ValidString(cfg.ClientID) || checkTopic(cfg.ClientID) != nil:
		return bad("client_id %q cannot be a topic level", cfg.ClientID)
	case checkTopic(cfg.Prefix) != nil:
		return bad("[mqtt] topic_prefix: %w", checkTopic(cfg.Prefix))
	case cfg.Confirm != ConfirmPuback && cfg.Confirm != ConfirmEcho:
		return bad("[mqtt] confirm is %q, allowed are %q and %q", cfg.Confirm, ConfirmPuback, ConfirmEcho)
	case cfg.KeepAlive < time.Second || cfg.KeepAlive > 65535*time.Second:
		return bad("[mqtt] keepalive is %v, allowed is 1s to 65535s", cfg.KeepAlive)
	case cfg.MaxInflight < 1 || cfg.MaxInflight > 65535-reserve-ownReserve:
		return bad("[mqtt] max_inflight is %d, allowed is 1 to %d", cfg.MaxInflight, 65535-reserve-ownReserve)
	case cfg.ReconnectMin < 0 || cfg.ReconnectMax < cfg.ReconnectMin:
		return bad("[mqtt] reconnect_min %v and reconnect_max %v are out of order", cfg.ReconnectMin, cfg.ReconnectMax)
	case (cfg.CertFile == "") != (cfg.KeyFile == ""):
		return bad("[mqtt] cert_file and key_file belong together")
	}
	return nil
}
