package view

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"roomcall/agent/report/payload"
)

func TestBadLinesAreToldByNumberAndTheOthersConverted(t *testing.T) {
	good := callRecords(t)
	ok := strings.Replace(good[0], `"id":"`, `"id":"x`, 1)
	bad := map[string]string{
		`{"v":1,`:                             "unexpected end",
		"garbage":                             "no JSON object",
		`["a"]`:                               "no JSON object",
		"null":                                "no JSON object",
		`{"a":1} {"b":2}`:                     "invalid character",
		strings.Repeat("x", 4<<20+1):          "longer than 4 MiB",
		strings.Repeat("{", 20_000):           "invalid character",
		strings.Replace(ok, ok[:5], "{'v", 1): "invalid character",
		strings.Replace(ok, `"seq":1`, `"seq":"x"`, 1):                                    "decode payload: key seq",
		strings.Replace(ok, `"seq":1`, `"seq":1e300`, 1):                                  "out of range",
		`{"schema":"roomcall.sample/1.0","client_id":"a","device":"d","call_id":"a.d.1"}`: "without id",
	}
	want := convert(t, "trtc", good, Options{})
	for line, text := range bad {
		var told []string
		o := Options{Bad: func(n int, err error) { told = append(told, fmt.Sprintf("%d %v", n, err)) }}
		input := strings.Join(slices.Insert(slices.Clone(good), 2, "", line, " \r"), "\n")
		doc, err := Convert("trtc", strings.NewReader(input), o)
		var lines *payload.BadLinesError
		if !errors.As(err, &lines) || *lines != (payload.BadLinesError{Bad: 1, Lines: len(good) + 3}) {
			t.Errorf("%.40s: error %v", line, err)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "4 ") || !strings.Contains(told[0], text) {
			t.Errorf("%.40s: told %.200q, want line 4: %s", line, told, text)
		}
		if !bytes.Equal(doc, want) {
			t.Errorf("%.40s: another document", line)
		}
	}
}

func TestWhatComesAlongWithEverythingIsNoBadLine(t *testing.T) {
	for _, line := range []string{
		"online", "roomcall/v1/pc/availability lost", "roomcall/v1/pc/availability (null)",
		"ABCDEFGHIJKLMNOPQRSTUV2345", `{"schema":"roomcall.birth/1.0","devices":[]}`,
		`{"schema":"roomcall.view/zoom/1.0"}`, `{"name":"of another program"}`, `{}`,
		`{"topic":"roomcall/v1/pc/availability","payload":"online"}`, `{"payload":{"payload":{}}}`,
	} {
		doc, err := Convert("zoom", strings.NewReader(line+"\n"), Options{})
		if err != nil || !bytes.Contains(doc, []byte(`"skipped":1`)) {
			t.Errorf("%s: %v, %s", line, err, doc)
		}
	}
}

// mosquitto_sub -F writes a message as text (%j) or as an object (%J).
func TestEnvelopesAreOpened(t *testing.T) {
	good := callRecords(t)
	var text, object []string
	for _, r := range good {
		text = append(text, fmt.Sprintf(`{"topic":"x","qos":1,"payload":%q}`, r))
		object = append(object, `{"topic":"x","qos":1,"payload":`+r+`}`)
	}
	want := convert(t, "agora", good, Options{})
	for _, in := range [][]string{text, object} {
		if got := convert(t, "agora", in, Options{}); !bytes.Equal(got, want) {
			t.Errorf("another document: %s", got)
		}
	}
}
