package cgi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stage is one step on the way to an endpoint. Run returns what was found, for an
// operator to read; nothing means that there is nothing to say. Its error is an
// *Error; detail, where there is one, has its text too. With KindWarning the
// stage works and something wants attention.
type Stage struct {
	Name string // "dns", "tcp", "tls", "login", "poll", "clock"
	Run  func(context.Context) (detail string, err error)
}

// Stages are the whole way to the endpoint. Run them in turn, and none after one
// that fails. Those that do not apply (the name of an address, TLS over http) are
// left out. They use a session as Poll does: call Close afterwards.
func (c *Client) Stages() []Stage {
	var list []Stage
	if net.ParseIP(c.url.Hostname()) == nil {
		list = append(list, Stage{"dns", c.checkDNS})
	}
	list = append(list, Stage{"tcp", c.checkTCP})
	if c.url.Scheme == "https" {
		list = append(list, Stage{"tls", c.checkTLS})
	}
	return append(list, Stage{"login", c.checkLogin}, Stage{"poll", c.checkPoll}, Stage{"clock", c.checkClock})
}

func warning(hint Hint, facts map[string]string) *Error {
	return &Error{Kind: KindWarning, Reason: "warning", Hint: hint, Facts: facts}
}

func (c *Client) checkDNS(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	list, err := net.DefaultResolver.LookupHost(ctx, c.url.Hostname())
	if err != nil {
		return "", c.fail("", 0, err)
	}
	return c.url.Hostname() + " is " + strings.Join(list, ", "), nil
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	port := c.url.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[c.url.Scheme]
	}
	d := net.Dialer{Timeout: c.cfg.Timeout}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(c.url.Hostname(), port))
}

func (c *Client) checkTCP(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return "", c.fail("", 0, err)
	}
	defer func() { _ = conn.Close() }()
	return conn.RemoteAddr().String() + " accepts connections", nil
}

// expirySoon is when a certificate's end is worth a warning.
const expirySoon = 30 * 24 * time.Hour

// checkTLS shakes hands with what is set but the certificate's checks, then says
// what those make of it.
func (c *Client) checkTLS(ctx context.Context) (string, error) {
	cfg, err := newTLSConfig(c.cfg)
	if err != nil { // New has made it once
		return "", c.fail("", 0, err)
	}
	pinned := cfg.VerifyConnection
	cfg.InsecureSkipVerify, cfg.VerifyConnection = true, nil
	state, err := c.shakeHands(ctx, cfg)
	if err != nil {
		e := c.fail("", 0, err)
		if found := c.findTLSSetting(ctx, cfg); found != nil {
			e.Hint, e.Facts = hintWorksWith, found
		}
		return "", e
	}
	leaf, now := state.PeerCertificates[0], c.now()
	print := fingerprint(leaf)
	detail := fmt.Sprintf("%s, certificate of %s by %s, valid to %s (%d days), fingerprint %s",
		tls.VersionName(state.Version), leaf.Subject.CommonName, leaf.Issuer.CommonName,
		leaf.NotAfter.UTC().Format("2006-01-02"), int(leaf.NotAfter.Sub(now).Hours()/24), print)
	switch {
	case pinned != nil:
		detail += ", pinned"
		err = pinned(state)
	case c.cfg.InsecureSkipVerify:
		return detail + ", not checked", warning(hintNotChecked, map[string]string{"fingerprint": print})
	default:
		err = c.verify(state.PeerCertificates, now)
	}
	if err != nil {
		hint, facts := tlsHint(err)
		return detail + ": " + err.Error(), &Error{
			Kind: KindUnreachable, URL: c.origin, Reason: "tls", Hint: hint, Facts: facts, Fingerprint: print, Err: err,
		}
	}
	if leaf.NotAfter.Sub(now) < expirySoon {
		return detail, warning(hintEndsSoon, nil)
	}
	return detail, nil
}

func (c *Client) shakeHands(ctx context.Context, cfg *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	raw, err := c.dial(ctx)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = raw.Close() }()
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = c.url.Hostname()
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

// findTLSSetting tries what old endpoints need, and returns the settings that work,
// nil = none.
func (c *Client) findTLSSetting(ctx context.Context, cfg *tls.Config) map[string]string {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10} {
		for _, try := range []struct {
			legacy string
			suites []uint16
		}{{"", nil}, {"true", legacySuites}} {
			cfg.MinVersion, cfg.MaxVersion, cfg.CipherSuites = version, 0, try.suites
			if state, err := c.shakeHands(ctx, cfg); err == nil {
				return map[string]string{
					"tls_min": strings.TrimPrefix(tls.VersionName(version), "TLS "), "legacy_ciphers": try.legacy,
					"fingerprint": fingerprint(state.PeerCertificates[0]),
				}
			}
		}
	}
	return nil
}

