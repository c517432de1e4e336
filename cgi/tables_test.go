package cgi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"roomcall/cgi/cgitest"
)

// streamTables are the tables whose rows make a stream.
var streamTables = map[string]func(*Stream) table{
	"audio":        audioFields,
	"video":        videoFields,
	"single audio": func(s *Stream) table { return singleAudioFields(sendEnding, s) },
	"single video": func(s *Stream) table { return singleVideoFields(sendEnding, s) },
	"single aux":   func(s *Stream) table { return singleAuxFields(recvEnding, s) },
}

// allTables returns every table with places to read into.
func allTables() map[string]table {
	all := map[string]table{
		"multi": multiFields(new(Status), new(joinTime)), "single": singleOtherFields(new(joinTime)), "single data": singleDataFields(),
		"mailbox": mailboxFields(new(mailboxState)), "login": loginFields(new(loginReply)),
	}
	for name, fields := range streamTables {
		all[name] = fields(new(Stream))
	}
	return all
}

// A row that is read into a place of the wrong type, or into the place of another
// row, would be noticed here.
func TestEachRowOfTheTablesReadsItsKeyIntoAPlaceOfItsOwn(t *testing.T) {
	samples := []string{
		`"1"`, `"720p"`, `"abc"`, `{"auxAudioRate":"1k","videoRate":"1k"}`, `[{"videoRate":"1k"}]`,
	}
	for name, all := range allTables() {
		places := map[any]string{}
		for _, f := range all.fields {
			if f.read == nil {
				continue
			}
			if other := places[f.to]; other != "" {
				t.Errorf("%s: %s and %s go to one place", name, f.key, other)
			}
			places[f.to] = f.key
			key := strings.ToUpper(f.key + all.endings[0])
			filled := false
			for _, sample := range samples {
				one := table{endings: all.endings, fields: all.fields}
				var d decoder
				v, err := d.parse(fmt.Appendf(nil, `{%q:%s}`, key, sample), 0)
				if err != nil {
					t.Fatal(err)
				}
				value{decoder: &d, json: v, index: -1}.readObject(func(v value) { t.Errorf("%s: %s is not found", name, v.key) }, &one)
				filled = filled || !reflect.ValueOf(f.to).Elem().IsZero()
				d.release()
			}
			if !filled {
				t.Errorf("%s: nothing comes out of %s", name, f.key)
			}
		}
	}
}

// A measurement that is added to Stream has to have a row in a table, and to count
// when a stream is judged active or not.
func TestEachMeasurementOfAStreamIsReadAndJudged(t *testing.T) {
	var s Stream
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		to, ok := v.Field(i).Addr().Interface().(*Reading)
		if !ok {
			continue
		}
		name := v.Type().Field(i).Name
		judged, read := false, false
		for _, r := range s.readings() {
			judged = judged || r == to
		}
		for _, fields := range streamTables {
			for _, f := range fields(&s).fields {
				read = read || f.to == to
			}
		}
		if !judged || !read {
			t.Errorf("%s: in readings() %t, in a table %t", name, judged, read)
		}
	}
}

// What is added to a table has to be sent by the simulated endpoint too.
func TestSimulatedEndpointSendsEachKeyOfTheTables(t *testing.T) {
	sent := map[string]bool{}
	for _, c := range []struct {
		scenario, login string
	}{{"content-share", "api"}, {"single-stream", "api"}, {"web-user", "web"}} {
		r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: c.scenario}, client: Config{Login: c.login}})
		_, _ = r.client.Poll(t.Context())
		for _, s := range r.Log() {
			collectKeys(t, s.Body, sent)
		}
	}
	for name, all := range allTables() {
		for _, f := range all.fields {
			if f.key == "" || f.key == "recvRate" || f.key == "siteHandle" {
				continue // seen from no endpoint: accepted to be on the safe side
			}
			if !sent[f.key+all.endings[0]] {
				t.Errorf("%s: %s is not sent by the simulator", name, f.key+all.endings[0])
			}
		}
	}
}

// collectKeys adds the keys of a JSON text and of those in its strings.
func collectKeys(t *testing.T, text []byte, keys map[string]bool) {
	t.Helper()
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, one := range v {
				keys[k] = true
				walk(one)
			}
		case []any:
			for _, one := range v {
				walk(one)
			}
		case string:
			var inner any
			if json.Unmarshal([]byte(v), &inner) == nil {
				walk(inner)
			}
		}
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	walk(v)
}
