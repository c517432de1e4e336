package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const roomTemplate = `# one room
[agent]
client_id = "pc-{{id}}"
site = "{{ site }}"

[[endpoint]]
device = "{{id}}"
room = 'Room {{name}}'  # in its own words
url = "https://{{addr}}"
username = "api"
password_file = "${CREDENTIALS_DIRECTORY}/endpoint"
poll_interval = "{{poll}}"

[mqtt]
broker = ["tls://{{site}}.broker.example", "tls://central.example"]
`

// render runs Render over texts and gives the out folder.
func render(t *testing.T, rooms, template string, opts RenderOptions) (string, Rendered, error) {
	t.Helper()
	dir := filepath.Dir(write(t, map[string]string{"rooms.csv": rooms, "agent.toml": template}))
	out := filepath.Join(dir, "out")
	done, err := Render(filepath.Join(dir, "rooms.csv"), filepath.Join(dir, "agent.toml"), out, opts)
	return out, done, err
}

func TestRenderWritesOneConfigPerRoom(t *testing.T) {
	rooms := "\xef\xbb\xbfid,name,addr,site,poll\r\n" +
		"room-1,\"会议室 \"\"A\"\"\",192.0.2.1,berlin,2s\r\n" +
		",,,,\r\n" +
		"room-2,C:\\x ${y},192.0.2.2,paris,\r\n"
	out, done, err := render(t, rooms, roomTemplate, RenderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(out, "pc-room-1", "agent.toml"), filepath.Join(out, "pc-room-2", "agent.toml")}
	if diff := cmp.Diff(want, done.Files); diff != "" || len(done.Warnings) > 0 {
		t.Error(diff, done.Warnings)
	}
	text, err := os.ReadFile(want[0])
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/rendered.toml", string(text))
	text, err = os.ReadFile(want[1])
	if err != nil || !strings.Contains(string(text), "$${y}") {
		t.Errorf("a cell is no place for variables: %s, err %v", text, err)
	}
	c, _, err := Load(want[1], elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Endpoints[0]
	if e.Room != `Room C:\x ${y}` || e.PollInterval != 5e9 || e.URL != "https://192.0.2.2" {
		t.Errorf("got %+v", e)
	}
}

func TestRenderedFilesAreReadableOrPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes")
	}
	template := strings.Replace(roomTemplate, "password_file = \"${CREDENTIALS_DIRECTORY}/endpoint\"", "password = \"{{pw}}\"", 1)
	rooms := "id,name,addr,site,poll,pw\nroom-1,n,h,s,2s,hunter2\n"
	for _, c := range []struct {
		rooms, template string
		opts            RenderOptions
		want            os.FileMode
	}{
		{strings.ReplaceAll(strings.Replace(rooms, ",hunter2", "", 1), ",pw", ""), roomTemplate, RenderOptions{}, 0o644},
		{rooms, template, RenderOptions{AllowSecrets: true}, 0o600},
	} {
		_, done, err := render(t, c.rooms, c.template, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(done.Files[0])
		if err != nil || info.Mode().Perm() != c.want {
			t.Errorf("mode %v, err %v", info.Mode(), err)
		}
	}
}