func (c *Client) verify(chain []*x509.Certificate, now time.Time) error {
	opts := x509.VerifyOptions{
		Roots: c.cfg.RootCAs, DNSName: c.cfg.ServerName,
		Intermediates: x509.NewCertPool(), CurrentTime: now,
	}
	if opts.DNSName == "" {
		opts.DNSName = c.url.Hostname()
	}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// checkLogin makes the session that the poll will use.
func (c *Client) checkLogin(ctx context.Context) (string, error) {
	if c.cfg.Login == loginNone {
		return "not needed: no username is set, or login is none", nil
	}
	if err := c.acquire(ctx); err != nil {
		return "", err
	}
	defer c.release()
	if err := c.ready(ctx); err != nil {
		return "", err
	}
	detail := "user " + c.cfg.Username + ", login " + c.family
	if c.model != "" {
		detail += ", model " + c.model
	}
	return detail, nil
}

// maxShown bounds the values that are named in a hint.
const maxShown = 5

func (c *Client) checkPoll(ctx context.Context) (string, error) {
	st, err := c.Poll(ctx)
	if err != nil {
		return "", err
	}
	detail := st.summary()
	if st.ErrID != 0 || st.ErrCode != 0 {
		detail += fmt.Sprintf("; the endpoint refuses the values of the call (id %d, code %d)", st.ErrID, st.ErrCode)
	}
	if w := st.Warning(); w != nil {
		return detail, w
	}
	switch n := len(st.NotUnderstood); {
	case n > 0:
		return detail, warning(hintNotUnderstood, map[string]string{"count": strconv.Itoa(n), "values": said(st.NotUnderstood)})
	case (st.ErrID != 0 || st.ErrCode != 0) && !slices.Contains(idsNoCall, st.ErrID):
		return detail, st.refusedWarning() // idle, and not the words for that
	}
	return detail, nil
}

// idsNoCall are error ids that public clients read as "there is no call".
var idsNoCall = []int64{100666767, 100666777, 100666794}

// said lists what was not understood, for people, at most maxShown of it.
func said(list []Quirk) string {
	var shown []string
	for _, q := range list[:min(len(list), maxShown)] {
		shown = append(shown, fmt.Sprintf("%s = %q", q.Key, q.Text))
	}
	if len(list) > maxShown {
		shown = append(shown, "...")
	}
	return strings.Join(shown, ", ")
}

// summary says in a line what a poll told.
func (st *Status) summary() string {
	word := map[CallState]string{CallIdle: "idle", CallActive: "in a call", CallUnknown: "call state unknown"}[st.Call]
	if st.Call != CallActive {
		return word
	}
	if st.JoinMinutes.Known {
		word += fmt.Sprintf(" for %.0f min", st.JoinMinutes.Value)
	}
	if !st.hasMedia() {
		return word + ", no media values"
	}
	both := func(send, recv []Stream) string { return "sent " + rateOf(send) + ", received " + rateOf(recv) }
	return word + ": audio " + both([]Stream{st.AudioSend}, []Stream{st.AudioRecv}) +
		"; video " + both(st.VideoSend, st.VideoRecv) +
		"; content " + both([]Stream{st.AuxSend}, []Stream{st.AuxRecv}) + " (" + st.SourceAPI + ")"
}

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

// maxClockOff is the difference from which two clocks no longer show the same
// minute: the endpoint's own records and those of cloud systems can then not be
// laid beside ours.
const maxClockOff = time.Minute

// checkClock compares the endpoint's clock, by the header Date of its last reply
// (RFC 9110, 6.6.1: whole seconds), with this machine's. It does not know which
// of the two is right.
func (c *Client) checkClock(ctx context.Context) (string, error) {
	if err := c.acquire(ctx); err != nil {
		return "", err
	}
	defer c.release()
	if !c.clockKnown {
		return "", nil
	}
	off := c.clockAhead.Round(time.Second)
	detail := "the endpoint's clock shows the same time as this machine's"
	switch {
	case off.Abs() <= 2*time.Second: // as near as a header in whole seconds shows
	case off > 0:
		detail = fmt.Sprintf("the endpoint's clock is %v ahead of this machine's", off)
	default:
		detail = fmt.Sprintf("the endpoint's clock is %v behind this machine's", -off)
	}
	if c.clockAhead.Abs() > maxClockOff {
		return detail, warning(hintClocks, nil)
	}
	return detail, nil
}
