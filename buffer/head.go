package buffer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// head is what a segment says about the store as of its last commit.
type head struct {
	epoch   int64  // Unix second of the store's creation
	next    uint64 // position of the next record
	batch   uint64 // number of the last committed batch
	cursor  uint64 // everything up to it is delivered
	evicted uint64 // everything up to it is evicted
	count   uint64 // records in this segment
	bytes   uint64 // payload bytes in this segment
	clock   int64  // store clock, ms
	wall    int64  // wall clock at that moment, Unix ms
	tx      uint64 // bbolt's number of the transaction that wrote it
}

// delivered is the cursor, or the position that a mark says, if that is further.
func (h head) delivered(mark uint64) uint64 { return min(max(h.cursor, mark), h.next-1) }

// FormatVersion is the version of the whole on-disk format. The head begins with
// magic and version and ends with a CRC-32C in this and in every later format,
// so an old program can tell a newer store from a damaged one.
const (
	FormatVersion = 1
	headSize      = 4 + 10*8 + 4
)

// Names inside a segment. Records are in blocks, one bucket each of at most
// blockBytes, named "r" + first position: so a commit rewrites one branch page
// of a small tree, not two or three of a large one.
var (
	metaBucket  = []byte("m")
	headKey     = []byte("head")
	statePrefix = byte('s')
	blockPrefix = byte('r')
)

func (h head) encode() []byte {
	b := make([]byte, 0, headSize)
	b = append(b, 'r', 'c', 'h', FormatVersion)
	for _, v := range []uint64{uint64(h.epoch), h.next, h.batch, h.cursor, h.evicted, h.count, h.bytes, uint64(h.clock), uint64(h.wall), h.tx} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeHead(b []byte) (h head, err error) {
	if len(b) < 8 || string(b[:3]) != "rch" || !crcOK(b) {
		return h, damagedf("head of the segment is damaged")
	}
	if b[3] > FormatVersion {
		return h, fmt.Errorf("%w: format %d, this program knows up to %d", ErrNewer, b[3], FormatVersion)
	}
	if len(b) != headSize {
		return h, damagedf("head of the segment has %d bytes, expected %d", len(b), headSize)
	}
	v := func(i int) uint64 { return binary.BigEndian.Uint64(b[4+8*i:]) }
	return head{
		epoch: int64(v(0)), next: v(1), batch: v(2), cursor: v(3), evicted: v(4),
		count: v(5), bytes: v(6), clock: int64(v(7)), wall: int64(v(8)), tx: v(9),
	}, nil
}

// crcOK says whether the last four bytes of b are the CRC-32C of the rest.
func crcOK(b []byte) bool {
	n := len(b) - 4
	return n >= 0 && crc32.Checksum(b[:n], castagnoli) == binary.BigEndian.Uint32(b[n:])
}

// sealBlob and openBlob put a state blob into an envelope of its own and take it
// out again.
func sealBlob(b []byte) []byte {
	out := append(make([]byte, 0, len(b)+4), b...)
	return binary.BigEndian.AppendUint32(out, crc32.Checksum(b, castagnoli))
}

func openBlob(b []byte) ([]byte, error) {
	if !crcOK(b) {
		return nil, damagedf("state blob is damaged")
	}
	return append([]byte{}, b[:len(b)-4]...), nil
}
