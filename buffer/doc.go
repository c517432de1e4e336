// Package buffer is a durable first-in first-out queue of opaque records.
//
// The promise: when Append returns nil, its records and the state blobs that
// came with them are on disk together (fsync returned), and they stay there
// until Ack says that they are delivered, or until a limit evicts them in a
// transaction that also holds the announcement. Append is all or nothing.
// Whatever is killed or cut, Open finds exactly the accepted records, in order;
// what a broken disk destroyed is reported by Damage, never passed over in
// silence and never replaced by something else.
//
// # Layout
//
// The store is a folder with a row of segments, seg-<first position, 16 hex
// digits>.db. Each is an append-only bbolt file of bounded size; only the newest
// is written. Nothing is deleted inside a file: a cursor says how far delivery
// has come, and a whole file goes when it is delivered and no longer kept; see
// progress for a picture and the rules. The cursor and the state blobs ride in
// each append's transaction, and a new segment starts with a copy of them, so the
// newest valid segment always has the current state.
//
// Beside the segments there are small files: LOCK; CLEAN after a clean stop;
// poison-*.rec, quarantined records; damage-*.json, reports that no batch has
// announced yet; delivered-*, a mark in place of a delivered segment that a full
// disk made go before a commit had the cursor; *.corrupt-*, broken segments as
// they were found, a bounded number of them. Each is written so that a power cut
// leaves the old or the new file, see package durable.
//
// The order of the keys is the queue: one walk from a position, (*Queue).records,
// serves Peek, Scan, ages, evictions and the search for what damage has taken.
// bbolt trusts the files that it maps into memory, so it reads behind a check and a
// catch, see viewSegment; and it has no checksums, so each record is a frame with
// magic, version, position, length and CRC-32C, see FormatVersion.
//
// The package panics in one case: when both meta pages of the segment that is being
// written are broken. bbolt's locks would then never be free again, and the next append
// would wait for ever; the start that follows salvages what is there. See readChunk.
//
// After an unclean stop, and after a failed commit, the segment in question stays
// as it is and the next append starts a new one. So pages that were written without
// being committed can never be mistaken for records: their positions belong to the
// next segment.
//
// # Where to look
//
//	queue.go       Options, Queue and its mutexes, Close
//	open.go        what a start finds, and what it does
//	append.go      Append: commit, next segment
//	progress.go    how a record leaves the store; Ack, and what may be removed when
//	read.go        Peek, Scan, and the walk that they share
//	evict.go       MakeRoom: limits of size and age
//	quarantine.go  records that the broker rejects
//	reads.go       reads that fail: an error of the device is not damage
//	damage.go      what happens to a broken segment; reports
//	losses.go      naming what is lost
//	copies.go      broken segments that are kept
//	info.go        Info, Verify, and reading a store that nobody has open
//	segment.go     the file: buckets, creating, committing, growing
//	tree.go        reading a file that may be broken
//	salvage.go     finding records in a file without its tree
//	codec.go       the bytes of heads, records, quarantined records
package buffer
