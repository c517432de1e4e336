package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"roomcall/agent/report/payload"
)

// compiled are the schemas, with keys that the structs do not have forbidden:
// what the tests publish has to be described to the last key.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	out := map[string]*jsonschema.Schema{}
	for _, kind := range SchemaKinds() {
		b, err := Schema(kind)
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		closeObjects(doc)
		c := jsonschema.NewCompiler()
		if err := c.AddResource("mem:///"+kind, doc); err != nil {
			return nil, err
		}
		if out[kind], err = c.Compile("mem:///" + kind); err != nil {
			return nil, err
		}
	}
	return out, nil
})

func closeObjects(x any) {
	switch x := x.(type) {
	case map[string]any:
		delete(x, "$id")
		if _, ok := x["properties"].(map[string]any); ok {
			x["additionalProperties"] = false
		}
		for _, v := range x {
			closeObjects(v)
		}
	case []any:
		for _, v := range x {
			closeObjects(v)
		}
	}
}

// validate checks a payload against its schema, and that a flat one is flat.
func validate(t *testing.T, kind string, p []byte) {
	t.Helper()
	schemas, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(p))
	if err != nil {
		t.Fatalf("%v in %s", err, p)
	}
	if err := schemas[kind].Validate(doc); err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	if payload.New(kind) == nil {
		return
	}
	for k, v := range doc.(map[string]any) {
		switch v.(type) {
		case string, json.Number, float64:
		default:
			t.Fatalf("%s is not flat: %v", k, v)
		}
	}
}

func TestCommittedSchemasAreFresh(t *testing.T) {
	files := map[string]func() ([]byte, error){"asyncapi.json": AsyncAPI}
	for _, kind := range SchemaKinds() {
		files[strings.ReplaceAll(kind, "/", "_")+".schema.json"] = func() ([]byte, error) { return Schema(kind) }
	}
	for name, make := range files {
		got, err := make()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("schema", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")), got) {
			t.Errorf("%s is old; go test ./agent/report -update writes it", path)
		}
	}
	entries, err := os.ReadDir("schema")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("%d files in schema, %d are made", len(entries), len(files))
	}
}

func TestGoldenPayloadsMatchTheirSchemas(t *testing.T) {
	for _, name := range []string{"documented.jsonl", "agent.jsonl", "views.jsonl"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			kind, _, _ := strings.Cut(strings.TrimPrefix(object(t, []byte(line))["schema"].(string), "roomcall."), "/1.0")
			validate(t, kind, []byte(line))
			validate(t, kind, MarkReplayed([]byte(strings.TrimSpace(line))))
		}
	}
}

// A later version may add keys, but the object stays flat.
func TestPublishedSchemaOfAFlatKindTakesNewKeysAndNothingNested(t *testing.T) {
	for _, kind := range payload.Kinds() {
		b, err := Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		delete(doc.(map[string]any), "required")
		c := jsonschema.NewCompiler()
		if err := c.AddResource("mem:///open", doc); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile("mem:///open")
		if err != nil {
			t.Fatal(err)
		}
		for text, valid := range map[string]bool{
			`{"new":1.5}`: true, `{"new":"x"}`: true,
			`{"new":null}`: false, `{"new":{}}`: false, `{"new":[]}`: false, `{"new":true}`: false,
		} {
			if err := schema.Validate(object(t, []byte(text))); (err == nil) != valid {
				t.Errorf("%s: %s: %v", kind, text, err)
			}
		}
	}
}

func TestSchemaNamesTheUnknownKind(t *testing.T) {
	if _, err := Schema("samples"); err == nil || !strings.Contains(err.Error(), "sample") {
		t.Errorf("%v", err)
	}
}

func TestAsyncAPIHasEveryTopicAndItsReferencesHold(t *testing.T) {
	b, err := AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	doc := object(t, b)
	text := string(b)
	for _, topic := range []string{"/availability", "/birth", "/health", "/echo", "/agent/event", "/{device}/state", "/{device}/sample", "/{device}/stream",
		"/{device}/event", "/{device}/call", "/{device}/minute", "/{device}/view/zoom", "/{device}/view/agora", "/{device}/view/volc", "/{device}/view/trtc"} {
		if !strings.Contains(text, `"{prefix}/{client_id}`+topic+`"`) {
			t.Errorf("no topic %s", topic)
		}
	}
	for _, part := range strings.Split(text, `"$ref": "#/`)[1:] {
		path, _, _ := strings.Cut(part, `"`)
		var at any = doc
		for _, key := range strings.Split(path, "/") {
			m, ok := at.(map[string]any)
			if at = m[key]; !ok || at == nil {
				t.Fatalf("%s leads nowhere", path)
			}
		}
	}
}

func TestBirthMatchesItsSchema(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Views = []string{"zoom"} })
	b := r.Birth(BirthInfo{Started: day, ConfigHash: "abc", StartReason: "boot"})
	validate(t, "birth", b)
	golden(t, "birth.json", append(b, '\n'))
	if strings.Contains(string(b), "commit_interval") {
		t.Error("it says that polls are collected, and they are not")
	}
	b = r.Birth(BirthInfo{Started: day, CommitInterval: 30 * time.Second})
	validate(t, "birth", b)
	if !strings.Contains(string(b), `"commit_interval_ms":30000`) {
		t.Errorf("it does not say that polls are collected: %s", b)
	}
	validate(t, "birth", reporter(t, func(s *Settings) { s.Kinds, s.Devices = nil, nil }).Birth(BirthInfo{Started: day}))
}

func TestHealthMatchesItsSchemaAndIsFlat(t *testing.T) {
	free := int64(5 << 30)
	r := reporter(t, nil)
	for status, in := range map[string]HealthInfo{
		"ok": {At: day, Status: "ok", StoreOK: true, Endpoints: 2},
		"fail": {At: day, Status: "fail", Problems: 3, Codes: "store_full,broker_disconnected", Text: strings.Repeat("é", 1000),
			Waiting: 7, Oldest: day, DiskFree: &free, Endpoints: 2, EndpointsBad: 1},
	} {
		b := r.Health(in)
		validate(t, "health", b)
		doc := object(t, b)
		if text, _ := doc["text"].(string); len(text) != min(len(in.Text), maxSentence) {
			t.Errorf("a text of %d bytes has %d left", len(in.Text), len(text))
		}
		if doc["status_code"] != map[string]float64{"ok": 0, "fail": 2}[status] || doc["epoch"] == 0.0 || doc["client_id"] == "" {
			t.Errorf("%s", b)
		}
		for key, v := range doc {
			switch v.(type) {
			case string, float64:
			default:
				t.Errorf("%s is not flat: %v", key, v)
			}
		}
		if _, there := doc["oldest_ms"]; there != (status == "fail") || len(doc["codes"].(string)) > 0 != (status == "fail") {
			t.Errorf("%s", b)
		}
	}
}
