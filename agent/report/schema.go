package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
)

// viewDocs are the documents whose schemas the views have; several = one of them.
var viewDocs = map[string][]any{
	"view/zoom": {view.Zoom{}},
	"view/agora": {
		view.AgoraDetails{}, view.AgoraLists{}, view.AgoraData[view.AgoraScaleRow]{}, view.AgoraData[view.AgoraDiagnosisRow]{},
	},
	"view/volc": {view.Volc{}},
	"view/trtc": {view.TRTC{}},
}

// SchemaKinds lists the kinds that have a schema.
func SchemaKinds() []string {
	kinds := append([]string{"birth", "health"}, payload.Kinds()...)
	for _, v := range Views() {
		kinds = append(kinds, "view/"+v)
	}
	return kinds
}

// Schema is the JSON Schema (2020-12) of a kind's payload, made from the structs
// that are sent.
func Schema(kind string) ([]byte, error) {
	if !slices.Contains(SchemaKinds(), kind) {
		return nil, fmt.Errorf("schema: unknown kind %q, allowed are %v", kind, SchemaKinds())
	}
	return indent(schemaOf(kind))
}

func schemaOf(kind string) payload.Object {
	return append(describe(kind), exampleOf(kind)...)
}

// describe is a kind's schema without an example.
func describe(kind string) payload.Object {
	if kind == "birth" {
		return append(payload.SchemaHead(kind, "What an agent says when it has connected."),
			payload.TypeSchema(reflect.TypeFor[Birth]())[1:]...) // without its title
	}
	if kind == "health" {
		return append(payload.SchemaHead(kind, "How the agent itself is doing."),
			payload.TypeSchema(reflect.TypeFor[Health]())[1:]...)
	}
	docs, ok := viewDocs[kind]
	if !ok {
		return payload.FlatSchema(kind)
	}
	var variants []obj
	for _, doc := range docs {
		props, required := payload.Properties(reflect.TypeFor[payload.Head](), kind)
		p, r := payload.Properties(reflect.TypeOf(doc), kind)
		variants = append(variants, obj{
			{Key: "type", Value: "object"}, {Key: "properties", Value: append(props, p...)}, {Key: "required", Value: append(required, r...)},
		})
	}
	head := payload.SchemaHead(kind, "The same facts in another system's reply.")
	if len(variants) == 1 {
		return append(head, variants[0]...)
	}
	return append(head, payload.Pair{Key: "type", Value: "object"}, payload.Pair{Key: "anyOf", Value: variants})
}

// AsyncAPI is the AsyncAPI 3 document of all topics, with the schemas in it.
func AsyncAPI() ([]byte, error) { return indent(asyncAPI()) }

type obj = payload.Object

func asyncAPI() obj {
	var channels, operations, messages, schemas obj
	for _, c := range topics() {
		channels = append(channels, payload.Pair{Key: c.name, Value: c.channel()})
		operations = append(operations, payload.Pair{Key: "send_" + c.name, Value: obj{
			{Key: "action", Value: "send"},
			{Key: "channel", Value: ref("channels", c.name)},
			{Key: "bindings", Value: mqttBinding(payload.Pair{Key: "qos", Value: 1}, payload.Pair{Key: "retain", Value: c.retained})},
			{Key: "messages", Value: []obj{{{Key: "$ref", Value: "#/channels/" + c.name + "/messages/" + c.message}}}},
		}})
	}
	for _, kind := range SchemaKinds() {
		name := word(kind)
		messages = append(messages, payload.Pair{Key: name, Value: obj{
			{Key: "contentType", Value: "application/json"}, {Key: "payload", Value: ref("components/schemas", name)},
		}})
		schemas = append(schemas, payload.Pair{Key: name, Value: component(kind)})
	}
	messages = append(messages, payload.Pair{Key: "state", Value: obj{
		{Key: "contentType", Value: "application/json"}, {Key: "payload", Value: ref("components/schemas", "state")},
	}})
	schemas = append(schemas, payload.Pair{Key: "state", Value: stateSchema()}, payload.Pair{Key: "echo", Value: payload.TypeSchema(reflect.TypeFor[echo]())})
	messages = append(messages, payload.Pair{Key: "availability", Value: obj{
		{Key: "contentType", Value: "text/plain"},
		{Key: "payload", Value: obj{{Key: "type", Value: "string"}, {Key: "enum", Value: []string{"online", "offline", "lost"}}}},
	}}, payload.Pair{Key: "echo", Value: obj{
		{Key: "contentType", Value: "application/json"}, {Key: "payload", Value: ref("components/schemas", "echo")},
	}})
	return obj{
		{Key: "asyncapi", Value: "3.0.0"},
		{Key: "info", Value: obj{
			{Key: "title", Value: "roomcall"}, {Key: "version", Value: payload.SchemaVersion + ".0"},
			{Key: "description", Value: "Call quality of video rooms over MQTT. Every message is sent with QoS 1; a record is delivered at least once and in order on its topic. Drop duplicates by id, see holes by seq."},
			{Key: "license", Value: obj{{Key: "name", Value: "Apache-2.0"}}},
		}},
		{Key: "defaultContentType", Value: "application/json"},
		{Key: "servers", Value: obj{{Key: "broker", Value: obj{
			{Key: "host", Value: "{host}:{port}"}, {Key: "protocol", Value: "mqtts"}, {Key: "protocolVersion", Value: "3.1.1"},
			{Key: "description", Value: "The broker that [mqtt] broker names; also without TLS and over WebSocket."},
			{Key: "variables", Value: obj{{Key: "host", Value: obj{{Key: "default", Value: "broker.example"}}}, {Key: "port", Value: obj{{Key: "default", Value: "8883"}}}}},
			{Key: "bindings", Value: mqttBinding(
				payload.Pair{Key: "clientId", Value: "{client_id}"}, payload.Pair{Key: "cleanSession", Value: true}, payload.Pair{Key: "keepAlive", Value: 30},
				payload.Pair{Key: "lastWill", Value: obj{
					{Key: "topic", Value: "roomcall/v1/{client_id}/availability"}, {Key: "qos", Value: 1}, {Key: "message", Value: "lost"}, {Key: "retain", Value: true},
				}})},
		}}}},
		{Key: "channels", Value: channels},
		{Key: "operations", Value: operations},
		{Key: "components", Value: obj{{Key: "messages", Value: messages}, {Key: "schemas", Value: schemas}}},
	}
}

