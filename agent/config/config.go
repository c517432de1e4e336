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
	sources  []source
}

// Agent is the table [agent].
type Agent struct {
	ClientID        string // MQTT client id and topic level, [a-z0-9-], 1 to 63
	Site            string // copied into every payload, "" = none
	DataDir         string // absolute
	HTTPListen      string // host:port, "" = off
	HTTPAllowRemote bool
	LogLevel        string // "debug", "info", "warn", "error"
	LogFormat       string // "text", "json"
}

// Endpoint is one table [[endpoint]].
type Endpoint struct {
	Device   string // unique, [a-z0-9-], 1 to 63, never "agent"
	Room     string // human name, any language, "" = none
	URL      string // http or https, no credentials in it
	Username string // "" = no login
	Password Secret
	Login    string // "auto", "api", "web", "none"

	PollInterval time.Duration // in a call
	IdleInterval time.Duration // outside a call
	Timeout      time.Duration // one request

	CAFile             string   // absolute, "" = the system's roots
	ServerName         string   // "" = the URL's host
	Fingerprints       []string // SHA-256 of the leaf certificate, 64 lower-case hex digits, at most two
	InsecureSkipVerify bool
	TLSMin             string // "1.0" to "1.3"
	LegacyCiphers      bool

	PeerNames string // "off", "hash", "plain"
	Limits    string // a built-in profile or a key of Config.Limits
}

// MQTT is the table [mqtt].
type MQTT struct {
	Brokers  []string // tried in turn; tcp, tls, ws or wss, always with a port
	Username string
	Password Secret

	CAFile             string // absolute, "" = the system's roots
	CertFile, KeyFile  string // absolute, both or none
	ServerName         string // "" = the broker's host
	InsecureSkipVerify bool

	TopicPrefix  string
	Confirm      string // "puback", "echo"
	KeepAlive    time.Duration
	MaxInflight  int
	ReconnectMin time.Duration
	ReconnectMax time.Duration // never below ReconnectMin
	ReplayRate   int           // records a second while catching up, 0 = no limit
}

// Buffer is the table [buffer].
type Buffer struct {
	MaxBytes      int64         // bound of the whole store on disk
	MaxAge        time.Duration // 0 = no age limit
	KeepDelivered time.Duration // 0 = delivered records go at once
}

// Publish is the table [publish].
type Publish struct {
	Kinds []string // any of sample, stream, event, call, minute
	Views []string // any of zoom, agora, volc, trtc
}

// Endpoint gives the endpoint of that device name, nil when there is none.
func (c *Config) Endpoint(device string) *Endpoint {
	for i := range c.Endpoints {
		if c.Endpoints[i].Device == device {
			return &c.Endpoints[i]
		}
	}
	return nil
}
