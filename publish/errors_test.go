package publish

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"roomcall/publish/brokertest"
)

const secret = "hunter2-secret"

func TestFailuresToConnectAreToldApart(t *testing.T) {
	users := map[string]string{"agent": secret}
	ca, other := brokertest.NewCA(t), brokertest.NewCA(t)
	expired := ca.Expired(t, "127.0.0.1")
	wrong := ca.Server(t, "broker.example")
	plain := brokertest.Mosquitto(t, brokertest.Conf{Users: users})
	secure := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, Users: users})
	old := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, Cert: &expired})
	named := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, Cert: &wrong})
	mutual := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, ClientCerts: true})
	silent := brokertest.NewFake(t, brokertest.Faults{NoConnack: true})
	badID := brokertest.NewFake(t, brokertest.Faults{Refuse: 2})
	busy := brokertest.NewFake(t, brokertest.Faults{Refuse: 3})
	refused := brokertest.NewFake(t, brokertest.Faults{Refuse: 5})
	closed := closedPort(t)
	ends := brokertest.NewFake(t, brokertest.Faults{CutConnect: func(brokertest.Connect) bool { return true }})
	ssh := greeter(t, "SSH-2.0-OpenSSH_9.2\r\n")

	tests := []struct {
		name, url, caFile string
		class             Class
		hint              Hint
	}{
		{"no such host", "tcp://broker.invalid", "", ClassUnreachable, hintDNS},
		{"nobody listens", "tcp://" + closed, "", ClassUnreachable, hintUnreachable},
		{"no CONNACK", silent.URL(), "", ClassUnreachable, hintNoAnswer},
		{"busy broker", busy.URL(), "", ClassUnreachable, hintUnavailable},
		{"wrong password", plain.URL(), "", ClassRefusedLogin, hintLogin},
		{"not authorised", refused.URL(), "", ClassRefusedLogin, hintLogin},
		{"wrong password over TLS", secure.URL(), ca.File, ClassRefusedLogin, hintLogin},
		{"refused client id", badID.URL(), "", ClassProtocol, hintClientID},
		{"unknown CA", secure.URL(), other.File, ClassBadCertificate, hintTrust},
		{"expired certificate", old.URL(), ca.File, ClassBadCertificate, hintExpired},
		{"certificate of another name", named.URL(), ca.File, ClassBadCertificate, hintName},
		{"no client certificate", mutual.URL(), ca.File, ClassBadCertificate, hintClientCert},
		{"TLS to a plain port", strings.Replace(plain.URL(), "tcp:", "tls:", 1), ca.File, ClassUnreachable, hintEndsConnect},
		{"plain to a TLS port", strings.Replace(secure.URL(), "tls:", "tcp:", 1), "", ClassUnreachable, hintEndsConnect},
		{"websocket to an MQTT port", strings.Replace(plain.URL(), "tcp:", "ws:", 1), "", ClassUnreachable, hintEndsConnect},
		{"another protocol", "tcp://" + ssh, "", ClassProtocol, hintNoAnswer},
		{"ends at CONNECT", ends.URL(), "", ClassUnreachable, hintEndsConnect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(tt.url)
			cfg.CAFile, cfg.Username, cfg.Password = tt.caFile, "agent", secret+"-wrong"
			cfg.ConnectTimeout = 2 * time.Second
			c := newClient(t, cfg)
			_, err := c.Connect(testContext(t))
			e := wantClass(t, err, tt.class)
			if e.Hint == "" || tt.hint != "" && e.Hint != tt.hint {
				t.Errorf("hint is %q, want %q", e.Hint, tt.hint)
			}
			if strings.Contains(err.Error()+fmt.Sprint(e.Facts), secret) {
				t.Errorf("the password is in the error: %v", err)
			}
			if st := c.Status(); st.LastError != e || st.State != Disconnected || st.Failures != 1 {
				t.Errorf("status: %+v", st)
			}
			t.Log(err)
		})
	}
}

