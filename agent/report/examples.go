package report

import (
	"bytes"
	_ "embed"
	"encoding/json"

	"roomcall/agent/report/payload"
)

// examples has one message of each kind a line, from a room with a poor uplink.
// `go test ./agent/report -update` writes it, and docs/examples.md from it.
//
//go:embed examples.jsonl
var examples []byte

// exampleOf is the part of a schema that shows one whole message of its kind; empty
// for a kind without an example (the views: docs/convert.md).
func exampleOf(kind string) payload.Object {
	name := []byte(`"schema":"` + payload.SchemaName(kind) + `"`)
	for line := range bytes.Lines(examples) {
		if bytes.Contains(line, name) {
			return payload.Object{{Key: "examples", Value: []json.RawMessage{bytes.TrimSpace(line)}}}
		}
	}
	return nil
}
