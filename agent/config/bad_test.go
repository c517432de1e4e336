package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBadConfigsReportEveryProblemAtOnce loads each testdata/bad/*.toml and
// compares the whole text for the operator with the .txt beside it.
func TestBadConfigsReportEveryProblemAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d bad configs, err %v", len(files), err)
	}
	env := map[string]string{"HOST": "h.example", "EMPTY": "", "EVIL_URL": "ftp://hunter2"}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			c, _, err := Load(file, testOptions(env))
			if err == nil || c != nil {
				t.Fatalf("a bad config was loaded: %v", c)
			}
			checkGolden(t, strings.TrimSuffix(file, ".toml")+".txt", plainText(t, err))
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the text shows a secret:\n%v", err)
			}
		})
	}
}

// plainText is the operator's text with the same separators and the folder of
// this machine cut out.
func plainText(t *testing.T, err error) string {
	dir, werr := os.Getwd()
	if werr != nil {
		t.Fatal(werr)
	}
	text := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	return filepath.ToSlash(strings.ReplaceAll(text, "testdata/bad/", "")) + "\n"
}

func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (- want, + got):\n%s", path, diff)
	}
}

func TestErrorNamesFileLineKeyAndDevice(t *testing.T) {
	path := write(t, map[string]string{"agent.toml": strings.Replace(minimal, "https://", "ftp://", 1)})
	_, _, err := Load(path, testOptions(nil))
	var all Errors
	if !errors.As(err, &all) || len(all) != 1 {
		t.Fatalf("got %v", err)
	}
	want := Place{File: path, Line: 4, Key: "endpoint[1].url", Device: "room-1"}
	if all[0].Place != want {
		t.Errorf("got %+v, want %+v", all[0].Place, want)
	}
}

func TestMissingFileIsTellable(t *testing.T) {
	_, _, err := Load(filepath.Join(t.TempDir(), "agent.toml"), testOptions(nil))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
}

func TestUnreadableKindsOfFileAreErrors(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"too large":     {strings.Repeat("# filling\n", 110000), "larger than 1MiB"},
		"UTF-16":        {"\xff\xfe[\x00a\x00", "agent.toml: the file is UTF-16; save it as UTF-8"},
		"UTF-16BE":      {"\xfe\xff\x00[\x00a", "agent.toml: the file is UTF-16; save it as UTF-8"},
		"UTF-16, bare":  {"[\x00a\x00g\x00", "agent.toml:1: a NUL byte: the file is not text, or it is UTF-16; save it as UTF-8"},
		"invalid UTF-8": {"[agent]\nsite = \"\xff\"\n", "agent.toml:2: invalid UTF-8"},
		"empty":         {"", "no [[endpoint]] table"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(write(t, map[string]string{"agent.toml": c.text}), testOptions(nil))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, _, err := Load(t.TempDir(), testOptions(nil)); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: got %v", err)
	}
	if runtime.GOOS != "windows" { // reading /dev/zero would never end
		if _, _, err := Load("/dev/zero", testOptions(nil)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("a device: got %v", err)
		}
	}
}

func TestFormatIsNamedByAComment(t *testing.T) {
	for text, good := range map[string]bool{
		"# roomcall config format 1\n":            true,
		"\n# x\n#  roomcall config format 1 \r\n": true,
		"# roomcall config format 0\n":            false,
		"# roomcall config format 2\n":            false,
		"# roomcall config format 999999999\n":    false,
		"[agent]\n# roomcall config format 2\n":   true, // below the first key it is a comment like any other
	} {
		_, _, err := LoadText("agent.toml", []byte(text+minimal), testOptions(nil))
		if good != (err == nil) || !good && !strings.Contains(err.Error(), "another version of roomcall") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestByteOrderMarkIsSkipped(t *testing.T) {
	c, _ := mustLoad(t, "\xef\xbb\xbf"+minimal, nil)
	if !strings.HasPrefix(c.AsWritten(), "\n[[endpoint]]") {
		t.Errorf("got %q", c.AsWritten())
	}
}

func TestHugeConfigsAreAnsweredInBounds(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	cases := map[string]string{
		"keys":      minimal + many(80000, "k%d = 1\n"),
		"top level": many(80000, "k%d = 1\n"),
		"tables":    many(60000, "[t%d]\n"),
		"endpoints": many(60000, "[[endpoint]] # %d\n"),
		"profiles":  minimal + many(50000, "[limits.a%d]\n"),
		"nesting":   "a = " + strings.Repeat("[", 500000),
		"deep keys": strings.Repeat("a.", 500000) + "a = 1",
		"errors":    many(100000, "k%d =\n"),
		"list":      "endpoint = [" + many(100000, "%d,") + "]",
		"quotes":    minimal + "[agent]\nsite = \"" + strings.Repeat("x", 1000000) + "\"",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := LoadText("agent.toml", []byte(text), testOptions(nil))
			var all Errors
			if !errors.As(err, &all) || len(all) > maxErrors+1 || len(err.Error()) > 1<<20 {
				t.Errorf("%d errors, %d bytes", len(all), len(err.Error()))
			}
		})
	}
}

func TestCountsAreBounded(t *testing.T) {
	files := map[string]string{"agent.toml": minimal}
	for i := range maxConfFiles + 1 {
		files[fmt.Sprintf("conf.d/%03d.toml", i)] = "[limits]\n"
	}
	_, _, err := Load(write(t, files), testOptions(nil))
	if err == nil || !strings.Contains(err.Error(), "conf.d: 257 files; allowed: at most 256") {
		t.Errorf("files: got %v", err)
	}
	text := minimal
	for i := range maxEndpoints - 1 {
		text += fmt.Sprintf("[[endpoint]]\ndevice = \"d%d\"\nurl = \"https://h%d\"\n", i, i)
	}
	text += "[[endpoint]]\n"
	_, _, err = LoadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || err.Error() != "agent.toml:3004: found 1001 endpoints; allowed: at most 1000" {
		t.Errorf("endpoints: got %.300v", err)
	}
	text = minimal + "[agent]\n"
	for i := range maxTableKeys + 1 {
		text += fmt.Sprintf("k%d = 1\n", i)
	}
	_, _, err = LoadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || err.Error() != "agent.toml:1008: more than 1000 keys in one table" {
		t.Errorf("keys: got %.300v", err)
	}
	text = minimal
	for i := range maxProfiles + 1 {
		text += fmt.Sprintf("[limits.p%d]\nleave = 1\n", i)
	}
	_, _, err = LoadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || !strings.Contains(err.Error(), "limits: found 101 tables; allowed: at most 100") {
		t.Errorf("profiles: got %v", err)
	}
}

func TestErrorsCannotForgeLines(t *testing.T) {
	text := minimal + "\"a\\nagent.toml:1: \\u001b[31m\" = 1\n"
	_, _, err := LoadText("agent.toml", []byte(text), testOptions(nil))
	if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %q", err)
	}
}
