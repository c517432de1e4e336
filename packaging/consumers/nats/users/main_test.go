package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"
)

// TestRights reads the shipped configs and what this command makes as the server does.
func TestRights(t *testing.T) {
	dir := t.TempDir()
	shipped, err := filepath.Glob("../*.conf")
	if err != nil || len(shipped) != 3 {
		t.Fatal(shipped, err)
	}
	for _, path := range shipped {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("NODE", "nats-1")
	if err := run(dir, []string{"nats-1", "nats-2:7222"}, strings.NewReader("room-a\n\n room-b \n")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"single.conf", "cluster.conf"} {
		o, err := server.ProcessConfigFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(name, err)
		}
		users := map[string]*server.User{}
		for _, u := range o.Users {
			users[u.Username] = u
		}
		if len(users) != 6 { // admin, postgres, reader, system and the two
			t.Errorf("%s: users %v", name, users)
		}
		agent := users["room-a"]
		if got := agent.Permissions.Publish.Allow; !slices.Equal(got, []string{"roomcall.v1.room-a.>"}) {
			t.Errorf("%s: an agent may publish %q", name, got)
		}
		want := []string{"roomcall.v1.*.echo", "roomcall.v1.room-a.health", "roomcall.v1.room-a.*.state", "$MQTT.sub.>"}
		if got := agent.Permissions.Subscribe.Allow; !slices.Equal(got, want) {
			t.Errorf("%s: an agent may subscribe to %q, want %q", name, got, want)
		}
		if _, ok := agent.AllowedConnectionTypes["MQTT"]; !ok || len(agent.AllowedConnectionTypes) != 1 {
			t.Errorf("%s: an agent may connect by %v", name, agent.AllowedConnectionTypes)
		}
		rights := users["reader"].Permissions
		if rights.Publish == nil || !slices.Equal(rights.Publish.Deny, []string{">"}) || len(rights.Publish.Allow) > 0 || !slices.Equal(rights.Subscribe.Allow, []string{"roomcall.v1.>", "$MQTT.sub.>"}) {
			t.Errorf("%s: a reader may publish %v, subscribe to %v", name, rights.Publish, rights.Subscribe)
		}
		for _, subject := range users["postgres"].Permissions.Publish.Allow {
			if !strings.HasPrefix(subject, "$JS.ACK.") && !strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO.") && !strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT.") {
				t.Errorf("%s: the consumer may publish %s", name, subject)
			}
		}
		password, err := os.ReadFile(filepath.Join(dir, "passwords", "room-b"))
		if err != nil {
			t.Fatal(err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(users["room-b"].Password), []byte(strings.TrimSpace(string(password)))); err != nil {
			t.Errorf("%s: the password of room-b: %v", name, err)
		}
		if name == "cluster.conf" {
			if len(o.Routes) != 2 || o.Routes[0].Host != "nats-1:6222" || o.Routes[1].Host != "nats-2:7222" {
				t.Errorf("routes %v", o.Routes)
			}
			if !o.SyncAlways {
				t.Error("a PUBACK does not wait for the disk")
			}
		}
	}
}

// TestPasswordsStay: an agent that is on the list keeps its password when others come.
func TestPasswordsStay(t *testing.T) {
	dir := t.TempDir()
	var last map[string]string
	for _, list := range []string{"room-a", "room-b\nroom-a"} {
		if err := run(dir, nil, strings.NewReader(list)); err != nil {
			t.Fatal(err)
		}
		now := map[string]string{}
		files, err := filepath.Glob(filepath.Join(dir, "passwords", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			password, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			now[filepath.Base(file)] = string(password)
		}
		for name, password := range last {
			if now[name] != password {
				t.Errorf("%s has another password", name)
			}
		}
		last = now
	}
	if len(last) != 7 {
		t.Errorf("passwords of %d users, want 7", len(last))
	}
}

// TestBadList: an error names what is wrong, and the old list stays.
func TestBadList(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, nil, strings.NewReader("room-a")); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "users.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"Room A", "room-a\nroom-a", "admin", "postgres", "reader", "system", "cluster", "a.b", "a/b", `x" }`, strings.Repeat("a", 64)} {
		err := run(dir, nil, strings.NewReader(list))
		if err == nil {
			t.Errorf("%q is accepted", list)
			continue
		}
		if name := strings.Split(list, "\n")[0]; !strings.Contains(err.Error(), strings.Trim(name, `" }`)) {
			t.Errorf("%q: %v", list, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "passwords", "room-a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, nil, strings.NewReader("room-a")); err == nil {
		t.Error("an empty password is accepted")
	}
	if now, _ := os.ReadFile(filepath.Join(dir, "users.conf")); string(now) != string(old) {
		t.Error("a bad list replaced the old one")
	}
}
