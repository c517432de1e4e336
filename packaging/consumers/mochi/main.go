// Command mochi is an MQTT broker in one file, for a site, a trial or a test, made of
// the library mochi-mqtt/server: sessions, their queues and retained messages are in a
// pebble store, an account may do what its role says.
//
// An account is a line of the file -accounts: NAME PASSWORD ROLE. An "agent" writes
// below roomcall/v1/NAME/ and reads there echo, health and states; its client id has to
// be its name. A "consumer" reads everything below roomcall/v1/ and writes nothing.
package main

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage/pebble"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

const prefix = "roomcall/v1/"

func main() {
	listen := flag.String("listen", "127.0.0.1:8883", "address of MQTT over TLS")
	cert := flag.String("cert", "broker.crt", "certificate, PEM")
	key := flag.String("key", "broker.key", "its key, PEM")
	accounts := flag.String("accounts", "accounts", "file with NAME PASSWORD ROLE on each line")
	store := flag.String("store", "broker.db", "folder of sessions, queues and retained messages")
	flag.Parse()
	if err := run(*listen, *cert, *key, *accounts, *store); err != nil {
		log.Fatal(err)
	}
}

func run(listen, cert, key, accounts, store string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	rights, err := readAccounts(accounts)
	if err != nil {
		return err
	}
	may := mqtt.NewDefaultServerCapabilities()
	may.MaximumInflight = math.MaxUint16 // messages that wait for one consumer; there is no more
	may.MaximumClientWritesPending = math.MaxUint16
	may.MaximumMessageExpiryInterval = 0 // the default drops messages after a day, retained ones too
	server := mqtt.New(&mqtt.Options{Capabilities: may, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err := server.AddHook(rights, nil); err != nil {
		return err
	}
	if err := server.AddHook(new(pebble.Hook), &pebble.Options{Path: store, Mode: pebble.NoSync}); err != nil {
		return err
	}
	if err := server.AddListener(listeners.NewTCP(listeners.Config{
		ID: "tls", Address: listen, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})); err != nil {
		return err
	}
	if err := server.Serve(); err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	return server.Close()
}

type account struct{ password, role string }

// rights is the hook that lets clients in.
type rights struct {
	mqtt.HookBase
	accounts map[string]account
}

func readAccounts(name string) (*rights, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &rights{accounts: map[string]account{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		part := strings.Fields(lines.Text())
		if len(part) == 0 || strings.HasPrefix(part[0], "#") {
			continue
		}
		if len(part) != 3 || part[2] != "agent" && part[2] != "consumer" {
			return nil, fmt.Errorf("%s: want NAME PASSWORD agent or NAME PASSWORD consumer", name)
		}
		r.accounts[part[0]] = account{part[1], part[2]}
	}
	return r, lines.Err()
}

func (r *rights) ID() string { return "rights" }

func (r *rights) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mqtt.OnConnectAuthenticate, mqtt.OnACLCheck}, b) >= 0
}

// appended is what `roomcall check`, `watch` and `forget` append to the client id, so that
// they disconnect nobody.
var appended = regexp.MustCompile(`^(-check|(-watch)?-[A-Z2-7]{8})?$`)

func (r *rights) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	name := string(cl.Properties.Username)
	a, ok := r.accounts[name]
	suffix, own := strings.CutPrefix(cl.ID, name)
	own = own && appended.MatchString(suffix)
	return ok && subtle.ConstantTimeCompare([]byte(a.password), pk.Connect.Password) == 1 && (a.role != "agent" || own)
}

func (r *rights) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	name := string(cl.Properties.Username)
	if r.accounts[name].role == "consumer" {
		if group, ok := strings.CutPrefix(topic, "$share/"); ok {
			_, topic, _ = strings.Cut(group, "/")
		}
		return !write && strings.HasPrefix(topic, prefix)
	}
	below, own := strings.CutPrefix(topic, prefix+name+"/")
	return own && (write || below == "echo" || below == "health" || strings.HasSuffix(below, "/state") && strings.Count(below, "/") == 1)
}