// With TLS 1.3 a missing certificate may show as the end of the connection alone.
func TestEndWithoutAWordIsAMissingCertificateIfTheBrokerAskedForOne(t *testing.T) {
	c := newClient(t, testConfig("tcp://h"))
	wantClass(t, c.connectError(c.brokers[0], io.EOF), ClassUnreachable)
	c.certMissing.Store(true)
	wantClass(t, c.connectError(c.brokers[0], io.EOF), ClassBadCertificate)
	wantClass(t, c.connectError(c.brokers[0], packets.ErrorRefusedBadUsernameOrPassword), ClassRefusedLogin)
}

func TestRenewedClientCertificateNeedsNoRestart(t *testing.T) {
	ca := brokertest.NewCA(t)
	server := ca.Server(t, "127.0.0.1")
	cert, err := tls.LoadX509KeyPair(server.CertFile, server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	seen := make(chan string, 2)
	go func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			if tc := conn.(*tls.Conn); tc.Handshake() == nil {
				seen <- tc.ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			conn.Close()
		}
	}()
	pair, renewed := ca.Client(t, "first"), ca.Client(t, "renewed")
	cfg := testConfig("tls://" + ln.Addr().String())
	cfg.CAFile, cfg.CertFile, cfg.KeyFile = ca.File, pair.CertFile, pair.KeyFile
	c := newClient(t, cfg)
	for _, want := range []string{"first", "renewed"} {
		if _, err := c.Connect(testContext(t)); err == nil {
			t.Fatal("connected to what speaks no MQTT")
		}
		if got := <-seen; got != want {
			t.Errorf("the certificate is %s, want %s", got, want)
		}
		for from, to := range map[string]string{renewed.CertFile: pair.CertFile, renewed.KeyFile: pair.KeyFile} {
			if err := os.Rename(from, to); want == "first" && err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A broker that speaks nothing newer than TLS 1.1 is not trusted with records.
func TestOldTLSOfABrokerIsRejected(t *testing.T) {
	ca := brokertest.NewCA(t)
	pair := ca.Server(t, "127.0.0.1")
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Fatal(err)
	}
	shaken := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
		shaken <- err
	}()
	defer ln.Close()
	cfg := testConfig("tls://" + ln.Addr().String())
	cfg.CAFile = ca.File
	if _, err := newClient(t, cfg).Connect(testContext(t)); err == nil {
		t.Error("connected")
	}
	if <-shaken == nil {
		t.Error("the handshake with TLS 1.1 came to its end")
	}
}

func closedPort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestServerNameCompletesACertificateOfAnotherName(t *testing.T) {
	ca := brokertest.NewCA(t)
	wrong := ca.Server(t, "broker.example")
	s := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, Cert: &wrong})
	cfg := testConfig(s.URL())
	cfg.CAFile, cfg.ServerName = ca.File, "broker.example"
	c := newClient(t, cfg)
	connect(t, c)
}

