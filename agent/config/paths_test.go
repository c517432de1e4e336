package config

import (
	"strings"
	"testing"
)

func TestDefaultPathsPerSystem(t *testing.T) {
	env := func(set bool) func(string) (string, bool) {
		return func(string) (string, bool) { return `D:\PD\`, set }
	}
	cases := []struct{ got, want string }{
		{defaultPath("linux", env(true)), "/etc/roomcall/agent.toml"},
		{defaultPath("windows", env(true)), `D:\PD\roomcall\agent.toml`},
		{defaultPath("windows", env(false)), `C:\ProgramData\roomcall\agent.toml`},
		{defaultDataDir("linux", env(true)), "/var/lib/roomcall"},
		{defaultDataDir("windows", env(true)), `D:\PD\roomcall\data`},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestConfigPathIsFlagThenVariableThenDefault(t *testing.T) {
	env := func(v string) func(string) string {
		return func(name string) string {
			if name != EnvConfig {
				t.Errorf("asked for %s", name)
			}
			return v
		}
	}
	for _, c := range []struct{ got, want string }{
		{ResolvePath("flag.toml", env("env.toml")), "flag.toml"},
		{ResolvePath("", env("env.toml")), "env.toml"},
		{ResolvePath("", env("")), DefaultPath()},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestRelativePathsCountFromTheConfigFolder(t *testing.T) {
	cases := []struct{ goos, dir, path, want string }{
		{"linux", "/etc/roomcall", "ca.pem", "/etc/roomcall/ca.pem"},
		{"linux", "/etc/roomcall", "/x/ca.pem", "/x/ca.pem"},
		{"windows", `C:\PD`, `sub/ca.pem`, `C:\PD\sub\ca.pem`},
		{"windows", `C:\PD\`, `ca.pem`, `C:\PD\ca.pem`},
		{"windows", `C:\PD`, `D:\ca.pem`, `D:\ca.pem`},
		{"windows", `C:\PD`, `D:/ca.pem`, `D:/ca.pem`},
		{"windows", `C:\PD`, `\\server\share\ca.pem`, `\\server\share\ca.pem`},
		{"windows", `C:\PD`, `/ca.pem`, `/ca.pem`},
	}
	for _, c := range cases {
		got := strings.ReplaceAll(joinPath(c.goos, c.dir, c.path), "/", `\`)
		if got != strings.ReplaceAll(c.want, "/", `\`) {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestWindowsConfigOnWindows(t *testing.T) {
	o := testOptions(map[string]string{"ProgramData": `C:\ProgramData`})
	o.GOOS = "windows"
	text := "[agent]\ndata_dir = '${ProgramData}\\roomcall\\data'\n" + minimal
	c, _, err := Load(write(t, map[string]string{"agent.toml": text}), o)
	if err != nil || c.Agent.DataDir != `C:\ProgramData\roomcall\data` {
		t.Errorf("got %v, err %v", c, err)
	}
}
