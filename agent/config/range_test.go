package config

import (
	"fmt"
	"strings"
	"testing"
)

// Every range holds at both ends, and so does every form of a text: the last good
// value loads, the first bad one is an error that names what is allowed.
func TestEveryRangeHoldsAtItsEnds(t *testing.T) {
	q := quoteTOML
	cases := []struct {
		table, key string
		good, bad  []string
	}{
		{"[agent]", "client_id", []string{q("a"), q("a-1"), q(strings.Repeat("a", 63))}, []string{q(""), q("A"), q("a_b"), q(strings.Repeat("a", 64))}},
		{"[agent]", "site", []string{q(""), q(strings.Repeat("ü", 200))}, []string{q(strings.Repeat("ü", 201)), q("a\tb")}},
		{"[agent]", "http_listen", []string{q("127.0.0.1:0"), q("[::1]:65535"), q("localhost:80")}, []string{q("127.0.0.1:65536"), q("127.0.0.1:-1"), q("127.0.0.1"), q("127.0.0.1:http")}},
		{"[[endpoint]]", "username", []string{q(strings.Repeat("u", 1024))}, []string{q(strings.Repeat("u", 1025)), q("a\nb")}},
		{"[[endpoint]]", "server_name", []string{q("a.example"), q("192.0.2.1"), q("2001:db8::1")}, []string{q("https://a"), q("a/b"), q("a b"), q("u@a"), q(strings.Repeat("a", 254))}},
		{"[mqtt]", "topic_prefix", []string{q("a"), q("a/b"), q(strings.Repeat("a", 128))},
			[]string{q(""), q("/a"), q("a/"), q("a//b"), q("$SYS/a"), q("a/+"), q("a/#"), q("a\x01"), q(strings.Repeat("a", 129))}},
		{"[[endpoint]]", "poll_interval", []string{`"100ms"`, `"1h"`}, []string{`"99ms"`, `"1h1ms"`, `"0s"`}},
		{"[[endpoint]]", "idle_interval", []string{`"100ms"`, `"1h"`}, []string{`"99ms"`, `"1h1ms"`}},
		{"[[endpoint]]", "timeout", []string{`"100ms"`, `"5m"`}, []string{`"99ms"`, `"5m1ms"`}},
		{"[mqtt]", "keepalive", []string{`"1s"`, `"1h"`}, []string{`"999ms"`, `"1h1s"`, `"0s"`}},
		{"[mqtt]", "max_inflight", []string{"1", "10000"}, []string{"0", "10001", "-1"}},
		{"[mqtt]", "reconnect_min", []string{`"100ms"`, `"2m"`}, []string{`"99ms"`, `"1h1s"`}},
		{"[mqtt]", "reconnect_max", []string{`"1s"`, `"24h"`}, []string{`"99ms"`, `"24h1s"`}},
		{"[mqtt]", "replay_rate", []string{"0", "1000000"}, []string{"-1", "1000001"}},
		{"[buffer]", "max_bytes", []string{`"1MiB"`, `"1TiB"`, "1048576"}, []string{"1048575", "1099511627777", `"1025GiB"`, `"16777217TiB"`}},
		{"[buffer]", "max_age", []string{`"0s"`, `"1s"`, `"87600h"`}, []string{`"999ms"`, `"87601h"`, `"-1s"`}},
		{"[buffer]", "commit_interval", []string{`"0s"`, `"1s"`, `"5m"`}, []string{`"999ms"`, `"5m1s"`, `"-1s"`}},
		{"[publish]", "state_interval", []string{`"0s"`, `"1s"`, `"1h"`}, []string{`"999ms"`, `"61m"`}},
		{"[buffer]", "keep_delivered", []string{`"0s"`, `"1s"`, `"87600h"`}, []string{`"999ms"`, `"87601h"`}},
		{"[limits.mine]", "audio_loss_pct_poor", []string{"0", "100", "0.5"}, []string{"-0.1", "100.1", "nan", "inf"}},
		{"[limits.mine]", "video_delay_ms_poor", []string{"0", "60000"}, []string{"-1", "60001"}},
		{"[limits.mine]", "aux_jitter_ms_fair", []string{"0", "60000"}, []string{"-1", "60001"}},
		{"[limits.mine]", "video_fps_fair", []string{"0", "1000"}, []string{"-1", "1001"}},
		{"[limits.mine]", "enter", []string{"1", "16"}, []string{"0", "17", "1.5"}},
		{"[limits.mine]", "of", []string{"1", "16"}, []string{"0", "17"}},
		{"[limits.mine]", "leave", []string{"1", "16"}, []string{"0", "17"}},
	}
	ranged := map[string]bool{}
	for _, c := range cases {
		ranged[c.key] = true
		load := func(value string) error {
			line := c.key + " = " + value + "\n"
			text := minimal + c.table + "\n" + line
			if strings.Contains(minimal, c.table) {
				text = strings.Replace(minimal, c.table+"\n", c.table+"\n"+line, 1)
			}
			_, _, err := LoadText("agent.toml", []byte(text), testOptions(nil))
			return err
		}
		for _, v := range c.good {
			if err := load(v); err != nil {
				t.Errorf("%s %s = %s: %v", c.table, c.key, v, err)
			}
		}
		for _, v := range c.bad {
			if err := load(v); err == nil || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), ": found ") || !strings.Contains(err.Error(), "allowed: ") {
				t.Errorf("%s %s = %s: got %v", c.table, c.key, v, err)
			}
		}
	}
	for _, s := range sections {
		for _, k := range s.keys {
			if strings.Contains(k.kind.form, " from ") && s.name != "limits" && !ranged[k.name] {
				t.Errorf("%s %s has a range that this test does not try", s.header, k.name)
			}
		}
	}
}

func TestMaxBytesHasRoomForEveryEndpoint(t *testing.T) {
	config := func(endpoints int, size string) string {
		text := "[mqtt]\nbroker = \"tcp://127.0.0.1\"\n[buffer]\nmax_bytes = \"" + size + "\"\n"
		for i := range endpoints {
			text += fmt.Sprintf("[[endpoint]]\ndevice = \"room-%d\"\nurl = \"https://192.0.2.%d/%d\"\n", i, i%250, i)
		}
		return text
	}
	for _, c := range []struct {
		endpoints int
		size      string
		want      string
	}{
		{16, "1MiB", ""},
		{17, "1MiB", "at least 1088KiB for 17 endpoints, 64KiB for each"},
		{150, "1MiB", "at least 9600KiB for 150 endpoints"},
		{150, "9600KiB", ""},
		{1000, "256MiB", ""},
	} {
		_, _, err := Load(write(t, map[string]string{"agent.toml": config(c.endpoints, c.size)}), testOptions(nil))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%d endpoints with %s: %v", c.endpoints, c.size, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "agent.toml:4")):
			t.Errorf("%d endpoints with %s: %v, want %q", c.endpoints, c.size, err, c.want)
		}
	}
}
