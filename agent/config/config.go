// Package config reads agent.toml and the conf.d files beside it.
//
// Promise: a Config that Load returns is complete and checked: every default
// applied, every secret read, every path absolute. When anything at all is
// wrong, Load returns no Config but every problem at once, each with its file,
// its line, its key, what was found and what is allowed. No error, warning or
// printed form of a Config ever holds a secret.
package config

import (
	"time"
)

// Config is a checked configuration.
type Config struct {
	// Path is the main file as it was handed to Load; Files are all files that
	// were read, the main file first, then conf.d in the order of names.
	Path  string
	Files []string

	Agent     Agent
	Endpoints []Endpoint
	MQTT      MQTT
	Buffer    Buffer
	Publish   Publish
	// Limits holds the [limits.NAME] tables by name; the built-in profiles are
	// not in it.
	Limits map[string]Limits

	settings []Setting
	written  [][]byte // the files, secrets redacted

	hash, writtenHash string
}

// Agent is the table [agent].
type Agent struct {
	ClientID        string `toml:"client_id"`   // MQTT client id and topic level, [a-z0-9-], 1 to 63
	Site            string `toml:"site"`        // copied into every payload, "" = none
	DataDir         string `toml:"data_dir"`    // absolute
	HTTPListen      string `toml:"http_listen"` // host:port, "" = off
	HTTPAllowRemote bool   `toml:"http_allow_remote"`
	LogLevel        string `toml:"log_level"`  // "debug", "info", "warn", "error"
	LogFormat       string `toml:"log_format"` // "text", "json"
	Language        string `toml:"language"`   // "auto", "en", "zh"
}

// Endpoint is one table [[endpoint]].
type Endpoint struct {
	Device       string `toml:"device"`   // unique, [a-z0-9-], 1 to 63, never "agent"
	Room         string `toml:"room"`     // human name, any language, "" = none
	URL          string `toml:"url"`      // http or https, no credentials in it
	Username     string `toml:"username"` // "" = no login
	Password     Secret `toml:"password"`
	PasswordFile string `toml:"password_file"` // absolute, "" = none; Password is its first line
	Login        string `toml:"login"`         // "auto", "api", "web", "none"

	PollInterval time.Duration `toml:"poll_interval"` // in a call
	IdleInterval time.Duration `toml:"idle_interval"` // outside a call
	Timeout      time.Duration `toml:"timeout"`       // one request

	CAFile             string   `toml:"ca_file"`     // absolute, "" = the system's roots
	ServerName         string   `toml:"server_name"` // "" = the URL's host
	Fingerprints       []string `toml:"fingerprint"` // SHA-256 of the leaf certificate, 64 lower-case hex digits, at most two
	InsecureSkipVerify bool     `toml:"insecure_skip_verify"`
	TLSMin             string   `toml:"tls_min"` // "1.0" to "1.3"
	LegacyCiphers      bool     `toml:"legacy_ciphers"`

	PeerNames string `toml:"peer_names"` // "off", "hash", "plain"
	Limits    string `toml:"limits"`     // a built-in profile or a key of Config.Limits
}

// MQTT is the table [mqtt].
type MQTT struct {
	Brokers      []string `toml:"broker"` // tried in turn; tcp, tls, ws or wss, always with a port
	Username     string   `toml:"username"`
	Password     Secret   `toml:"password"`
	PasswordFile string   `toml:"password_file"` // absolute, "" = none; Password is its first line

	CAFile             string `toml:"ca_file"`     // absolute, "" = the system's roots
	CertFile           string `toml:"cert_file"`   // absolute, with KeyFile
	KeyFile            string `toml:"key_file"`    // absolute, with CertFile
	ServerName         string `toml:"server_name"` // "" = the broker's host
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`

	TopicPrefix  string        `toml:"topic_prefix"`
	Confirm      string        `toml:"confirm"` // "puback", "echo"
	KeepAlive    time.Duration `toml:"keepalive"`
	MaxInflight  int           `toml:"max_inflight"`
	ReconnectMin time.Duration `toml:"reconnect_min"`
	ReconnectMax time.Duration `toml:"reconnect_max"` // never below ReconnectMin
	ReplayRate   int           `toml:"replay_rate"`   // records a second while catching up, 0 = no limit
}

// Buffer is the table [buffer].
type Buffer struct {
	MaxBytes int64         `toml:"max_bytes"` // bound of the whole store on disk
	MaxAge   time.Duration `toml:"max_age"`   // 0 = no age limit
	// CommitInterval is for how long polls are collected until they are committed
	// together; 0 = a commit with each poll.
	CommitInterval time.Duration `toml:"commit_interval"`
	KeepDelivered  time.Duration `toml:"keep_delivered"` // 0 = delivered records go at once
}

// Publish is the table [publish].
type Publish struct {
	Kinds []string `toml:"kinds"` // any of sample, stream, event, call, minute
	Views []string `toml:"views"` // any of zoom, agora, volc, trtc
	// StateInterval is the least time between two state messages of a device that show
	// the same endpoint state, call and grade; 0 = one with each poll.
	StateInterval time.Duration `toml:"state_interval"`
	// ViewTimezone is where the days of the volc view begin, see ParseZone.
	ViewTimezone string `toml:"view_timezone"`
}

// Limits is a table [limits.NAME].
type Limits struct {
	// Base is the built-in profile whose limits hold where the table has none;
	// "" = what the table does not name is not graded.
	Base string `toml:"base"`
	// Values are the table's numbers by key: "video_loss_pct_poor" and the
	// like in percent, milliseconds or frames a second, and "enter", "of",
	// "leave" in samples.
	Values map[string]float64
}

// Endpoint returns the endpoint of that device name, nil when there is none.
func (c *Config) Endpoint(device string) *Endpoint {
	for i := range c.Endpoints {
		if c.Endpoints[i].Device == device {
			return &c.Endpoints[i]
		}
	}
	return nil
}
