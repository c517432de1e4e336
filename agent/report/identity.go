package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Identity is what makes a record's id beside the client id.
type Identity struct {
	Epoch        int64
	Device, Kind string
	Seq          uint64 // of a state whose sample is not recorded that of the last one that is; 0 = none
	Position     uint64 // of the newest record in the store, in the echo; 0 = not said
}

// epochEnd is above each epoch that a clock can make, and so far below 2^53 that there
// is room for more epochs behind it.
const epochEnd = (1<<33 - 1) << 20

// ReadIdentity reads the identity from a payload of ours: a record, a state, the health
// of the agent. False = it is none, or no store ever had such an epoch: who else writes
// there may write anything.
func ReadIdentity(payload []byte) (Identity, bool) {
	var p struct {
		ID, Device string
		RecordedID string `json:"recorded_id"`
		Epoch      int64
		Seq        uint64
		Position   uint64
	}
	if json.Unmarshal(payload, &p) != nil || p.Epoch <= 0 || p.Epoch >= epochEnd {
		return Identity{}, false
	}
	id := Identity{Epoch: p.Epoch, Device: p.Device, Seq: p.Seq, Position: p.Position}
	if p.ID == "" { // the state of a sample that is not recorded names the last one that is
		p.ID = p.RecordedID
		id.Seq, _ = strconv.ParseUint(p.ID[strings.LastIndexByte(p.ID, '.')+1:], 10, 64)
	}
	if parts := strings.Split(p.ID, "."); len(parts) == 5 {
		id.Kind = parts[3]
	} else {
		id.Seq = 0
	}
	return id, true
}

// Last is the last number that was given to a kind.
func (s State) Last(kind string) uint64 { return s.d.Seq[kind] }

// Epoch is the epoch of the store whose records this reporter makes.
func (r *Reporter) Epoch() int64 { return r.set.Epoch }

// WithEpoch is the same reporter for another epoch of the store.
func (r *Reporter) WithEpoch(epoch int64) *Reporter {
	next := *r
	next.set.Epoch = epoch
	next.devices = make(map[string]*device, len(r.devices))
	for name, d := range r.devices {
		moved := *d
		moved.place.Epoch = epoch
		next.devices[name] = &moved
	}
	return &next
}

// recordHead is how each record begins, see payload.Head.
var recordHead = regexp.MustCompile(`^\{"v":\d+,"schema":"[^"]*","id":"([a-z0-9-]+)\.(\d+)\.([a-z0-9-]+)\.([a-z0-9_/]+)\.\d+","epoch":\d+,"seq":\d+,`)

// Renumber makes a record that got its number in another epoch of the store one of this
// reporter's: with this epoch and the next number of its kind, and with the ids of calls
// and incidents that go with it. st is the state of the record's device, and is not changed.
// What is open in it, see Carry, goes on under the id with which it was opened: a new one
// if the record is what opened it.
func (r *Reporter) Renumber(st State, record []byte) (State, uint64, []byte, error) {
	m := recordHead.FindSubmatchIndex(record)
	if m == nil {
		return st, 0, record, fmt.Errorf("renumber a record: it does not begin as one: %.80q", record)
	}
	part := func(i int) string { return string(record[m[2*i]:m[2*i+1]]) }
	client, old, device, kind := part(1), part(2), part(3), part(4)
	next := st.clone()
	seq := next.d.next(kind)
	epoch := strconv.FormatInt(r.set.Epoch, 10)
	schema := record[:bytes.Index(record, []byte(`"id":"`))]
	head := fmt.Sprintf(`"id":"%s.%s.%s.%s.%d","epoch":%s,"seq":%d,`, client, epoch, device, kind, seq, epoch, seq)
	// Only an id is a text that begins with client and epoch.
	rest := bytes.ReplaceAll(record[m[1]:], []byte(`"`+client+`.`+old+`.`), []byte(`"`+client+`.`+epoch+`.`))
	next.d.renameOpen(func(id string, opened int64) string {
		name, isOld := strings.CutPrefix(id, client+"."+old+".")
		renamed := client + "." + epoch + "." + name
		switch here := bytes.Contains(rest, []byte(`"`+renamed+`"`)); {
		case !isOld || !here:
			return id
		case timeOf(rest) <= opened, bytes.Contains(rest, []byte(`"incident_id":"`+renamed+`"`)):
			return renamed
		}
		rest = bytes.ReplaceAll(rest, []byte(`"`+renamed+`"`), []byte(`"`+id+`"`))
		return id
	})
	return next, seq, append(append(bytes.Clone(schema), head...), rest...), nil
}

// timeOf reads ts_ms of a record behind recordHead.
func timeOf(rest []byte) (ms int64) {
	number, _, _ := bytes.Cut(bytes.TrimPrefix(rest, []byte(`"ts_ms":`)), []byte(","))
	ms, _ = strconv.ParseInt(string(number), 10, 64)
	return ms
}
