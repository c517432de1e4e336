package cgi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Stage is one step on the way to an endpoint.
type Stage struct {
	Name     string // "dns", "tcp", "tls", "login", "poll", "clock"
	OK, Warn bool   // Warn: it works, and something wants attention
	Detail   string // what was found
	Hint     string // what to do, "" = nothing
	Took     time.Duration
	// Fingerprint is the SHA-256 of the certificate that stage "tls" saw, 64
	// lower-case hexadecimal digits; "" when it saw none.
	Fingerprint string
}

// Probe goes the way to the endpoint step by step and ends with the first that
// fails. Stages that do not apply (the name of an address, TLS over http) are
// left out. It uses a session as Poll does: call Close afterwards.
func (c *Client) Probe(ctx context.Context) []Stage {
	p := prober{c: c}
	u, err := url.Parse(c.base)
	if err != nil { // New has parsed it
		return []Stage{{Name: "dns", Detail: err.Error()}}
	}
	steps := []func(context.Context, *url.URL) Stage{p.dns, p.tcp, p.tls, p.login, p.poll, p.clockStage}
	for _, step := range steps {
		began := time.Now()
		s := step(ctx, u)
		if s.Name == "" {
			continue
		}
		s.Took = time.Since(began)
		p.stages = append(p.stages, s)
		if !s.OK {
			break
		}
	}
	return p.stages
}

type prober struct {
	c      *Client
	stages []Stage
}

func (p *prober) failed(name string, err error) Stage {
	var e *Error
	if !errors.As(err, &e) {
		e = p.c.fail("", 0, err)
	}
	return Stage{Name: name, Detail: e.Error(), Hint: e.Hint}
}

func (p *prober) dns(ctx context.Context, u *url.URL) Stage {
	if net.ParseIP(u.Hostname()) != nil {
		return Stage{}
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.cfg.Timeout)
	defer cancel()
	list, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return p.failed("dns", err)
	}
	return Stage{Name: "dns", OK: true, Detail: u.Hostname() + " is " + strings.Join(list, ", ")}
}

// hostPort gives the address to dial.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (p *prober) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	d := net.Dialer{Timeout: p.c.cfg.Timeout}
	return d.DialContext(ctx, "tcp", hostPort(u))
}

func (p *prober) tcp(ctx context.Context, u *url.URL) Stage {
	conn, err := p.dial(ctx, u)
	if err != nil {
		return p.failed("tcp", err)
	}
	defer func() { _ = conn.Close() }()
	return Stage{Name: "tcp", OK: true, Detail: conn.RemoteAddr().String() + " takes connections"}
}

// login makes the session that the poll will use.
func (p *prober) login(ctx context.Context, _ *url.URL) Stage {
	c := p.c
	if c.cfg.Login == loginNone {
		return Stage{Name: "login", OK: true, Detail: "not needed: no username is set, or login is none"}
	}
	if err := c.acquire(ctx); err != nil {
		return p.failed("login", err)
	}
	defer c.release()
	if err := c.ready(ctx); err != nil {
		return p.failed("login", err)
	}
	detail := "user " + c.cfg.Username + ", login " + c.family
	if c.model != "" {
		detail += ", model " + c.model
	}
	return Stage{Name: "login", OK: true, Detail: detail}
}

func (p *prober) poll(ctx context.Context, _ *url.URL) Stage {
	st, err := p.c.Poll(ctx)
	if err != nil {
		return p.failed("poll", err)
	}
	s := Stage{Name: "poll", OK: true, Detail: st.summary()}
	if n := len(st.NotUnderstood); n > 0 {
		s.Warn = true
		s.Hint = fmt.Sprintf("%d values were not understood: %s; send them to support together with the output of poll --raw", n, listQuirks(st.NotUnderstood))
	}
	return s
}

// summary says in a line what a poll told.
func (s Status) summary() string {
	word := map[CallState]string{CallIdle: "idle", CallActive: "in a call", CallUnknown: "call state unknown"}[s.Call]
	if s.Call != CallActive {
		return word
	}
	if s.JoinMinutes.Known {
		word += fmt.Sprintf(" for %.0f min", s.JoinMinutes.Value)
	}
	if !s.hasMedia() {
		return word + ", no media values"
	}
	return word + ": audio " + rates([]Stream{s.AudioSend}, []Stream{s.AudioRecv}) +
		"; video " + rates(s.VideoSend, s.VideoRecv) +
		"; content " + rates([]Stream{s.AuxSend}, []Stream{s.AuxRecv}) + " (" + s.SourceAPI + ")"
}

func rates(send, recv []Stream) string { return "sent " + rateOf(send) + ", received " + rateOf(recv) }

func rateOf(list []Stream) string {
	sum, streams, known := 0.0, 0, false
	for _, s := range list {
		if s.Active {
			streams++
			sum += s.BitrateKbps.Value
			known = known || s.BitrateKbps.Known
		}
	}
	switch {
	case streams == 0:
		return "nothing"
	case !known:
		return "at an unknown rate"
	case streams > 1:
		return fmt.Sprintf("%.0f kbit/s in %d streams", sum, streams)
	}
	return fmt.Sprintf("%.0f kbit/s", sum)
}

// maxShown bounds the values that are named in a hint.
const maxShown = 5

func listQuirks(list []Quirk) string {
	var out []string
	for _, o := range list[:min(len(list), maxShown)] {
		out = append(out, fmt.Sprintf("%s = %q", o.Key, o.Text))
	}
	if len(list) > maxShown {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}
