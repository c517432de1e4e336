package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Bounds of what one append takes.
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
	kept int64 // store clock when accepted, ms: what ages are counted from
}

// Batch is what one transaction commits.
type Batch struct {
	Records []Record
	State   map[string][]byte // keys to replace; a nil value deletes the key
	Evict   *Eviction         // an eviction from Due that this batch commits
	Damage  []Damage          // reports that this batch announces; they are on disk until then
}

// An envelope is what a record looks like on disk (all integers big-endian):
//
//	magic "rcr", version (1 byte), flags (1), position (8), batch (8),
//	store clock ms (8), time ms (8), fresh ms (4), num (8),
//	lane length (1), lane, payload length (4), payload, CRC-32C (4)
//
// The CRC covers everything before it. The magic lets a scan find records in a
// file whose tree is gone.
const (
	envVersion  = 1
	envFixed    = 4 + 1 + 8 + 8 + 8 + 8 + 4 + 8 + 1
	envOverhead = envFixed + 4 + 4
)

var (
	envMagic   = []byte{'r', 'c', 'r', envVersion}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checkBatch(b Batch) error {
	total := 0
	for i, r := range b.Records {
		switch {
		case len(r.Lane) == 0 || len(r.Lane) > MaxLane:
			return fmt.Errorf("append record %d: %w: lane has %d bytes, allowed are 1 to %d", i, ErrRefused, len(r.Lane), MaxLane)
		case len(r.Payload) > MaxPayload:
			return fmt.Errorf("append record %d: %w: payload has %d bytes, at most %d are allowed", i, ErrRefused, len(r.Payload), MaxPayload)
		}
		total += envOverhead + len(r.Lane) + len(r.Payload)
	}
	if total > MaxBatch {
		return fmt.Errorf("append: %w: it has %d bytes, at most %d are allowed", ErrRefused, total, MaxBatch)
	}
	return nil
}

// encodeEnvelope returns the record as it is kept on disk.
func encodeEnvelope(it *Item, batch uint64) []byte {
	b := make([]byte, 0, envOverhead+len(it.Lane)+len(it.Payload))
	b = append(b, envMagic...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, it.Pos)
	b = binary.BigEndian.AppendUint64(b, batch)
	b = binary.BigEndian.AppendUint64(b, uint64(it.kept))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, clampMs(it.Fresh))
	b = binary.BigEndian.AppendUint64(b, it.Num)
	b = append(b, byte(len(it.Lane)))
	b = append(b, it.Lane...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(it.Payload)))
	b = append(b, it.Payload...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func clampMs(d time.Duration) uint32 {
	ms := d.Milliseconds()
	return uint32(min(max(ms, 0), 1<<32-1))
}

var errEnvelope = errors.New("record envelope is damaged")

// decodeEnvelope reads one envelope from the start of b. It returns the item,
// whose payload is a part of b, the batch number and the envelope's length.
func decodeEnvelope(b []byte) (it Item, batch uint64, n int, err error) {
	if len(b) < envOverhead || string(b[:4]) != string(envMagic) {
		return it, 0, 0, errEnvelope
	}
	laneLen := int(b[envFixed-1])
	if len(b) < envOverhead+laneLen {
		return it, 0, 0, errEnvelope
	}
	size := binary.BigEndian.Uint32(b[envFixed+laneLen:])
	if size > MaxPayload || len(b) < envOverhead+laneLen+int(size) {
		return it, 0, 0, errEnvelope
	}
	n = envOverhead + laneLen + int(size)
	if crc32.Checksum(b[:n-4], castagnoli) != binary.BigEndian.Uint32(b[n-4:]) {
		return it, 0, 0, errEnvelope
	}
	it.Pos = binary.BigEndian.Uint64(b[5:])
	batch = binary.BigEndian.Uint64(b[13:])
	it.kept = int64(binary.BigEndian.Uint64(b[21:]))
	it.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(b[29:]))).UTC()
	it.Fresh = time.Duration(binary.BigEndian.Uint32(b[37:])) * time.Millisecond
	it.Num = binary.BigEndian.Uint64(b[41:])
	it.Lane = string(b[envFixed : envFixed+laneLen])
	payload := b[envFixed+laneLen+4 : n-4]
	it.Payload = payload[:len(payload):len(payload)]
	return it, batch, n, nil
}

// posKey is a position as a key: big-endian, so that key order is queue order.
func posKey(pos uint64) []byte { return binary.BigEndian.AppendUint64(nil, pos) }
