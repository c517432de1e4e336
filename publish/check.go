package publish

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// Stage is one step on the way to the broker, for an operator to read.
type Stage struct {
	Name   string // "dns", "tcp", "tls", "login", "echo"
	OK     bool
	Warn   bool // OK, but worth a look
	Detail string
	Hint   string
	Took   time.Duration
}

// certWarning is how long before its end a certificate is worth a look.
const certWarning = 14 * 24 * time.Hour

// checkSuffix keeps a check from throwing out the running agent: its client id
// is another one. The topics are the agent's.
const checkSuffix = "-check"

// Check goes the whole way to the broker with this index of Config.Brokers,
// stage by stage, and stops at the first that fails. It makes connections of
// its own, without will, birth and availability. asAgent takes the client id of
// the agent, which throws a running agent out; else "-check" is put behind it,
// and an access list that goes by client ids may refuse that.
func (c *Client) Check(ctx context.Context, index int, asAgent bool) []Stage {
	b := c.brokers[index]
	k := &checker{ctx: ctx, broker: b, asAgent: asAgent}
	host, _, _ := net.SplitHostPort(b.addr)
	ok := k.stage("dns", func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
		defer cancel()
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		return fmt.Sprintf("%s is %v", host, addrs), err
	}) && k.stage("tcp", func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
		defer cancel()
		conn, err := c.dialTCP(ctx, b.addr)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return "connected to " + conn.RemoteAddr().String(), nil
	})
	if ok && b.tls {
		ok = k.stage("tls", func() (string, error) { return c.checkTLS(ctx, b, k) })
	}
	if ok {
		c.checkLogin(k)
	}
	return k.stages
}

type checker struct {
	ctx     context.Context
	broker  broker
	asAgent bool
	stages  []Stage
	warn    string // set by a stage that is well but worth a look
}

func (k *checker) stage(name string, run func() (string, error)) bool {
	began := time.Now()
	k.warn = ""
	detail, err := run()
	s := Stage{Name: name, OK: err == nil, Warn: k.warn != "", Detail: detail, Hint: k.warn, Took: time.Since(began)}
	if err != nil {
		e := connectError(k.broker.name, err)
		s.Detail, s.Hint = e.Error(), e.Hint
	}
	k.stages = append(k.stages, s)
	return s.OK
}

func (c *Client) checkTLS(ctx context.Context, b broker, k *checker) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	b.ws = false
	conn, _, err := c.dial(ctx, b)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	t, ok := conn.(*tls.Conn)
	if !ok {
		return "no TLS", nil
	}
	state := t.ConnectionState()
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	switch {
	case c.cfg.InsecureSkipVerify:
		k.warn = "[mqtt] insecure_skip_verify is on: anybody can pose as the broker"
	case left < certWarning:
		k.warn = "renew the broker's certificate soon"
	}
	return fmt.Sprintf("%s, certificate %q of %q until %s (%d days)", tls.VersionName(state.Version), leaf.Subject.CommonName,
		leaf.Issuer.CommonName, leaf.NotAfter.UTC().Format(time.DateOnly), int(left.Hours()/24)), nil
}

// checkLogin connects as the agent would and runs the proof to its end.
func (c *Client) checkLogin(k *checker) {
	cfg := c.cfg
	cfg.Brokers, cfg.Birth, cfg.OnProof = []string{k.broker.url.String()}, nil, nil
	cfg.Username, cfg.Password = c.credentials(k.broker)
	q, err := New(cfg)
	if err != nil {
		k.stage("login", func() (string, error) { return "", err })
		return
	}
	q.quiet = true
	if !k.asAgent {
		q.idSuffix = checkSuffix
	}
	var m *Conn
	ok := k.stage("login", func() (string, error) {
		m, err = q.Connect(k.ctx)
		return "accepted as client " + q.mqttID(), err
	})
	if ok {
		k.stage("echo", func() (string, error) { return q.checkProof(k, m) })
	}
}

// checkProof reconnects as often as the proof asks for it: at most once.
func (c *Client) checkProof(k *checker, m *Conn) (string, error) {
	for {
		p := m.WaitProof(k.ctx)
		err := m.Err()
		m.leave()
		switch {
		case p.State == ProofPending && classOf(err) == ClassProbe:
			if m, err = c.Connect(k.ctx); err != nil {
				return "", err
			}
			continue
		case p.State == ProofPending && err == nil:
			return "", k.ctx.Err()
		case p.State == ProofPending:
			return "", err
		case p.State == ProofFailed:
			return "", &Error{Class: ClassDenied, Op: "prove delivery to", Broker: k.broker.name, Err: fmt.Errorf("%s", p.Detail), Hint: p.Hint}
		case p.State == ProofUnproven:
			k.warn = p.Hint
		}
		return p.Detail, nil
	}
}

// mqttID is the client id to log in with.
func (c *Client) mqttID() string {
	return c.cfg.ClientID + c.idSuffix
}
