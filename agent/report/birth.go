package report

import (
	"encoding/json"
	"slices"
	"time"

	"roomcall/agent/report/payload"
)

// BirthInfo is what the birth message says beside the settings.
type BirthInfo struct {
	Started    time.Time
	ConfigHash string // hash of the config without its secrets
	// StartReason: "first", "start", "boot", "upgrade", "crash" or "watchdog".
	StartReason string
	// CommitInterval is for how long polls are collected before they are stored, 0 = not
	// at all.
	CommitInterval time.Duration
	// Short leaves the endpoints and the profiles out, where a broker does not
	// accept a message that large.
	Short bool
}

// Birth is the message an agent sends when it has connected.
type Birth struct {
	V          int64             `json:"v" enum:"1" doc:"Major version of the payload."`
	Schema     string            `json:"schema" enum:"roomcall.birth/1.0" doc:"Name and version of this schema."`
	ClientID   string            `json:"client_id" pattern:"^[a-z0-9-]{1,63}$" doc:"The agent."`
	Site       string            `json:"site" doc:"The site, as configured."`
	Version    string            `json:"version" doc:"Version of the program."`
	Epoch      int64             `json:"epoch" doc:"Names the life of the agent's store, as in the records."`
	Started    string            `json:"started" format:"date-time" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$" doc:"Start of the agent, RFC 3339 with milliseconds, UTC."`
	StartedMs  int64             `json:"started_ms" doc:"Start of the agent, Unix milliseconds."`
	ConfigHash string            `json:"config_hash,omitempty" doc:"Hash of the config without its secrets."`
	Reason     string            `json:"start_reason,omitempty" doc:"Why it was started: first, start, boot, upgrade, crash, watchdog."`
	CommitMs   int64             `json:"commit_interval_ms,omitempty" doc:"Polls are collected in memory for this long and stored together: a kill loses what was collected. Absent: each poll is stored at once."`
	Devices    []BirthDevice     `json:"devices" doc:"The endpoints."`
	Omitted    int64             `json:"devices_omitted,omitempty" doc:"So many endpoints are left out of devices, and limits with them, because the broker does not accept a message that large."`
	Kinds      []string          `json:"kinds" doc:"What is recorded."`
	Views      []string          `json:"views" doc:"The other systems' shapes that are recorded."`
	Schemas    map[string]string `json:"schemas" doc:"Schema of each kind."`
	Limits     []BirthLimits     `json:"limits" doc:"The profiles that grade."`
	MOSMethod  string            `json:"mos_method" doc:"Formula and constants of mos_est."`
	P95ErrPct  float64           `json:"p95_error_pct" doc:"Relative error of the 95th percentiles, percent."`
}

// BirthDevice is one endpoint in the birth message.
type BirthDevice struct {
	Device    string  `json:"device" pattern:"^[a-z0-9-]{1,63}$" doc:"The device."`
	Room      string  `json:"room" doc:"The room's human name."`
	Limits    string  `json:"limits" doc:"Name of the profile that grades."`
	PollS     float64 `json:"poll_interval_s" min:"0.1" doc:"Seconds between polls in a call."`
	IdleS     float64 `json:"idle_interval_s" min:"0.1" doc:"Seconds between polls outside a call."`
	PeerNames string  `json:"peer_names" enum:"off|hash|plain" doc:"off, hash or plain."`
}

// BirthLimits is one profile in the birth message.
type BirthLimits struct {
	Name    string             `json:"name" doc:"Name of the profile."`
	Version string             `json:"version" doc:"Version of the profile."`
	Note    string             `json:"note" doc:"Whose limits these are."`
	Values  map[string]float64 `json:"values" doc:"The limits."`
}

// Birth makes the birth message.
func (r *Reporter) Birth(info BirthInfo) []byte {
	b := Birth{
		V: payload.Version, Schema: payload.SchemaName("birth"),
		ClientID: r.set.ClientID, Site: r.set.Site, Version: r.set.Version, Epoch: r.set.Epoch,
		Started:   info.Started.UTC().Format("2006-01-02T15:04:05.000Z"),
		StartedMs: info.Started.UnixMilli(), ConfigHash: info.ConfigHash, Reason: info.StartReason,
		CommitMs: info.CommitInterval.Milliseconds(),
		Devices:  []BirthDevice{}, Kinds: []string{}, Views: append([]string{}, r.views...),
		Schemas: map[string]string{}, Limits: []BirthLimits{},
		MOSMethod: MOSMethod, P95ErrPct: payload.PercentileError * 100,
	}
	for _, k := range payload.Kinds() {
		if r.kinds[k] {
			b.Kinds = append(b.Kinds, k)
			b.Schemas[k] = payload.SchemaName(k)
		}
	}
	for _, v := range r.views {
		b.Schemas["view/"+v] = payload.SchemaName("view/" + v)
	}
	for _, d := range r.set.Devices {
		if info.Short {
			b.Omitted++
			continue
		}
		b.addDevice(r.devices[d.Name])
	}
	out, err := json.Marshal(b)
	if err != nil { // no value in it can fail
		return []byte("{}")
	}
	return out
}

func (b *Birth) addDevice(d *device) {
	names := d.PeerNames
	if names == "" {
		names = "off"
	}
	b.Devices = append(b.Devices, BirthDevice{
		Device: d.Name, Room: d.Room, Limits: d.Limits.Name, PeerNames: names,
		PollS: d.PollInterval.Seconds(), IdleS: d.IdleInterval.Seconds(),
	})
	if !slices.ContainsFunc(b.Limits, func(l BirthLimits) bool { return l.Name == d.Limits.Name }) {
		b.Limits = append(b.Limits, BirthLimits{
			Name: d.Limits.Name, Version: d.Limits.Version, Note: d.Limits.Note, Values: d.Limits.Values(),
		})
	}
}
