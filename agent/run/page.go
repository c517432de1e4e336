package run

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/web"
)

// Bounds of the pause before the local HTTP is tried again; it doubles between them.
const (
	pageRetryMin = time.Second
	pageRetryMax = time.Minute
)

// page is the agent's local HTTP. It is a service beside the work: when its address
// is taken, is not there yet, or is lost later, the work goes on without it, that is
// shown, and it is tried again.
type page struct {
	listen   string // "" = off
	remote   bool   // others than this machine may ask
	maxBytes int64  // largest size of the store
	key      string // to what may have names of people
	history  *web.History
	language string
	source   web.Source
	log      *slog.Logger

	server *web.Server // open and not served yet, nil = none; of open and run alone

	mu    sync.Mutex
	state health.HTTP
}

// open tries once to open the address.
func (p *page) open() {
	if p.listen == "" {
		return
	}
	var names []string // by which a listener that is not loopback may be called, beside its address
	if name, err := os.Hostname(); err == nil && p.remote {
		names = []string{name}
	}
	server, err := web.Listen(p.listen, p.source, web.Options{
		Logger: p.log, Hosts: names, MaxBytes: p.maxBytes, History: p.history, Key: p.key, Language: p.language,
	})
	if err != nil {
		p.failed(err)
		return
	}
	p.server = server
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Listen, p.state.Error, p.state.Since = server.Addr(), "", time.Time{}
}

func (p *page) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Listen, p.state.Error = p.listen, err.Error()
	p.state.Fails++
	if p.state.Since.IsZero() {
		p.state.Since = time.Now()
	}
}

// run serves until ctx ends, and opens the address again and again while it cannot
// be had.
func (p *page) run(ctx context.Context) {
	if p.listen == "" {
		return
	}
	repeats := host.NewRepeats(p.log)
	trouble := func() {
		if s := p.status(); s.Error != "" {
			repeats.Failed("local HTTP", errorText(s.Error), "hint", health.English.HintFor("page_unavailable", nil))
		}
	}
	pause := pageRetryMin
	for trouble(); ; trouble() {
		if server := p.server; server != nil {
			repeats.Worked("local HTTP")
			p.server, pause = nil, pageRetryMin
			err := server.Serve(ctx)
			if err == nil || ctx.Err() != nil {
				return
			}
			p.failed(err)
			trouble()
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, pageRetryMax)
		p.open()
	}
}

// errorText is an error that is only a text.
type errorText string

func (e errorText) Error() string { return string(e) }

// close closes an address that was opened and never served.
func (p *page) close() {
	if p.server != nil {
		_ = p.server.Close()
	}
}

// status is a snapshot.
func (p *page) status() health.HTTP {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// where is the address for the log.
func (p *page) where() string {
	switch s := p.status(); {
	case p.listen == "":
		return "off"
	case s.Error != "":
		return p.listen + " (not open)"
	default:
		return s.Listen
	}
}
