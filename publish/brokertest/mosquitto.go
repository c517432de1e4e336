// Package brokertest provides a broker for tests: a real mosquitto on a random
// loopback port that can be killed and started again, a scripted fake with
// faults, a TCP proxy that behaves like a bad network, a subscriber that
// collects what arrives, and certificates.
//
// Promise: everything listens on loopback only and is gone when the test ends.
package brokertest

import (
	"bufio"
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// SkipEnv is the environment variable that turns a missing mosquitto from a
// failure into a skip.
const SkipEnv = "ROOMCALL_ALLOW_NO_MOSQUITTO"

// startPatience bounds one start or stop of mosquitto.
const startPatience = 20 * time.Second

// Conf describes a mosquitto. The zero value is an open broker that keeps
// nothing over a restart.
type Conf struct {
	// Users are names and passwords; none = anonymous access.
	Users map[string]string
	// ACL is the text of an access list file, "" = none.
	ACL string
	// CA turns the port to TLS with a certificate of this CA for 127.0.0.1 and
	// localhost; Cert replaces that certificate. ClientCerts demands one from
	// clients.
	CA          *CA
	Cert        *Pair
	ClientCerts bool
	// WebSocket speaks MQTT over websockets on the port.
	WebSocket bool
	// Persistence keeps sessions and retained messages over an orderly stop.
	Persistence bool
	// Quiet leaves out the line of log for each packet: they cost the broker more than
	// the packets.
	Quiet bool
	// Extra are further lines of mosquitto.conf.
	Extra []string
}

// Server is a real mosquitto process.
type Server struct {
	Port int
	Dir  string // its folder, with mosquitto.conf, acl and mosquitto.db
	conf Conf
	tb   testing.TB

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	log  logBuffer
}

// Mosquitto starts a mosquitto for the length of the test. Without mosquitto
// on this machine the test fails, unless SkipEnv is set.
func Mosquitto(tb testing.TB, conf Conf) *Server {
	tb.Helper()
	path := findMosquitto()
	if path == "" {
		if os.Getenv(SkipEnv) != "" {
			tb.Skip("mosquitto is not installed")
		}
		tb.Fatalf("mosquitto is not installed (apt-get install mosquitto); set %s=1 to skip", SkipEnv)
	}
	s := &Server{Dir: tb.TempDir(), conf: conf, tb: tb}
	tb.Cleanup(s.Kill)
	var err error
	for range 5 { // another process may take the port between choice and start
		s.Port = freePort(tb)
		s.writeFiles()
		if err = s.start(path); err == nil {
			return s
		}
	}
	tb.Fatalf("start mosquitto: %v\n%s", err, s.Log())
	return nil
}

func findMosquitto() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func freePort(tb testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen on loopback: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// URL is the broker URL of the port, with the scheme that conf makes.
func (s *Server) URL() string {
	scheme := "tcp"
	switch {
	case s.conf.WebSocket && s.conf.CA != nil:
		scheme = "wss"
	case s.conf.WebSocket:
		scheme = "ws"
	case s.conf.CA != nil:
		scheme = "tls"
	}
	return fmt.Sprintf("%s://%s", scheme, s.Addr())
}

// Addr is the port as host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// SetACL replaces the access list and lets the running broker read it.
func (s *Server) SetACL(text string) {
	s.tb.Helper()
	s.write("acl", text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			s.tb.Fatalf("reload mosquitto: %v", err)
		}
	}
}

// Start starts it again on the same port, after Stop or Kill. While it was down
// its port may have been taken for a moment, as the near end of somebody's
// connection, so it tries for some seconds.
func (s *Server) Start() {
	s.tb.Helper()
	var err error
	for end := time.Now().Add(startPatience); ; {
		if err = s.start(findMosquitto()); err == nil {
			return
		}
		if time.Now().After(end) {
			s.tb.Errorf("start mosquitto again: %v\n%s", err, s.Log())
			return
		}
		wait := time.NewTimer(100 * time.Millisecond)
		<-wait.C
	}
}

// Stop ends it in good order (SIGTERM); with Persistence it saves its state.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends it with SIGKILL: nothing is saved. It may be called at any time.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Wipe removes what a stopped broker kept.
func (s *Server) Wipe() { os.Remove(filepath.Join(s.Dir, "mosquitto.db")) }

// Log is what the broker wrote so far.
func (s *Server) Log() string { return s.log.String() }

// PID is its process, 0 while it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// CountLog is how often text occurs in the broker's log.
func (s *Server) CountLog(text string) int { return strings.Count(s.Log(), text) }

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig) // it may have ended already
	select {
	case <-done:
	case <-time.After(startPatience):
		_ = cmd.Process.Kill() // the same
		<-done
	}
}

