package buffer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/golang/snappy"
)

// FormatVersion is the version of everything that is on disk.
//
// What is on disk is frames: a magic of three letters and the version, fields of
// fixed size (big-endian) and texts, and a CRC-32C of all that. A frame begins
// and ends so in this and in every later format, so an old program can tell a
// newer store from a damaged one, and a scan finds records in a file whose tree
// is gone. There are three kinds: head, pack and quarantined record. A state
// blob is its bytes, packed, and the CRC-32C of that, without a magic. Packing is
// snappy's.
//
// Format 4 packs records together: the records of a poll say much the same, and need less
// than half the bytes that they need alone.
// Format 3 has small blocks, see segment.go, packed states, and a frame for each record, of
// which the payload is packed.
// Format 2 has states that are not a device's, the store's own clock among them, which
// programs of format 1 do not understand.
// A segment of an older format is read, and not written on.
const FormatVersion = 4

const (
	headMagic       = "rch"
	packMagic       = "rcp"
	recordMagic     = "rcr" // up to format 3
	quarantineMagic = "rcq"
	magicSize       = 4
	crcSize         = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newFrame begins a frame; sealed ends it, or a state blob.
func newFrame(magic string, size int) []byte {
	return append(append(make([]byte, 0, size), magic...), FormatVersion)
}

func sealed(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unsealed checks the CRC-32C at the end of b and returns what is before it.
func unsealed(b []byte) ([]byte, bool) {
	n := len(b) - crcSize
	if n < 0 || crc32.Checksum(b[:n], castagnoli) != binary.BigEndian.Uint32(b[n:]) {
		return nil, false
	}
	return b[:n:n], true
}

// openFrame checks magic, version and CRC and returns the fields.
func openFrame(magic string, b []byte) ([]byte, error) {
	in, ok := unsealed(b)
	if !ok || len(in) < magicSize || string(in[:3]) != magic {
		return nil, damagedf("a frame %q fails its check", magic)
	}
	if in[3] > FormatVersion {
		return nil, fmt.Errorf("%w: format %d, this program knows up to %d", ErrNewer, in[3], FormatVersion)
	}
	return in[magicSize:], nil
}

// head is what a segment says about the store as of its last commit.
type head struct {
	epoch        int64  // see NewEpoch
	next         uint64 // position of the next record
	batch        uint64 // number of the last committed batch
	cursor       uint64 // everything up to it is delivered
	evicted      uint64 // everything up to it is evicted
	count        uint64 // records in this segment
	payloadBytes uint64 // in this segment
	clock        int64  // store clock, ms
	wall         int64  // wall clock at that moment, Unix ms
	tx           uint64 // bbolt's number of the transaction that wrote it
	format       byte   // of the segment; an encoded head has FormatVersion
}

const headSize = magicSize + 10*8 + crcSize

func (h head) encode() []byte {
	b := newFrame(headMagic, headSize)
	for _, v := range []uint64{uint64(h.epoch), h.next, h.batch, h.cursor, h.evicted, h.count, h.payloadBytes, uint64(h.clock), uint64(h.wall), h.tx} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return sealed(b)
}

func decodeHead(b []byte) (h head, err error) {
	in, err := openFrame(headMagic, b)
	if err != nil {
		return h, err
	}
	if len(b) != headSize {
		return h, damagedf("the head has %d bytes, expected %d", len(b), headSize)
	}
	v := func(i int) uint64 { return binary.BigEndian.Uint64(in[8*i:]) }
	return head{
		epoch: int64(v(0)), next: v(1), batch: v(2), cursor: v(3), evicted: v(4),
		count: v(5), payloadBytes: v(6), clock: int64(v(7)), wall: int64(v(8)), tx: v(9),
		format: b[magicSize-1],
	}, nil
}

// The fields of a record: flags (1 byte), position (8), batch (8), store clock ms (8),
// time ms (8), fresh ms (4), num (8), lane length (1), lane, payload length (4), payload.
const (
	flagRequeued = 1 // see Requeue
	flagPacked   = 2 // the payload is packed; up to format 3

	fieldsFixed    = 1 + 8 + 8 + 8 + 8 + 4 + 8 + 1 // up to the lane
	recordOverhead = fieldsFixed + 4
	maxRecord      = recordOverhead + MaxLane + MaxPayload
)

// A pack on disk: magic "rcp" and version, length (4), the fields of its records one
// after the other, packed, CRC-32C. Its records have rising positions. When they have
// packBytes unpacked, a pack is full: so far back snappy looks, and so much a page that
// the disk has lost may cost.
const (
	packBytes    = 64 << 10
	packOverhead = magicSize + 4 + crcSize
	maxUnpacked  = packBytes + maxRecord
)

// maxFrame is the size of the largest pack.
var maxFrame = packOverhead + snappy.MaxEncodedLen(maxUnpacked)

var (
	errCut = damagedf("a record is cut short")
	errNot = damagedf("there is no record")
)

// pack is records as they are on disk.
type pack struct {
	first uint64 // position
	frame []byte
}

// size is what a pack takes of its block.
func (p pack) size() int { return len(p.frame) + 8 + 16 } // its key and what bbolt notes of it

// packed makes packs of records, which are in the order of their positions.
func packed(items []Item) (packs []pack) {
	size := 0
	for _, it := range items {
		size += recordOverhead + len(it.Lane) + len(it.Payload)
	}
	fields := make([]byte, 0, min(size, 2*packBytes))
	from := 0 // the first of them
	for i, it := range items {
		if fields = appendFields(fields, it); len(fields) < packBytes && i < len(items)-1 {
			continue
		}
		frame := newFrame(packMagic, packOverhead+len(fields)/2)
		body := snappy.Encode(nil, fields)
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(body)))
		packs = append(packs, pack{items[from].Pos, sealed(append(frame, body...))})
		fields, from = fields[:0], i+1
	}
	return packs
}

