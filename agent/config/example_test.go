package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// contractKeys are the keys that users were promised, by table.
var contractKeys = map[string]string{
	"[agent]": "client_id site data_dir http_listen http_allow_remote log_level log_format language",
	"[[endpoint]]": "device room url username password password_file login poll_interval idle_interval timeout ca_file " +
		"server_name fingerprint insecure_skip_verify tls_min legacy_ciphers peer_names limits",
	"[mqtt]": "broker username password password_file ca_file cert_file key_file server_name insecure_skip_verify topic_prefix " +
		"confirm keepalive max_inflight reconnect_min reconnect_max replay_rate",
	"[buffer]":  "max_bytes max_age commit_interval keep_delivered",
	"[publish]": "kinds views state_interval view_timezone",
}

func TestKeysAreThosePromised(t *testing.T) {
	for _, s := range sections {
		if want, ok := contractKeys[s.header]; ok && strings.Join(s.names(), " ") != want {
			t.Errorf("%s has %v, want %s", s.header, s.names(), want)
		}
	}
	if len(sections) != len(contractKeys)+1 { // and [limits.NAME]
		t.Errorf("%d tables", len(sections))
	}
}

// Every key has a field of its type, and every field a key: else a value would
// be checked and then be lost.
func TestEveryKeyHasItsFieldAndEveryFieldItsKey(t *testing.T) {
	tables := map[string]any{"agent": Agent{}, "endpoint": Endpoint{}, "mqtt": MQTT{}, "buffer": Buffer{}, "publish": Publish{}}
	l := newLoader("agent.toml", testOptions(nil))
	for _, s := range sections {
		if s.name == "limits" {
			continue
		}
		fields := map[string]reflect.Type{}
		typ := reflect.TypeOf(tables[s.name])
		for i := range typ.NumField() {
			fields[typ.Field(i).Tag.Get("toml")] = typ.Field(i).Type
		}
		for _, k := range s.keys {
			def := k.def
			if f, ok := def.(func(*loader) any); ok {
				def = f(l)
			}
			if _, ok := def.(presence); !ok && fields[k.name] != reflect.TypeOf(def) {
				t.Errorf("%s %s: the field is %v, the default %T", s.header, k.name, fields[k.name], def)
			}
			if fields[k.name] == nil {
				t.Errorf("%s %s has no field", s.header, k.name)
			}
			delete(fields, k.name)
		}
		if len(fields) > 0 {
			t.Errorf("%s: fields without a key: %v", s.header, fields)
		}
	}
}

// A key that is read and then used nowhere would be a promise that nobody keeps. The
// code that has to do with the config is searched for its name.
func TestEveryKeyIsUsed(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			if text := readFile(t, path); strings.Contains(text, `"roomcall/agent/config"`) {
				code.WriteString(text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []any{Agent{}, Endpoint{}, MQTT{}, Buffer{}, Publish{}} {
		typ := reflect.TypeOf(table)
		for i := range typ.NumField() {
			if name := typ.Field(i).Name; !regexp.MustCompile(`\.` + name + `\b`).MatchString(code.String()) {
				t.Errorf("nothing uses %s.%s", typ.Name(), name)
			}
		}
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

// The commented example and the guide's tables come from the table of keys.
func TestGeneratedFilesAreFresh(t *testing.T) {
	checkGolden(t, "../../agent.toml", exampleTOML())
	guide := readFile(t, "../../docs/configure.md")
	const heading = "## All keys\n"
	before, _, ok := strings.Cut(guide, heading)
	if !ok {
		t.Fatal("the guide has no heading for the keys")
	}
	checkGolden(t, "../../docs/configure.md", before+heading+keyTables())
}

const exampleHead = `# roomcall: the agent's configuration.
# roomcall config format 1
#
# A line "# key = value" shows the default; remove the "# " to change it.
# Anything wrong in this file is reported with its line and nothing is started:
# try ` + "`roomcall check --offline`" + `. docs/configure.md explains how to do what.
#
# Durations: "300ms", "5s", "2m", "720h".  Sizes: "256MiB", "1GiB".
# ${NAME} in a text is an environment variable; $${ is ${ itself.
# Relative file names count from the folder of this file.
`

const exampleLimits = `
# A profile of your own: name it in an endpoint's ` + "`limits`" + `. It begins with the
# limits of base; without base only what is named here is graded. An incident
# opens when "enter" of the last "of" samples are poor, and closes after "leave"
# good ones in a row. docs/configure.md lists every key.
# [limits.my-limits]
# base = "huawei"
# audio_loss_pct_fair = 2
# audio_loss_pct_poor = 5
# video_delay_ms_poor = 200
# video_fps_poor = 10
# enter = 3
# of = 4
# leave = 3
`

// exampleTOML is agent.toml.
func exampleTOML() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	comment := func(text string) {
		line := "#"
		for _, word := range strings.Fields(text) {
			if len(line)+1+len(word) > 79 {
				fmt.Fprintln(&b, line)
				line = "#"
			}
			line += " " + word
		}
		fmt.Fprintln(&b, line)
	}
	for _, s := range sections {
		if s.name == "limits" {
			break
		}
		b.WriteByte('\n')
		if s.doc != "" {
			comment(s.doc)
		}
		fmt.Fprintln(&b, s.header)
		for i, k := range s.keys {
			if i > 0 {
				b.WriteByte('\n')
			}
			comment(k.doc)
			if form := k.kind.form; form != inQuotes && form != boolean.form && !k.kind.isFile {
				comment("Allowed: " + form + ".")
			}
			value := k.example
			if value == "" {
				value = tomlValue(k.def)
			}
			if k.def != required {
				b.WriteString("# ")
			}
			fmt.Fprintf(&b, "%s = %s\n", k.name, value)
		}
	}
	return b.String() + exampleLimits
}

var urlForm = regexp.MustCompile(`[a-z]+://[^ ,]+`)

// keyTables is the end of docs/configure.md.
func keyTables() string {
	var b strings.Builder
	b.WriteString("\n<!-- `go generate ./agent/config` writes what follows from the table in agent/config/keys.go. -->\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### `%s`\n\n", s.header)
		if s.doc != "" {
			fmt.Fprintf(&b, "%s\n\n", s.doc)
		}
		b.WriteString("| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n")
		alike := map[string]string{} // many limits differ in their name alone
		for _, k := range s.keys {
			alike[k.kind.form+k.doc] += "`, `" + k.name
		}
		for _, k := range s.keys {
			def := k.shown
			if p, ok := k.def.(presence); ok && p == required {
				def = "required"
			} else if !ok && def == "" {
				def = "`" + tomlValue(k.def) + "`"
			}
			names := strings.TrimPrefix(alike[k.kind.form+k.doc], "`, `")
			if strings.HasPrefix(names, k.name) {
				form := urlForm.ReplaceAllString(k.kind.form, "`$0`")
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", names, def, form, k.doc)
			}
		}
	}
	return b.String()
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
	_, _, err := LoadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || !strings.Contains(readFile(t, "../../docs/configure.md"), "```\n"+err.Error()+"\n```") {
		t.Errorf("the guide does not show:\n%v", err)
	}
}
