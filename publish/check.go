package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Stage is one step on the way to the broker. Run returns what was seen, for an
// operator to read. Its error is an *Error; with ClassWarning the stage is well
// but worth a look, and detail is there too.
type Stage struct {
	Name string // "dns", "tcp", "tls", "login", "echo"
	Run  func(context.Context) (detail string, err error)
}

// certWarning is how long before its end a certificate is worth a look.
const certWarning = 14 * 24 * time.Hour

// checkSuffix keeps a check from throwing out the running agent: its client id
// is another one. The topics are the agent's.
const checkSuffix = "-check"

// Stages are the whole way to the broker with this index of Config.Brokers. Run
// them in turn, and none after one that fails. They make connections of their
// own, without will, birth and availability. asAgent logs in with the client id
// of the agent, which throws a running agent out; else "-check" is put behind it,
// and an access list that goes by client ids may reject that.
func (c *Client) Stages(index int, asAgent bool) []Stage {
	b := c.brokers[index]
	k := &check{client: c, broker: b, asAgent: asAgent}
	stages := []Stage{{"dns", k.dns}, {"tcp", k.tcp}}
	if b.tls {
		stages = append(stages, Stage{"tls", k.tls})
	}
	stages = append(stages, Stage{"login", k.login}, Stage{"echo", k.echo})
	for i := range stages {
		run := stages[i].Run
		stages[i].Run = func(ctx context.Context) (string, error) {
			detail, err := run(ctx)
			if err != nil {
				err = c.connectError(b, err)
			}
			return detail, err
		}
	}
	return stages
}

type check struct {
	client  *Client
	broker  broker
	asAgent bool
	quiet   *Client // after login
	conn    *Conn
}

func (k *check) warn(hint Hint, facts map[string]string) error {
	return &Error{Class: ClassWarning, Op: "check", Broker: k.broker.name, Err: errors.New(string(hint)), Hint: hint, Facts: facts}
}

func (k *check) dns(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.client.cfg.ConnectTimeout)
	defer cancel()
	host, _, _ := net.SplitHostPort(k.broker.addr)
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	return fmt.Sprintf("%s is %v", host, addrs), err
}

func (k *check) tcp(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.client.cfg.ConnectTimeout)
	defer cancel()
	conn, err := k.client.cfg.Dial(ctx, "tcp", k.broker.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (k *check) tls(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.client.cfg.ConnectTimeout)
	defer cancel()
	b := k.broker
	b.ws = false
	conn, _, err := k.client.dial(ctx, b)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	detail := fmt.Sprintf("%s, certificate %q of %q until %s (%d days)", tls.VersionName(state.Version), leaf.Subject.CommonName,
		leaf.Issuer.CommonName, leaf.NotAfter.UTC().Format(time.DateOnly), int(left.Hours()/24))
	switch {
	case k.client.cfg.InsecureSkipVerify:
		return detail, k.warn(hintNotChecked, nil)
	case left < certWarning:
		return detail, k.warn(hintEndsSoon, nil)
	}
	return detail, nil
}

// login connects as the agent would.
func (k *check) login(ctx context.Context) (string, error) {
	cfg := k.client.cfg
	cfg.Brokers, cfg.Birth, cfg.OnProof = []string{k.broker.url.String()}, nil, nil
	cfg.Username, cfg.Password = k.client.credentials(k.broker)
	quiet, err := New(cfg)
	if err != nil {
		return "", err
	}
	quiet.quiet = true
	if !k.asAgent {
		quiet.idSuffix = checkSuffix
	}
	k.quiet = quiet
	if k.conn, err = quiet.Connect(ctx); err != nil {
		return "", err
	}
	return "accepted as client " + quiet.mqttID(), nil
}

// echo runs the proof to its end. It reconnects as often as the proof asks for
// it: at most once.
func (k *check) echo(ctx context.Context) (string, error) {
	for {
		p := k.conn.WaitProof(ctx)
		err := k.conn.Err()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.client.cfg.WriteTimeout)
		_ = k.conn.Close(closing) // quiet: it has nothing to say that could fail
		cancel()
		switch {
		case p.State == ProofPending && classOf(err) == ClassProbe:
			if k.conn, err = k.quiet.Connect(ctx); err != nil {
				return "", err
			}
			continue
		case p.State == ProofPending && err == nil:
			return "", ctx.Err()
		case p.State == ProofPending:
			return "", err
		case p.State == ProofFailed:
			return "", &Error{Class: ClassDenied, Op: "prove delivery to", Broker: k.broker.name, Err: errors.New(p.Detail), Hint: p.Hint, Facts: p.Facts}
		case p.State == ProofUnproven:
			return p.Detail, k.warn(p.Hint, p.Facts)
		}
		return p.Detail, nil
	}
}