func appendFields(b []byte, it Item) []byte {
	flags := byte(0)
	if it.requeued {
		flags = flagRequeued
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, it.Pos)
	b = binary.BigEndian.AppendUint64(b, it.batch)
	b = binary.BigEndian.AppendUint64(b, uint64(it.acceptedAt))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(it.Fresh.Milliseconds(), 0), 1<<32-1)))
	b = binary.BigEndian.AppendUint64(b, it.Num)
	b = append(b, byte(len(it.Lane)))
	b = append(b, it.Lane...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(it.Payload)))
	return append(b, it.Payload...)
}

// cutFields reads the fields at the start of b. It returns the item, whose payload is a part
// of b, whether that is packed still, and what follows.
func cutFields(b []byte) (it Item, payloadPacked bool, rest []byte, err error) {
	n, err := fieldsSize(b)
	if err != nil {
		return it, false, nil, err
	}
	at := 1
	u64 := func() uint64 { at += 8; return binary.BigEndian.Uint64(b[at-8:]) }
	it.requeued = b[0]&flagRequeued != 0
	it.Pos, it.batch, it.acceptedAt = u64(), u64(), int64(u64())
	it.Time = time.UnixMilli(int64(u64())).UTC()
	it.Fresh = time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Millisecond
	at += 4
	it.Num = u64()
	lane := fieldsFixed + int(b[fieldsFixed-1])
	it.Lane = string(b[fieldsFixed:lane])
	it.Payload = b[lane+4 : n : n]
	return it, b[0]&flagPacked != 0, b[n:], nil
}

// fieldsSize is how long the fields at the start of b are.
func fieldsSize(b []byte) (int, error) {
	if len(b) < recordOverhead {
		return 0, errCut
	}
	lane := fieldsFixed + int(b[fieldsFixed-1])
	if len(b) < lane+4 {
		return 0, errCut
	}
	payload := binary.BigEndian.Uint32(b[lane:])
	if payload > MaxPayload || len(b) < lane+4+int(payload) {
		return 0, errCut
	}
	return lane + 4 + int(payload), nil
}

