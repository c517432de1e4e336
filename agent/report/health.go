package report

import (
	"encoding/json"
	"time"

	"roomcall/agent/report/payload"
)

// HealthInfo is what the health message says beside the settings.
type HealthInfo struct {
	At           time.Time
	Status       string // ok, warn or fail
	Problems     int
	Codes        string // comma list of what is wrong, the worst first
	Text         string // the worst of it, for people; "" = all is well
	Waiting      uint64
	Oldest       time.Time // of what waits, zero = nothing waits
	StoreOK      bool
	DiskFree     *int64 // bytes, nil = not known
	Endpoints    int
	EndpointsBad int
}

// Health is the retained message about how the agent itself is doing.
type Health struct {
	V            int64  `json:"v" enum:"1" doc:"Major version of the payload."`
	Schema       string `json:"schema" enum:"roomcall.health/1.0" doc:"Name and version of this schema."`
	Epoch        int64  `json:"epoch" doc:"Identifies the life of the store."`
	TsMs         int64  `json:"ts_ms" doc:"When this was seen, Unix milliseconds."`
	Ts           string `json:"ts" format:"date-time" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$" doc:"When this was seen, RFC 3339 with milliseconds, UTC."`
	ClientID     string `json:"client_id" pattern:"^[a-z0-9-]{1,63}$" doc:"The agent."`
	Site         string `json:"site" doc:"The site, as configured."`
	Status       string `json:"status" enum:"ok|warn|fail" doc:"ok, warn or fail; fail = data is missing or at risk now."`
	StatusCode   int64  `json:"status_code" enum:"0|1|2" doc:"ok 0, warn 1, fail 2."`
	Problems     int64  `json:"problems" min:"0" doc:"How many problems there are."`
	Codes        string `json:"codes" doc:"Codes of the problems, each once, the worst first, comma list."`
	Text         string `json:"text,omitempty" doc:"The worst problem, for people."`
	Waiting      int64  `json:"waiting" min:"0" doc:"Records that wait for delivery."`
	OldestMs     int64  `json:"oldest_ms,omitempty" doc:"Time of the oldest record that waits, Unix milliseconds."`
	StoreOK      int64  `json:"store_ok" enum:"0|1" doc:"1 while the store accepts records."`
	DiskFree     *int64 `json:"disk_free_bytes,omitempty" doc:"Free space on the disk that holds the store."`
	Endpoints    int64  `json:"endpoints" min:"0" doc:"How many endpoints are configured."`
	EndpointsBad int64  `json:"endpoints_bad" min:"0" doc:"How many of them have a problem because of which data is missing."`
	Version      string `json:"version" doc:"Version of the program."`
}

// healthCodes are the numbers of the statuses.
var healthCodes = map[string]int64{"ok": 0, "warn": 1, "fail": 2}

// Health makes the health message.
func (r *Reporter) Health(in HealthInfo) []byte {
	h := Health{
		V: payload.Version, Schema: payload.SchemaName("health"), Epoch: r.set.Epoch,
		TsMs: in.At.UnixMilli(), Ts: in.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		ClientID: r.set.ClientID, Site: r.set.Site,
		Status: in.Status, StatusCode: healthCodes[in.Status], Problems: int64(in.Problems),
		Codes: in.Codes, Text: payload.ClipTo(in.Text, maxSentence), Waiting: int64(in.Waiting),
		DiskFree: in.DiskFree, Endpoints: int64(in.Endpoints), EndpointsBad: int64(in.EndpointsBad), Version: r.set.Version,
	}
	if !in.Oldest.IsZero() {
		h.OldestMs = in.Oldest.UnixMilli()
	}
	if in.StoreOK {
		h.StoreOK = 1
	}
	out, err := json.Marshal(h)
	if err != nil { // no value in it can fail
		return []byte("{}")
	}
	return out
}
