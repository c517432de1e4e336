package buffer

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrLocked: another process (or another Queue) has the folder open.
	ErrLocked = errors.New("already running: the store is in use by another process")
	// ErrNewer: a newer version of the program wrote the store; it was left untouched.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrFull: the disk is full. Nothing was written and the store stays usable.
	ErrFull = errors.New("disk full")
	// ErrBusy: a commit does not return, as on a disk that hangs. Nothing was done.
	ErrBusy = errors.New("the disk does not answer")
	// ErrClosed: the queue is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrRefused: the batch breaks a bound; it would be refused again.
	ErrRefused = errors.New("the batch is refused")
	// ErrNotFound: no record is at that position.
	ErrNotFound = errors.New("no such record")
)

// errDamaged marks bytes on disk that are not what was written. A lock, a
// permission, a full disk or too many open files never carry it.
var errDamaged = errors.New("damaged segment")

func damagedf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
}

// damagedError is errDamaged with the segment it was met in.
type damagedError struct {
	path string
	err  error
}

func (e *damagedError) Error() string { return fmt.Sprintf("read segment %s: %v", e.path, e.err) }
func (e *damagedError) Unwrap() error { return e.err }

// asFull marks err with ErrFull when the disk is full. bbolt turns some errors
// into text, so the text counts too.
func asFull(err error) error {
	if err == nil || errors.Is(err, ErrFull) {
		return err
	}
	for _, no := range fullErrnos {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
		if strings.Contains(err.Error(), no.Error()) {
			return fmt.Errorf("%w: %w: %w", ErrFull, syscall.ENOSPC, err)
		}
	}
	return err
}