// unpacked is what was packed with snappy, of most bytes at most. It is no part of b, and
// never nil, which as a state would be none.
func unpacked(b []byte, most int) ([]byte, error) {
	n, err := snappy.DecodedLen(b)
	if err == nil && n > most {
		err = fmt.Errorf("%d bytes, at most %d are allowed", n, most)
	}
	if err == nil {
		b, err = snappy.Decode(make([]byte, n), b)
	}
	if err != nil {
		return nil, damagedf("unpack: %w", err)
	}
	return b, nil
}

// decodeRecords reads the pack at the start of b, or the record of format 1, 2 or 3. It
// returns the items, which have no part of b, and the size of it all in b.
func decodeRecords(b []byte) (items []Item, size int, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(packMagic)):
		return decodePack(b)
	case bytes.HasPrefix(b, []byte(recordMagic)):
		it, size, err := decodeRecord(b)
		return []Item{it}, size, err
	}
	return nil, 0, errNot
}

func decodePack(b []byte) (items []Item, size int, err error) {
	if len(b) < packOverhead {
		return nil, 0, errCut
	}
	n := binary.BigEndian.Uint32(b[magicSize:])
	if int64(n) > int64(min(len(b), maxFrame)-packOverhead) { // a scan meets what only looks like a pack
		return nil, 0, errCut
	}
	size = packOverhead + int(n)
	in, err := openFrame(packMagic, b[:size])
	if err != nil {
		return nil, 0, err
	}
	fields, err := unpacked(in[4:], maxUnpacked)
	if err != nil {
		return nil, 0, err
	}
	for len(fields) > 0 {
		var it Item
		if it, _, fields, err = cutFields(fields); err != nil {
			return nil, 0, err
		}
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, 0, errNot
	}
	return items, size, nil
}

// decodeRecord reads the record of format 1, 2 or 3 at the start of b: magic "rcr" and
// version, its fields, CRC-32C.
func decodeRecord(b []byte) (it Item, size int, err error) {
	fields, err := fieldsSize(b[min(magicSize, len(b)):])
	if size = magicSize + fields + crcSize; err != nil || len(b) < size {
		return it, 0, errCut
	}
	in, err := openFrame(recordMagic, b[:size])
	if err != nil {
		return it, 0, err
	}
	it, payloadPacked, _, err := cutFields(in)
	if err == nil && payloadPacked {
		it.Payload, err = unpacked(it.Payload, MaxPayload)
	} else {
		it.Payload = bytes.Clone(it.Payload)
	}
	return it, size, err
}

// A quarantined record on disk: magic "rcq" and version, time (Unix ms, 8 bytes),
// length of the reason (2), reason, the record as a pack of its own, CRC-32C.
func encodeQuarantined(o Quarantined) []byte {
	b := newFrame(quarantineMagic, 64+len(o.Reason)+recordOverhead+len(o.Lane)+len(o.Payload))
	b = binary.BigEndian.AppendUint64(b, uint64(o.Since.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.Reason)))
	b = append(b, o.Reason...)
	return sealed(append(b, packed([]Item{o.Item})[0].frame...))
}

func decodeQuarantined(b []byte) (o Quarantined, err error) {
	in, err := openFrame(quarantineMagic, b)
	if err != nil {
		return o, err
	}
	if len(in) < 10 || len(in) < 10+int(binary.BigEndian.Uint16(in[8:])) {
		return o, errCut
	}
	o.Since = time.UnixMilli(int64(binary.BigEndian.Uint64(in))).UTC()
	end := 10 + int(binary.BigEndian.Uint16(in[8:]))
	o.Reason = string(in[10:end])
	items, _, err := decodeRecords(in[end:])
	if err == nil {
		o.Item = items[0]
	}
	return o, err
}

// posKey is a position as a key: big-endian, so that key order is queue order.
func posKey(pos uint64) []byte { return binary.BigEndian.AppendUint64(nil, pos) }

// stateOf is a state blob as segments of that format have it. It is no part of b.
func stateOf(b []byte, format byte) ([]byte, error) {
	if format < 3 {
		return bytes.Clone(b), nil
	}
	return unpacked(b, MaxState)
}
