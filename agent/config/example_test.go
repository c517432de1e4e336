package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// contractKeys are the keys that users were promised, by table.
var contractKeys = map[string]string{
	"[agent]": "client_id site data_dir http_listen http_allow_remote log_level log_format",
	"[[endpoint]]": "device room url username password password_file login poll_interval idle_interval timeout ca_file " +
		"server_name fingerprint insecure_skip_verify tls_min legacy_ciphers peer_names limits",
	"[mqtt]": "broker username password password_file ca_file cert_file key_file server_name insecure_skip_verify topic_prefix " +
		"confirm keepalive max_inflight reconnect_min reconnect_max replay_rate",
	"[buffer]":  "max_bytes max_age keep_delivered",
	"[publish]": "kinds views",
}

func TestKeysAreThosePromised(t *testing.T) {
	got := map[string][]string{}
	for _, s := range schema() {
		got[s.Table] = append(got[s.Table], s.Name)
	}
	for table, want := range contractKeys {
		if strings.Join(got[table], " ") != want {
			t.Errorf("%s has %v, want %s", table, got[table], want)
		}
	}
	if len(got) != len(contractKeys) {
		t.Errorf("tables: %v", got)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	tableLine = regexp.MustCompile(`^(?:# )?(\[\[?[a-z.-]+\]?\])$`)
	keyLine   = regexp.MustCompile(`^(# )?([a-z_]+) = (.+)$`)
)

func TestExampleShowsEveryKeyWithItsDefault(t *testing.T) {
	defaults := map[string]string{}
	for _, s := range schema() {
		defaults[s.Table+s.Name] = s.Value
	}
	required := map[string]bool{"[[endpoint]]device": true, "[[endpoint]]url": true, "[mqtt]broker": true}
	table, shown := "", map[string]bool{}
	for i, line := range strings.Split(readFile(t, "../../agent.toml"), "\n") {
		if m := tableLine.FindStringSubmatch(line); m != nil {
			table = m[1]
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(table, "[limits.") {
			continue
		}
		key := table + m[2]
		want, known := defaults[key]
		switch {
		case !known:
			t.Errorf("line %d: %s is no key", i+1, key)
		case required[key] != (m[1] == ""):
			t.Errorf("line %d: %s: only required keys are not commented out", i+1, key)
		case key == "[agent]client_id" || required[key]:
		case key == "[agent]data_dir":
			want = `"/var/lib/roomcall"`
			fallthrough
		default:
			if m[3] != want {
				t.Errorf("line %d: %s shows %s, the default is %s", i+1, key, m[3], want)
			}
		}
		shown[key] = true
	}
	for key := range defaults {
		if !shown[key] {
			t.Errorf("%s is not shown", key)
		}
	}
}

func TestExampleLoadsAsItIsAndWithEveryLineUncommented(t *testing.T) {
	text := readFile(t, "../../agent.toml")
	asIs, warnings := mustLoad(t, text, nil)
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		bare := strings.TrimPrefix(line, "# ")
		if tableLine.MatchString(bare) || keyLine.MatchString(bare) {
			line = bare
		}
		lines = append(lines, line)
	}
	full, _ := mustLoad(t, strings.Join(lines, "\n"), nil)
	if full.Agent.ClientID != "pc-berlin-3" || len(full.Limits) != 1 {
		t.Errorf("got %+v", full)
	}
	text = strings.Replace(text, "# client_id = \"pc-berlin-3\"", "client_id = \"host-example\"", 1)
	if same, _ := mustLoad(t, text, nil); same.Hash() != asIs.Hash() {
		t.Error("the defaults that are shown are not those in force")
	}
}

func TestGuideShowsEveryKeyWithItsDefault(t *testing.T) {
	guide := readFile(t, "../../docs/configure.md")
	_, keys, _ := strings.Cut(guide, "## All keys")
	table, rows := "", map[string]string{}
	heading := regexp.MustCompile("^### `(.+)`$")
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\| (.*?) \\|")
	for _, line := range strings.Split(keys, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			table = m[1]
		} else if m := row.FindStringSubmatch(line); m != nil {
			rows[table+m[1]] = m[2]
		}
	}
	for _, s := range schema() {
		want := "`" + s.Value + "`"
		switch s.Table + s.Name {
		case "[[endpoint]]device", "[[endpoint]]url", "[mqtt]broker":
			want = "required"
		case "[agent]client_id":
			want = "host name"
		case "[agent]data_dir":
			want = "`\"/var/lib/roomcall\"`"
		}
		got, ok := rows[s.Table+s.Name]
		if !ok || !strings.HasPrefix(got, want) {
			t.Errorf("%s %s: the guide has %q, want %s", s.Table, s.Name, got, want)
		}
		delete(rows, s.Table+s.Name)
	}
	for key := range rows {
		t.Errorf("the guide has %s, which is no key", key)
	}
	for _, key := range limitKeys() {
		if !strings.Contains(guide, key) && !strings.Contains(guide, strings.Replace(strings.Replace(key, "aux_", "audio_", 1), "video_", "audio_", 1)) {
			t.Errorf("the guide does not name %s", key)
		}
	}
}

func limitKeys() []string {
	s := &section{l: newLoader("", testOptions(nil))}
	s.limitsValues()
	return s.known
}

func TestGuideExamplesLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(readFile(t, "../../docs/configure.md"), -1)
	if len(blocks) < 10 {
		t.Fatalf("found %d examples", len(blocks))
	}
	for _, b := range blocks {
		text := b[1]
		if !strings.Contains(text, "[[endpoint]]") {
			text += "[[endpoint]]\ndevice = \"x\"\nurl = \"https://x\"\n"
		}
		if !strings.Contains(text, "[mqtt]") {
			text += "[mqtt]\nbroker = \"tls://b\"\n"
		}
		o := testOptions(nil)
		o.Elsewhere = true
		if _, _, err := Load(write(t, map[string]string{"agent.toml": text}), o); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestGuideRoomsRender(t *testing.T) {
	guide := readFile(t, "../../docs/configure.md")
	rooms := regexp.MustCompile("(?s)```csv\n(.*?)```").FindStringSubmatch(guide)
	template := regexp.MustCompile("(?s)```toml template\n(.*?)```").FindStringSubmatch(guide)
	_, done, err := render(t, rooms[1], template[1], RenderOptions{})
	if err != nil || len(done.Files) != 2 || len(done.Warnings) > 0 {
		t.Errorf("got %+v, err %v", done, err)
	}
}

// The two lines that the guide shows as an example of errors.
func TestGuideErrorsAreReal(t *testing.T) {
	text := strings.Repeat("\n", 5) + "[[endpoint]]\ndevice = \"room-1\"\nurl = \"https://h\"\npoll_interval = 5\n[mqtt]\nbroker = \"tls://b\"\nbrokr = 1\n"
	_, _, err := loadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || !strings.Contains(readFile(t, "../../docs/configure.md"), "```\n"+err.Error()+"\n```") {
		t.Errorf("the guide does not show:\n%v", err)
	}
}