func TestWaysToTheBroker(t *testing.T) {
	ca := brokertest.NewCA(t)
	pair := ca.Client(t, "agent-1")
	confs := map[string]brokertest.Conf{
		"tcp": {}, "tls": {CA: ca}, "tls with client certificate": {CA: ca, ClientCerts: true},
		"ws": {WebSocket: true}, "wss": {WebSocket: true, CA: ca},
	}
	for name, conf := range confs {
		t.Run(name, func(t *testing.T) {
			t.Setenv("all_proxy", "socks5://127.0.0.1:1") // a proxy of the environment is not asked
			t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
			conf.Users = map[string]string{"agent": secret}
			s := brokertest.Mosquitto(t, conf)
			cfg := testConfig(strings.Replace(s.URL(), "://", "://agent:"+secret+"@", 1))
			cfg.CAFile, cfg.CertFile, cfg.KeyFile = ca.File, pair.CertFile, pair.KeyFile
			m := connect(t, newClient(t, cfg))
			if p := m.WaitProof(testContext(t)); p.State != ProofProven {
				t.Errorf("proof is %s (%s)", p.State, p.Detail)
			}
			var last *Receipt
			for n := range 200 {
				last = send(t, m, "room/sample", numbered(n)+strings.Repeat("x", 40*n))
			}
			if err := last.Err(); err != nil {
				t.Errorf("publish: %v", err)
			}
			if st := m.client.Status(); strings.Contains(st.Broker, secret) || strings.Contains(m.Broker(), secret) {
				t.Errorf("the password is in the status: %s", st.Broker)
			}
			if err := m.Close(testContext(t)); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestBrokersAreTriedInTurn(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig("tcp://" + closedPort(t))
	cfg.Brokers = append(cfg.Brokers, "tcp://"+closedPort(t), f.URL())
	c := newClient(t, cfg)
	c.next = 0
	for n := range 2 {
		_, err := c.Connect(testContext(t))
		e := wantClass(t, err, ClassUnreachable)
		if e.Broker != cfg.Brokers[n] {
			t.Errorf("attempt %d went to %s", n, e.Broker)
		}
	}
	if m := connect(t, c); m.Broker() != f.URL() {
		t.Errorf("the third attempt went to %s", m.Broker())
	}
}

func TestClientIDUsedTwiceIsReportedByName(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	a, b := newClient(t, testConfig(s.URL())), newClient(t, testConfig(s.URL()))
	ma := connect(t, a)
	for range sameIDAfter {
		ma.WaitProof(testContext(t)) // then nothing is in flight
		mb := connect(t, b)          // throws a out
		waitDone(t, "loss", ma.Lost())
		mb.WaitProof(testContext(t))
		ma = connect(t, a)
		waitDone(t, "loss of the other", mb.Lost()) // it connects anew only after that
	}
	e := a.Status().LastError
	if e.Class != ClassSameID || e.Hint != hintSameID || e.Facts["client_id"] != "agent-1" {
		t.Errorf("reported as %s, hint %q", e.Class, e.Hint)
	}
	since := a.Status().SameIDSince // connected for the moment
	mb := connect(t, b)
	waitDone(t, "loss", ma.Lost())
	if now := a.Status().SameIDSince; since.IsZero() || !now.Equal(since) {
		t.Errorf("it goes on since %v, then since %v", since, now)
	}
	mb.WaitProof(testContext(t))
	connect(t, a)
	a.mu.Lock()
	a.status.Since = time.Now().Add(-livedAfter)
	a.mu.Unlock()
	if now := a.Status().SameIDSince; !now.IsZero() {
		t.Errorf("a connection lives, and it still goes on since %v", now)
	}
	s.Stop()
	waitDone(t, "loss", mb.Lost())
	b.mu.Lock()
	b.status.SameIDSince = since
	b.mu.Unlock()
	if _, err := b.Connect(testContext(t)); err == nil || !b.Status().SameIDSince.IsZero() {
		t.Errorf("err %v, and it still goes on since %v", err, b.Status().SameIDSince)
	}
}

func TestSettingsThatCannotWorkAreRefusedWithoutTheirSecrets(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := testConfig("tls://u:" + secret + "@h")
	tests := map[string]func(*Config){
		"no broker":        func(c *Config) { c.Brokers = nil },
		"scheme":           func(c *Config) { c.Brokers = []string{"ftp://u:" + secret + "@h"} },
		"not a URL":        func(c *Config) { c.Brokers = []string{"tcp://u:" + secret + "@h:port"} },
		"no host":          func(c *Config) { c.Brokers = []string{"tcp://"} },
		"half a pair":      func(c *Config) { c.CertFile = noPEM },
		"missing CA file":  func(c *Config) { c.CAFile = noPEM + ".not" },
		"CA file is empty": func(c *Config) { c.CAFile = noPEM },
		"pair is no pair":  func(c *Config) { c.CertFile, c.KeyFile = noPEM, noPEM },
	}
	for name, spoil := range tests {
		cfg := good
		spoil(&cfg)
		_, err := New(cfg)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if c := classOf(err); !slices.Contains([]Class{ClassConfig, ClassBadCertificate}, c) {
			t.Errorf("%s: class %s", name, c)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the password is in the error", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Errorf("good settings: %v", err)
	}
}

// greeter says something to everybody who connects.
func greeter(t *testing.T, text string) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			_, _ = io.WriteString(conn, text)
			defer conn.Close()
		}
	}()
	return ln.Addr().String()
}