func (s *Server) start(path string) error {
	cmd := exec.Command(path, "-c", filepath.Join(s.Dir, "mosquitto.conf"))
	if !s.conf.Quiet {
		cmd.Args = append(cmd.Args, "-v")
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	running, done := make(chan struct{}), make(chan struct{})
	go func() {
		s.follow(stderr, running)
		_ = cmd.Wait() // the exit code of a killed broker says nothing
		close(done)
	}()
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	select {
	case <-running:
		return nil
	case <-done:
		err = errors.New("it ended at once")
	case <-time.After(startPatience):
		err = errors.New("it does not get ready")
	}
	s.Kill()
	return err
}

// follow keeps the log and closes running at the line that says so.
func (s *Server) follow(r io.Reader, running chan struct{}) {
	lines := bufio.NewScanner(r)
	up := false
	for lines.Scan() {
		s.log.line(lines.Text())
		if !up && strings.HasSuffix(lines.Text(), " running") {
			up = true
			close(running)
		}
	}
}

func (s *Server) write(name, text string) string {
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.tb.Fatalf("write for mosquitto: %v", err)
	}
	return path
}

func (s *Server) writeFiles() {
	c := s.conf
	lines := []string{"log_dest stderr", fmt.Sprintf("listener %d 127.0.0.1", s.Port)}
	if os.Geteuid() == 0 {
		lines = append([]string{"user root"}, lines...)
	}
	if c.WebSocket {
		lines = append(lines, "protocol websockets")
	}
	if c.CA != nil {
		lines = append(lines, s.tlsLines()...)
	}
	if len(c.Users) > 0 {
		lines = append(lines, "allow_anonymous false", "password_file "+s.write("passwd", passwords(c.Users)))
	} else {
		lines = append(lines, "allow_anonymous true")
	}
	if c.ACL != "" {
		lines = append(lines, "acl_file "+s.write("acl", c.ACL))
	}
	if c.Persistence {
		lines = append(lines, "persistence true", "persistence_location "+s.Dir+"/")
	}
	lines = append(lines, c.Extra...)
	if c.WebSocket { // mosquitto 2.0.11 does not start with websocket listeners only
		lines = append(lines, fmt.Sprintf("listener %d 127.0.0.1", freePort(s.tb)))
	}
	s.write("mosquitto.conf", strings.Join(lines, "\n")+"\n")
}

func (s *Server) tlsLines() []string {
	pair := s.conf.Cert
	if pair == nil {
		p := s.conf.CA.Server(s.tb, "127.0.0.1", "localhost")
		pair = &p
	}
	lines := []string{"cafile " + s.conf.CA.File, "certfile " + pair.CertFile, "keyfile " + pair.KeyFile}
	if s.conf.ClientCerts {
		lines = append(lines, "require_certificate true")
	}
	return lines
}

// passwords makes a mosquitto 2 password file: PBKDF2 with SHA-512, see
// mosquitto_passwd(1).
func passwords(users map[string]string) string {
	const rounds = 101
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(users)) {
		salt := make([]byte, 12)
		_, _ = rand.Read(salt) // never fails, see crypto/rand
		hash, err := pbkdf2.Key(sha512.New, users[name], salt, rounds, sha512.Size)
		if err != nil {
			panic(err) // the parameters are constant
		}
		b64 := base64.StdEncoding.EncodeToString
		fmt.Fprintf(&out, "%s:$7$%d$%s$%s\n", name, rounds, b64(salt), b64(hash))
	}
	return out.String()
}

// logBuffer keeps lines; the newest 4 MiB are enough for any test.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) line(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 4<<20 {
		b.buf.Reset()
	}
	b.buf.WriteString(s + "\n")
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
