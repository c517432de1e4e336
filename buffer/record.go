package buffer

import (
	"fmt"
	"time"
)

// Bounds of what one append accepts.
const (
	MaxLane    = 255      // bytes of Record.Lane
	MaxPayload = 1 << 20  // bytes of Record.Payload
	MaxState   = 32 << 20 // bytes of all state blobs and their keys together
	MaxBatch   = 8 << 20  // bytes of all records of a batch together
)

// Record is one opaque record.
type Record struct {
	Lane    string        // topic key, e.g. "room-1/sample"; 1 to MaxLane bytes
	Num     uint64        // the record's number in its lane
	Time    time.Time     // kept with millisecond precision, returned as UTC
	Fresh   time.Duration // carried along, ms precision, at most 49 days
	Payload []byte        // at most MaxPayload bytes
}

// Item is a record with its position in the queue. Positions start at 1 and
// rise; damage and requeued records may leave holes.
type Item struct {
	Pos uint64
	Record
	requeued   bool   // out of order: its number says nothing about its neighbours
	batch      uint64 // number of the batch it came with
	acceptedAt int64  // store clock when accepted, ms: what ages are counted from
}

// Batch is what one transaction commits.
type Batch struct {
	Records  []Record
	State    map[string][]byte // keys to replace; a nil value deletes the key
	Evict    *Eviction         // an eviction from MakeRoom, or Replaced, that this batch commits
	Damage   []Damage          // reports that this batch announces; they are on disk until then
	requeued bool
	Epoch    int64 // the store's new epoch, 0 = it stays
}

// check refuses what breaks a bound.
func (b Batch) check() error {
	total := 0
	for i, r := range b.Records {
		switch {
		case len(r.Lane) == 0 || len(r.Lane) > MaxLane:
			return fmt.Errorf("append record %d: %w: lane has %d bytes, allowed are 1 to %d", i, ErrRefused, len(r.Lane), MaxLane)
		case len(r.Payload) > MaxPayload:
			return fmt.Errorf("append record %d: %w: payload has %d bytes, at most %d are allowed", i, ErrRefused, len(r.Payload), MaxPayload)
		}
		total += recordOverhead + len(r.Lane) + len(r.Payload)
	}
	if total > MaxBatch {
		return fmt.Errorf("append: %w: it has %d bytes, at most %d are allowed", ErrRefused, total, MaxBatch)
	}
	return nil
}

// Room is what the batch adds to a segment at most, in bytes, if packing shortens nothing:
// full pages, and the pages that each commit writes anew. Records of which a page holds
// one need more; the reserve of MakeRoom is for them.
func (b Batch) Room() int64 {
	n := int64(0)
	for _, r := range b.Records {
		n += int64(recordOverhead + len(r.Lane) + len(r.Payload) + 8 + 16)
	}
	for k, v := range b.State {
		n += int64(len(k) + len(v) + 32)
	}
	return n + n/4 + 8*pageSize
}
