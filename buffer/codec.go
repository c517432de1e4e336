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
// is gone. There are three kinds: head, record and quarantined record. A state
// blob is its bytes, packed, and the CRC-32C of that, without a magic.
//
// Format 3 packs payloads and states with snappy: half the bytes, for 2 µs a record; and
// it has small blocks, see segment.go. A segment of an older format is read, and not
// written on.
// Format 2 has states that are not a device's, the store's own clock among them, which
// programs of format 1 do not understand.
const FormatVersion = 3

const (
	headMagic       = "rch"
	recordMagic     = "rcr"
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

// A record on disk: magic "rcr" and version, flags (1 byte), position (8),
// batch (8), store clock ms (8), time ms (8), fresh ms (4), num (8), lane length
// (1), lane, payload length (4), payload, CRC-32C. A payload is packed where that makes
// it shorter.
const (
	flagRequeued = 1 // see Requeue
	flagPacked   = 2 // the payload is packed

	recordFixed    = magicSize + 1 + 8 + 8 + 8 + 8 + 4 + 8 + 1 // up to the lane
	recordOverhead = recordFixed + 4 + crcSize
	maxRecord      = recordOverhead + MaxLane + MaxPayload
)

var errCut = damagedf("a record is cut short")

func encodeRecord(it *Item, batch uint64) []byte {
	payload, flags := it.Payload, byte(0)
	if packed := snappy.Encode(nil, payload); len(packed) < len(payload) {
		payload, flags = packed, flagPacked
	}
	if it.requeued {
		flags |= flagRequeued
	}
	b := newFrame(recordMagic, recordOverhead+len(it.Lane)+len(payload))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, it.Pos)
	b = binary.BigEndian.AppendUint64(b, batch)
	b = binary.BigEndian.AppendUint64(b, uint64(it.acceptedAt))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(it.Fresh.Milliseconds(), 0), 1<<32-1)))
	b = binary.BigEndian.AppendUint64(b, it.Num)
	b = append(b, byte(len(it.Lane)))
	b = append(b, it.Lane...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, payload...)
	return sealed(b)
}

// unpacked is what was packed with snappy, of most bytes at most. It is no part of b.
func unpacked(b []byte, most int) ([]byte, error) {
	n, err := snappy.DecodedLen(b)
	if err == nil && n > most {
		err = fmt.Errorf("%d bytes, at most %d are allowed", n, most)
	}
	if err == nil {
		b, err = snappy.Decode(nil, b)
	}
	if err != nil {
		return nil, damagedf("unpack: %w", err)
	}
	return b, nil
}

// decodeRecord reads the record at the start of b. It returns the item, which has no
// part of b, the number of the batch it came with, and its size in b.
func decodeRecord(b []byte) (it Item, batch uint64, size int, err error) {
	if len(b) < recordOverhead {
		return it, 0, 0, errCut
	}
	lane := recordFixed + int(b[recordFixed-1])
	if len(b) < lane+4+crcSize {
		return it, 0, 0, errCut
	}
	payload := binary.BigEndian.Uint32(b[lane:])
	if payload > MaxPayload || len(b) < lane+4+int(payload)+crcSize {
		return it, 0, 0, errCut
	}
	size = lane + 4 + int(payload) + crcSize
	if _, err = openFrame(recordMagic, b[:size]); err != nil {
		return it, 0, 0, err
	}
	at := magicSize + 1
	it.requeued = b[magicSize]&flagRequeued != 0
	u64 := func() uint64 { at += 8; return binary.BigEndian.Uint64(b[at-8:]) }
	it.Pos, batch, it.acceptedAt = u64(), u64(), int64(u64())
	it.Time = time.UnixMilli(int64(u64())).UTC()
	it.Fresh = time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Millisecond
	at += 4
	it.Num = u64()
	it.Lane = string(b[recordFixed:lane])
	if packed := b[lane+4 : size-crcSize]; b[magicSize]&flagPacked == 0 {
		it.Payload = bytes.Clone(packed)
	} else if it.Payload, err = unpacked(packed, MaxPayload); err != nil {
		return it, 0, 0, err
	}
	return it, batch, size, nil
}

// A quarantined record on disk: magic "rcq" and version, time (Unix ms, 8 bytes),
// length of the reason (2), reason, the record as a frame of its own, CRC-32C.
func encodeQuarantined(o Quarantined) []byte {
	b := newFrame(quarantineMagic, 64+len(o.Reason)+recordOverhead+len(o.Lane)+len(o.Payload))
	b = binary.BigEndian.AppendUint64(b, uint64(o.Since.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.Reason)))
	b = append(b, o.Reason...)
	return sealed(append(b, encodeRecord(&o.Item, 0)...))
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
	o.Item, _, _, err = decodeRecord(in[end:])
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
