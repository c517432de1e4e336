// Command users makes the passwords of a fleet's NATS and the files that roomcall.conf
// and cluster.conf include. It reads client ids, one a line, from stdin:
//
//	users /etc/nats nats-1 nats-2 nats-3 <clients.txt
//
// The names are those of the nodes of cluster.conf; a single node needs none.
// A password is made once and kept in FOLDER/passwords/NAME; whoever runs the agent or
// the consumer NAME needs that file, and nobody else. Run it again after each change of
// the list, then `nats-server --signal reload`.
package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// reserved are the users that are not agents.
const (
	admin    = "admin"    // sets up, looks after the streams: cluster.sh
	postgres = "postgres" // the consumer in this folder
	reader   = "reader"   // reads everything over MQTT: `roomcall watch`, alerts
	system   = "system"   // removes nodes: cluster.sh
	cluster  = "cluster"  // the nodes among themselves
)

var clientID = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: users FOLDER [NODE[:PORT]]... <CLIENT_IDS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(1)
	}
}

func run(dir string, nodes []string, list io.Reader) error {
	passwords := filepath.Join(dir, "passwords")
	if err := os.MkdirAll(passwords, 0o700); err != nil {
		return err
	}
	var users strings.Builder
	users.WriteString("users: [\n")
	user := func(name, rights string) error {
		password, err := keep(filepath.Join(passwords, name))
		if err != nil {
			return err
		}
		// The password is random: a slow hash would protect nothing and make a fleet
		// that comes back wait for it.
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		fmt.Fprintf(&users, "  { user: %q, password: %q%s }\n", name, hash, rights)
		return err
	}
	if err := user(admin, ""); err != nil {
		return err
	}
	if err := user(postgres, consumerRights); err != nil {
		return err
	}
	if err := user(reader, readerRights); err != nil {
		return err
	}
	seen := map[string]bool{admin: true, postgres: true, reader: true, system: true, cluster: true}
	for lines := bufio.NewScanner(list); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return err
			}
			break
		}
		id := strings.TrimSpace(lines.Text())
		switch {
		case id == "":
			continue
		case !clientID.MatchString(id):
			return fmt.Errorf("%q is no client_id: a-z, 0-9 and -, at most 63", id)
		case seen[id]:
			return fmt.Errorf("%q is there twice, or is not for agents", id)
		}
		seen[id] = true
		if err := user(id, agentRights(id)); err != nil {
			return err
		}
	}
	users.WriteString("]\n")
	system, err := keep(filepath.Join(passwords, system))
	if err != nil {
		return err
	}
	cluster, err := keep(filepath.Join(passwords, cluster))
	if err != nil {
		return err
	}
	var routes []string
	for _, node := range nodes {
		if !strings.Contains(node, ":") {
			node += ":6222"
		}
		routes = append(routes, fmt.Sprintf("%q", "nats://cluster:"+cluster+"@"+node))
	}
	files := map[string]string{
		"users.conf":  users.String(),
		"system.conf": fmt.Sprintf("users: [ { user: \"system\", password: %q } ]\n", system),
		"routes.conf": fmt.Sprintf("authorization { user: \"cluster\", password: %q }\nroutes: [ %s ]\n", cluster, strings.Join(routes, ", ")),
	}
	for name, text := range files {
		if err := write(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// agentRights lets an agent write below its own client id, and read back there what it
// needs to prove delivery and to notice a store that is older than what was published.
// Only over MQTT: $MQTT.sub is where the server delivers a subscription of QoS 1, which
// confirm = "echo" makes, and an MQTT client cannot ask for it by name.
// The echo is that of every agent: NATS drops in silence what is denied, so an agent with
// the account of another one notices it only if it may read the echo that does not come.
func agentRights(id string) string {
	own := "roomcall.v1." + id + "."
	return fmt.Sprintf(`, allowed_connection_types: ["MQTT"], permissions: { publish: [%q], subscribe: [%q, %q, %q, "$MQTT.sub.>"] }`,
		own+">", "roomcall.v1.*.echo", own+"health", own+"*.state")
}

// readerRights lets a person or a program read the fleet over MQTT, also with a session,
// and write nothing.
const readerRights = `, allowed_connection_types: ["MQTT"], permissions: { publish: { deny: ">" }, subscribe: ["roomcall.v1.>", "$MQTT.sub.>"] }`

// consumerRights lets the consumer read the two streams by its own durable consumers,
// which admin has made, and acknowledge. It can write, change and delete nothing.
var consumerRights = func() string {
	var publish []string
	for _, stream := range []string{"$MQTT_msgs", "$MQTT_rmsgs"} {
		for _, subject := range []string{"$JS.API.CONSUMER.INFO.", "$JS.API.CONSUMER.MSG.NEXT."} {
			publish = append(publish, fmt.Sprintf("%q", subject+stream+".postgres"))
		}
		publish = append(publish, fmt.Sprintf("%q", "$JS.ACK."+stream+".postgres.>"))
	}
	return `, permissions: { publish: [` + strings.Join(publish, ", ") + `], subscribe: ["_INBOX.postgres.>"] }`
}()

// keep returns the password in the file, and makes it if there is none.
func keep(path string) (string, error) {
	old, err := os.ReadFile(path)
	password := strings.TrimSpace(string(old))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		password = rand.Text()
		return password, write(path, password+"\n")
	case err == nil && password == "":
		return "", fmt.Errorf("%s is empty: remove it, and a new password is made", path)
	}
	return password, err
}

// write replaces the file whole, so that a server that reads it never finds a part.
func write(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
