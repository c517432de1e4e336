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
// has come, and a whole file goes when it is delivered and no longer kept.
// The cursor and the state blobs ride in each append's transaction, and a new
// segment starts with a copy of them, so the newest valid segment always has the
// current state.
//
// Beside the segments there are small files: LOCK; CLEAN after a clean stop;
// poison-*.rec, records set aside; damage-*.json, reports that no batch has
// announced yet; delivered-*, a mark in place of a delivered segment that a full
// disk made go before a commit had the cursor; *.corrupt-*, broken segments as
// they were found.
//
// bbolt writes; sealed segments are read through a small page walk of our own
// that checks every bound (see pager), because bbolt maps files into memory and
// a damaged or truncated one ends the process with a fault. bbolt has no
// checksums either, so each record is an envelope with magic, version, position,
// length and CRC-32C.
//
// After an unclean stop, and after a failed commit, the segment in question is
// sealed as it is and the next append starts a new one. So pages that were
// written without being committed can never be mistaken for records: their
// positions belong to the next segment.
package buffer