// component is a kind's schema as a part of the document: without $schema and $id, and
// with a title that code generators make a good name of.
func component(kind string) obj {
	out := slices.Clone(schemaOf(kind)[2:])
	title := "Roomcall"
	for part := range strings.SplitSeq(kind, "/") {
		title += strings.ToUpper(part[:1]) + part[1:]
	}
	out[0].Value = title
	return out
}

// mqttBinding is what the document says about MQTT alone.
func mqttBinding(keys ...payload.Pair) obj {
	return obj{{Key: "mqtt", Value: append(obj(keys), payload.Pair{Key: "bindingVersion", Value: "0.2.0"})}}
}

// echo is the proof of delivery, which package publish sends.
type echo struct {
	Nonce    string `json:"nonce" doc:"A random word."`
	Epoch    int64  `json:"epoch,omitempty" doc:"The life of the agent's store, as in the records."`
	Position int64  `json:"position,omitempty" min:"0" doc:"The highest position of the store."`
}

// stateSchema is a sample's schema without what a sample that the store does not hold
// lacks.
func stateSchema() obj {
	out := component("sample")
	out[0].Value = "RoomcallState"
	for i := range out {
		switch out[i].Key {
		case "properties":
			out[i].Value = append(slices.Clone(out[i].Value.(obj)), payload.Pair{Key: "recorded", Value: obj{
				{Key: "type", Value: "integer"}, {Key: "const", Value: 0},
				{Key: "description", Value: "0 while the store does not hold the sample; then id and seq are absent. Else absent."},
			}}, payload.Pair{Key: "recorded_id", Value: obj{
				{Key: "type", Value: "string"},
				{Key: "description", Value: "With recorded 0: the id of the device's newest sample that the store holds; absent if it holds none."},
			}})
		case "required":
			out[i].Value = slices.DeleteFunc(slices.Clone(out[i].Value.([]string)), func(key string) bool { return key == "id" || key == "seq" })
		}
	}
	return out
}

// topic is one channel of the document.
type topic struct {
	name, address, message, about string
	retained, device              bool
}

func topics() []topic {
	list := []topic{
		{"availability", "{prefix}/{client_id}/availability", "availability", "online, offline after a clean stop, lost by the will.", true, false},
		{"birth", "{prefix}/{client_id}/birth", "birth", "What the agent is and what it records.", true, false},
		{"health", "{prefix}/{client_id}/health", "health", "How the agent itself is doing: at each change, and at least every five minutes.", true, false},
		{"echo", "{prefix}/{client_id}/echo", "echo", "Proof of delivery: the agent publishes it and reads it back; it also tells a store that was put back.", true, false},
		{"agent_event", "{prefix}/{client_id}/agent/event", "event", "The agent's own events.", false, false},
		{"state", "{prefix}/{client_id}/{device}/state", "state", "The newest sample; never set by replayed records. While the store accepts nothing, or polls are collected, it has recorded 0 and neither id nor seq.", true, true},
	}
	for _, kind := range SchemaKinds()[2:] {
		list = append(list, topic{word(kind), "{prefix}/{client_id}/{device}/" + kind, word(kind), "One record of this kind a message.", false, true})
	}
	return list
}

func (c *topic) channel() obj {
	params := obj{
		{Key: "prefix", Value: obj{{Key: "description", Value: "topic_prefix of the config."}, {Key: "default", Value: "roomcall/v1"}}},
		{Key: "client_id", Value: obj{{Key: "description", Value: "The agent."}}},
	}
	if c.device {
		params = append(params, payload.Pair{Key: "device", Value: obj{{Key: "description", Value: "The device."}}})
	}
	about := c.about
	if c.retained {
		about += " Retained."
	}
	return obj{
		{Key: "address", Value: c.address}, {Key: "description", Value: about}, {Key: "parameters", Value: params},
		{Key: "messages", Value: obj{{Key: c.message, Value: ref("components/messages", c.message)}}},
	}
}

func ref(where, name string) obj { return obj{{Key: "$ref", Value: "#/" + where + "/" + name}} }

// word makes a kind a name: view/zoom is view_zoom.
func word(kind string) string {
	return strings.ReplaceAll(kind, "/", "_")
}

func indent(o obj) ([]byte, error) {
	flat, err := payload.JSON(o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, flat, "", "  "); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
