package web

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
	"roomcall/agent/report"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = healthtest.Noon

// fake is a Source whose answers a test sets.
type fake struct {
	status  health.Status
	samples []json.RawMessage
	cut     bool
	history *History
	export  func(ctx context.Context, w io.Writer, f Filter) error
	verify  func(ctx context.Context) (json.RawMessage, error)
	asked   []Filter
}

func (f *fake) Status() health.Status { return f.status }

func (f *fake) Samples(device string, since time.Time, max int) ([]json.RawMessage, bool) {
	f.asked = append(f.asked, Filter{Filter: report.Filter{Device: device, Since: since}})
	return f.samples[:min(max, len(f.samples))], f.cut
}

func (f *fake) Buffer(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"waiting":3}`), nil
}

func (f *fake) Export(ctx context.Context, w io.Writer, filter Filter) error {
	f.asked = append(f.asked, filter)
	return f.export(ctx, w, filter)
}

func (f *fake) Verify(ctx context.Context) (json.RawMessage, error) { return f.verify(ctx) }

// testKey is the Options.Key of the tests.
const testKey = "0123456789abcdef"

// ask sends one request through the whole handler, guard included.
func ask(src Source, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:9478"
	r.Header.Set("Authorization", signature(testKey, path, noon))
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	o := Options{Now: func() time.Time { return noon }, Key: testKey}
	if f, ok := src.(*fake); ok {
		o.History = f.history
	}
	h := newHandler(src, o)
	guard{next: h, hosts: hostRule{port: "9478", host: "127.0.0.1"}}.ServeHTTP(w, r)
	return w
}

// askHandler sends one request to a handler that several requests share.
func askHandler(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", signature(testKey, path, time.Now()))
	h.ServeHTTP(w, r)
	return w
}

// golden compares got with testdata/name; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