func TestRenderErrorsNameTheRowAndWriteNothing(t *testing.T) {
	head := "id,name,addr,site,poll\n"
	good := "room-1,n,192.0.2.1,berlin,2s\n"
	literal := strings.Replace(roomTemplate, "password_file = \"${CREDENTIALS_DIRECTORY}/endpoint\"", "password = \"hunter2\"", 1)
	cases := map[string]struct{ rooms, template, want string }{
		"bad values":         {head + good + "Room 2,n,h h,berlin,fast\nroom-3,n,u:pw@h,berlin,2s\n", roomTemplate, "rooms.csv:3: agent.toml:3: [agent] client_id: found \"pc-Room 2\""},
		"all at once":        {head + good + "Room 2,n,h h,berlin,fast\nroom-3,n,u:pw@h,berlin,2s\n", roomTemplate, "rooms.csv:4: agent.toml:9: endpoint[1].url (room-3): a user name"},
		"two rooms, one id":  {head + good + good, roomTemplate, "rooms.csv:3: client_id \"pc-room-1\" is in line 2 already"},
		"required cell":      {head + ",n,h,berlin,2s\n", strings.Replace(roomTemplate, "pc-{{id}}", "pc", 1), "endpoint[1].device: missing; it is required"},
		"no client_id":       {head + good, strings.Replace(roomTemplate, "client_id = \"pc-{{id}}\"", "", 1), "missing; it names the room's folder"},
		"client_id from env": {head + good, strings.Replace(roomTemplate, "pc-{{id}}", "${X}", 1), "the folder needs a name that is known now"},
		"unknown column":     {strings.ReplaceAll(head, "name", "label") + good, roomTemplate, "agent.toml:8: {{name}} is not a column"},
		"column typo":        {strings.ReplaceAll(head, "name", "nmae") + good, roomTemplate, `did you mean "nmae"?`},
		"broken placeholder": {head + good, strings.Replace(roomTemplate, "{{name}}", "{{name", 1), "agent.toml:8: {{ begins a placeholder"},
		"broken template":    {head + good, roomTemplate + "x = {{name}}\n", "agent.toml:16: syntax error"},
		"secret column":      {strings.Replace(head, "poll", "Passwort", 1) + good, strings.Replace(roomTemplate, "{{poll}}", "{{Passwort}}", 1), `column "Passwort" looks like a secret`},
		"inlined password":   {head + good, literal, "agent.toml:11: a password would be in every file"},
		"empty CSV":          {"", roomTemplate, "rooms.csv: the file is empty"},
		"header only":        {head, roomTemplate, "no room below the header line"},
		"short row":          {head + "a,b\n", roomTemplate, "rooms.csv:2: read rooms: wrong number of fields"},
		"bad quote":          {head + "a,\"b\n", roomTemplate, "rooms.csv:2: read rooms:"},
		"bad column":         {"id,my name,addr,site,poll\n" + good, roomTemplate, `rooms.csv:1: column name; found "my name"`},
		"column twice":       {"id,id,addr,site,poll\n" + good, roomTemplate, `column "id" is there twice`},
		"Latin-1":            {head + "r,K\xf6ln,h,s,2s\n", roomTemplate, `CSV UTF-8`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, done, err := render(t, c.rooms, c.template, RenderOptions{})
			if err == nil {
				t.Fatalf("rendered %v", done)
			}
			dir := filepath.Dir(out)
			text := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
			if !strings.Contains(text, c.want) || strings.Contains(text, "hunter2") {
				t.Errorf("got:\n%s\nwant: %s", text, c.want)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
}

func TestRenderReplacesAndTellsOfStaleRoomsAndUnusedColumns(t *testing.T) {
	dir := filepath.Dir(write(t, map[string]string{
		"rooms.csv":                "id;name;addr;site;poll;note\nroom-1;n;h;s;2s;x\n",
		"t.toml":                   roomTemplate,
		"out/pc-old/agent.toml":    "old",
		"out/pc-room-1/agent.toml": "old",
	}))
	done, err := Render(filepath.Join(dir, "rooms.csv"), filepath.Join(dir, "t.toml"), filepath.Join(dir, "out"), RenderOptions{})
	if err != nil || len(done.Warnings) != 2 {
		t.Fatalf("warnings %v, err %v", done.Warnings, err)
	}
	if s := done.Warnings[0].String() + done.Warnings[1].String(); !strings.Contains(s, `column "note"`) || !strings.Contains(s, "pc-old") {
		t.Error(s)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "out", "pc-room-1", "*"))
	hiddenLeft, _ := filepath.Glob(filepath.Join(dir, "out", "pc-room-1", ".*"))
	if len(left) != 1 || len(hiddenLeft) != 0 {
		t.Errorf("files %v %v", left, hiddenLeft)
	}
	text, _ := os.ReadFile(left[0])
	if !strings.Contains(string(text), "pc-room-1") {
		t.Errorf("not replaced: %s", text)
	}
}

func TestRenderThatCannotWriteSaysWhere(t *testing.T) {
	dir := filepath.Dir(write(t, map[string]string{"rooms.csv": "id,name,addr,site,poll\nroom-1,n,h,s,2s\n", "t.toml": roomTemplate, "out": "a file"}))
	_, err := Render(filepath.Join(dir, "rooms.csv"), filepath.Join(dir, "t.toml"), filepath.Join(dir, "out"), RenderOptions{})
	var problems Errors
	if err == nil || errors.As(err, &problems) || !strings.Contains(err.Error(), "write ") {
		t.Errorf("got %v", err)
	}
}

func TestRenderBoundsItsErrors(t *testing.T) {
	rooms := "id,name,addr,site,poll\n" + strings.Repeat("Bad Room,n,h h,s,never\n", 200)
	_, _, err := render(t, rooms, roomTemplate, RenderOptions{})
	var all Errors
	if !errors.As(err, &all) || len(all) != maxRenderErrors+1 || !strings.Contains(err.Error(), "more problems") {
		t.Errorf("%d errors", len(all))
	}
}
