package buffer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// An error of the device is not a fact about the data: a read that fails now may work
// in a moment. So a read that fails is tried again, at once a few times and then by
// whoever asks next, and nothing is changed meanwhile. Only when the same place has
// failed for readPatience, while other pages of the file can be read, what is still
// there is salvaged; and never when that would take a new epoch.
const (
	readTries    = 3
	readPause    = 10 * time.Millisecond // after the first try, doubled after each
	readPatience = 2 * time.Minute
	maxOpenPause = 5 * time.Second // between two tries of Open
)

var (
	// errUnreadable marks an error of the system that a read met. Errors that say what
	// the bytes are (errDamaged, ErrNewer) and a file that is not there never carry it.
	errUnreadable = errors.New("cannot be read now")
	// errGivenUp marks damage that is a read which has failed for readPatience.
	errGivenUp = errors.New("reads have failed for minutes")
	// errFault marks damage that bbolt met as a memory fault.
	errFault = errors.New("memory fault")
)

// readerOf is how the bytes of a segment are read; tests have their own.
var readerOf = func(f *os.File) io.ReaderAt { return f }

// steady is a file each of whose reads is tried a few times.
type steady struct{ f io.ReaderAt }

func (s steady) ReadAt(b []byte, off int64) (n int, err error) {
	for try := range readTries {
		if try > 0 {
			time.Sleep(readPause << (try - 1))
		}
		if n, err = s.f.ReadAt(b, off); err == nil || errors.Is(err, io.EOF) {
			break
		}
	}
	return n, err
}

func unreadable(err error) error {
	switch {
	case err == nil, errors.Is(err, errDamaged), errors.Is(err, ErrNewer), errors.Is(err, fs.ErrNotExist), errors.Is(err, errUnreadable):
		return err
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}

// tryRead runs a read, which may be many in one, a few times while the system fails it.
func tryRead(read func() error) (err error) {
	for try := range readTries {
		if try > 0 {
			time.Sleep(readPause << (try - 1))
		}
		if err = unreadable(read()); !errors.Is(err, errUnreadable) {
			break
		}
	}
	return err
}

// readWhole reads all pages of a file and forgets them.
func readWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, io.NewSectionReader(steady{readerOf(f)}, 0, 1<<62))
	return err
}

// openAgain says whether an Open that failed may work in a moment. A missing
// permission is told at once: it takes a person.
func openAgain(err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrFull) {
		return false
	}
	if errors.Is(err, errUnreadable) {
		return true
	}
	for _, no := range passingErrnos {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// failing is a position whose read fails: how often in a row, and since when on the
// store clock, ms.
type failing struct {
	pos   uint64
	since int64
	times int
}

// readFailures are so many reads in a row, each tried readTries times: two failures
// that are minutes apart are no place that fails for minutes.
const readFailures = 10

// noteRead keeps what the read of a segment from a position on has come to, and says
// whether a place in it has failed for too long.
func (q *Queue) noteRead(s segment, from, to uint64, err error) (tooLong bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, fails := q.failing[s.path]
	switch {
	case !errors.Is(err, errUnreadable):
		if fails && from <= f.pos && f.pos <= to {
			delete(q.failing, s.path)
		}
		return false
	case !fails:
		f = failing{pos: from, since: q.at(q.o.Now())}
	}
	f.times++
	q.failing[s.path] = f
	return !q.readOnly && f.times >= readFailures && q.at(q.o.Now())-f.since >= readPatience.Milliseconds()
}
