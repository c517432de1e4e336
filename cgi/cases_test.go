package cgi

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the want.json files of testdata anew")

// caseError is an *Error as a want.json shows it.
type caseError struct {
	Kind, Reason string
	ID, Code     int64  `json:",omitempty"`
	Hint         string `json:",omitempty"`
	Text         string `json:",omitempty"`
}

// outcome is what a parser makes of a reply: one value or an error.
type outcome struct {
	Status  map[string]any `json:",omitempty"`
	Mailbox map[string]any `json:",omitempty"`
	Login   map[string]any `json:",omitempty"`
	Error   *caseError     `json:",omitempty"`
}

// decodeCase runs the parser that the case's name asks for.
func decodeCase(t *testing.T, name string, raw []byte) outcome {
	t.Helper()
	var o outcome
	var err error
	switch first, _, _ := strings.Cut(name, "_"); first {
	case "mailbox":
		var m mailbox
		if m, err = parseMailbox(raw); err == nil {
			o.Mailbox = compact(t, struct {
				Call          string
				Upgrading     bool
				NotUnderstood []Quirk
			}{callWord(m.Call), m.Upgrading, m.NotUnderstood})
		}
	case "login":
		var r loginReply
		if r, err = parseLogin(raw); err == nil {
			o.Login = compact(t, r)
		}
	default:
		parse := parseMultiCall
		if first == "single" {
			parse = parseSingleCall
		}
		var st Status
		if st, err = parse(raw); err == nil {
			st.Raw = nil
			o.Status = compact(t, st)
			o.Status["Call"] = callWord(st.Call)
		}
	}
	if err != nil {
		o.Error = describeError(t, err)
	}
	return o
}

func callWord(c CallState) string { return [...]string{"unknown", "idle", "active"}[c] }

func describeError(t *testing.T, err error) *caseError {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is a %T, want an *Error", err)
	}
	w := &caseError{Kind: e.Kind.String(), Reason: e.Reason, ID: e.ID, Code: e.Code, Hint: string(e.Hint)}
	if e.Err != nil {
		w.Text = e.Err.Error()
	}
	return w
}

// compact turns a value into JSON objects without what is absent: zero values
// go, a known Reading becomes its number. Inactive list entries stay as {}.
func compact(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return prune(m).(map[string]any)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if known, ok := v["Known"].(bool); ok {
			if known {
				return v["Value"]
			}
			return nil
		}
		for k, x := range v {
			x = prune(x)
			if m, ok := x.(map[string]any); x == nil || x == "" || x == false || x == 0.0 && (k == "ErrID" || k == "ErrCode" || k == "ThrownOut") || ok && len(m) == 0 {
				delete(v, k)
				continue
			}
			v[k] = x
		}
		for _, k := range []string{"Width", "Height"} {
			if v[k] == 0.0 {
				delete(v, k)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// caseNames lists testdata.
func caseNames(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "reply.json"))
	if err != nil || len(files) < 60 {
		tb.Fatalf("found %d cases (%v), want at least 60", len(files), err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

// Each folder of testdata is a reply and what has to come out of it; its name
// tells the quirk.
func TestRepliesAreReadAsTheCasesSay(t *testing.T) {
	for _, name := range caseNames(t) {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(decodeCase(t, name, readReply(t, name)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", name, "want.json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The key of the data is found in any case, and what is in it does not change.
func TestCaseOfTheDataKeyMakesNoDifference(t *testing.T) {
	for _, name := range caseNames(t) {
		raw := readReply(t, name)
		if bytes.Count(raw, []byte(`"data"`)) != 1 {
			continue
		}
		usual := decodeCase(t, name, raw)
		other := decodeCase(t, name, bytes.Replace(raw, []byte(`"data"`), []byte(`"DATA"`), 1))
		if diff := cmp.Diff(usual, other); diff != "" {
			t.Errorf("%s (-data +DATA):\n%s", name, diff)
		}
	}
}
