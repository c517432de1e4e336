package buffer

import (
	"testing"

	"go.etcd.io/bbolt"

	"roomcall/durable"
)

// Faulty has every read of a segment and everything that the store does to files ask
// fail first, by the name of the operation.
func Faulty(t testing.TB, o Options, fail func(op string) error) Options {
	failReads(t, func(string, int64, int) error { return fail("read") })
	o.fs = faultyFS{durable.OS, fail}
	o.opened = func(db *bbolt.DB) {
		hook := writeHook(t, db)
		real := *hook
		*hook = func(b []byte, off int64) (int, error) {
			if err := fail("write"); err != nil {
				return 0, err
			}
			return real(b, off)
		}
	}
	return o
}

// Crash leaves a store as a kill does.
func Crash(q *Queue) { crash(q) }

// faultyFS is a file system that fails when fail says so.
type faultyFS struct {
	durable.FS
	fail func(op string) error
}

func (f faultyFS) Truncate(path string, size int64) error {
	if err := f.fail("truncate"); err != nil {
		return err
	}
	return f.FS.Truncate(path, size)
}

func (f faultyFS) Rename(from, to string) error {
	if err := f.fail("rename"); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f faultyFS) Remove(path string) error {
	if err := f.fail("remove"); err != nil {
		return err
	}
	return f.FS.Remove(path)
}

func (f faultyFS) SyncDir(dir string) error {
	if err := f.fail("sync folder"); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

func (f faultyFS) OpenWrite(path string) (durable.File, error) {
	if err := f.fail("open"); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenWrite(path)
	return faultyFile{file, f.fail}, err
}

type faultyFile struct {
	durable.File
	fail func(op string) error
}

func (f faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fail("write"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f faultyFile) Sync() error {
	if err := f.fail("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}
