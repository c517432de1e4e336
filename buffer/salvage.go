package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// finding is what a scan found in a file without its tree.
type finding struct {
	records      []Item // whole ones by position, each once
	payloadBytes uint64 // of the records
	heads        []head // every whole head, in file order
	failed       int    // pages that could not be read
	pages        int    // how many of 4 KiB could be read
	batch        uint64 // highest batch number of a record or head, whatever its position
}

// scanFile searches a file, in one pass, for whole heads and for whole records with
// positions from first to last. Copies of one record, which pages in disuse hold,
// are the same record: a position is never used twice within the range of a
// segment. When a page cannot be read the error is errUnreadable: the scan ends there,
// or with byPage goes on as if the page were zeros.
func scanFile(path string, first, last uint64, byPage bool) (*finding, error) {
	out := &finding{}
	f, err := os.Open(path)
	if err != nil {
		return out, err
	}
	defer f.Close()
	st, err := f.Stat() // where nothing can be read, no read tells the end
	if err != nil {
		return out, unreadable(err)
	}
	seen := map[uint64]Item{}
	var failed error
	const window = 4 << 20
	buf := make([]byte, window+maxFrame)
	for base := int64(0); ; base += window {
		left := buf[:max(0, min(int64(len(buf)), st.Size()-base))]
		n, err := out.readAround(readerOf(f), left, base)
		if err != nil && !byPage {
			return out, err
		}
		if failed == nil {
			failed = err
		}
		for at := 0; at < min(n, window); {
			i := bytes.Index(buf[at:n], []byte("rc"))
			if i < 0 || at+i >= window {
				break
			}
			at += i + out.add(buf[at+i:n], first, last, seen)
		}
		if n <= window {
			break
		}
	}
	for _, r := range seen {
		out.records = append(out.records, r)
		out.payloadBytes += uint64(len(r.Payload))
	}
	sort.Slice(out.records, func(i, j int) bool { return out.records[i].Pos < out.records[j].Pos })
	return out, failed
}

// add adds the head or records that begin at b, if some do, and returns how many bytes
// they have, else 1.
func (f *finding) add(b []byte, first, last uint64, seen map[uint64]Item) int {
	if len(b) >= headSize && string(b[:3]) == headMagic {
		if h, err := decodeHead(b[:headSize]); err == nil {
			f.heads = append(f.heads, h)
			f.batch = max(f.batch, h.batch)
			return headSize
		}
	}
	items, n, err := decodeRecords(b)
	if err != nil {
		return 1
	}
	for _, it := range items {
		f.batch = max(f.batch, it.batch)
		if _, known := seen[it.Pos]; !known && it.Pos >= first && it.Pos <= last {
			seen[it.Pos] = it
		}
	}
	return n
}

// maxSteady bounds the pauses of a scan: where more pages cannot be read, each is
// tried once.
const maxSteady = 256

// readAround reads like ReadAt to the end of the file, but treats pages that cannot be
// read as zeros, and returns the first error of one.
func (f *finding) readAround(r io.ReaderAt, buf []byte, base int64) (n int, failed error) {
	n, err := steady{r}.ReadAt(buf, base)
	if err == nil || errors.Is(err, io.EOF) {
		f.pages += (n + pageSize - 1) / pageSize
		return n, nil
	}
	for n = 0; n < len(buf); n += pageSize {
		page, from := buf[n:min(n+pageSize, len(buf))], r
		if f.failed < maxSteady {
			from = steady{r}
		}
		got, err := from.ReadAt(page, base+int64(n))
		switch {
		case err == nil:
			f.pages++
		case errors.Is(err, io.EOF):
			f.pages += (got + pageSize - 1) / pageSize
			return n + got, failed
		default:
			f.failed++
			if clear(page); failed == nil {
				failed = fmt.Errorf("page at %d: %w", base+int64(n), unreadable(err))
			}
		}
	}
	return len(buf), failed
}
