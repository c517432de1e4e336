// Package durable writes files that survive a power cut.
//
// A file system keeps what a program wrote in memory until it is told to flush
// it, and it may put the name of a file on the disk before its bytes. So a file
// that matters is written under a temporary name, flushed, renamed, and then the
// folder is flushed: after a power cut the name leads to the old file or to the
// new one, never to a part of it.
//
// FS is the seam through which this is done. Package durabletest has an FS that
// records the order of writes, flushes and names, and shows what a power cut at
// any moment would leave.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is everything that is done to files which must survive a power cut. All
// errors are those of package os.
type FS interface {
	// Create makes an empty file that did not exist.
	Create(path string, perm fs.FileMode) (File, error)
	// OpenWrite opens an existing file for writing.
	OpenWrite(path string) (File, error)
	// Rename gives a file another name, in place of a file that has it already.
	Rename(from, to string) error
	// Link gives a file a second name. Not every file system can do that.
	Link(from, to string) error
	Remove(path string) error
	Truncate(path string, size int64) error
	Mkdir(path string, perm fs.FileMode) error
	// SyncDir flushes the names in a folder: new, changed and removed ones.
	SyncDir(dir string) error
}

// File is an open file of an FS.
type File interface {
	io.Writer
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync flushes the bytes of the file; the name is flushed by FS.SyncDir.
	Sync() error
}

// OS is the file system of this machine.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Create(path string, perm fs.FileMode) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}
func (osFS) OpenWrite(path string) (File, error)       { return os.OpenFile(path, os.O_WRONLY, 0) }
func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Link(from, to string) error                { return os.Link(from, to) }
func (osFS) Remove(path string) error                  { return os.Remove(path) }
func (osFS) Truncate(path string, size int64) error    { return os.Truncate(path, size) }
func (osFS) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }
func (osFS) SyncDir(dir string) error                  { return syncDir(dir) }

// WriteFile makes a file with the given bytes, in place of an old one. When it
// returns nil the file is on disk; at an error, a kill or a power cut the old
// file is there, or the new one. The temporary file is path + ".tmp", so two
// writers of one file must not run at the same time.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return Write(OS, path, data, perm)
}

// Write is WriteFile on another file system.
func Write(fsys FS, path string, data []byte, perm fs.FileMode) error {
	tmp := path + ".tmp"
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = Publish(fsys, tmp, path)
	}
	if err != nil {
		fsys.Remove(tmp)
	}
	return err
}

// Publish flushes the finished file tmp and gives it its name, durably.
func Publish(fsys FS, tmp, path string) error {
	if err := SyncFile(fsys, tmp); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// SyncFile flushes the bytes of a file that somebody else has written.
func SyncFile(fsys FS, path string) error {
	f, err := fsys.OpenWrite(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// MkdirAll makes a folder with all its parents; the new ones are on disk when it
// returns nil.
func MkdirAll(fsys FS, dir string, perm fs.FileMode) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(fsys, parent, perm); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(dir, perm); err != nil {
		if st, statErr := os.Stat(dir); statErr == nil && st.IsDir() {
			return nil // somebody else made it meanwhile
		}
		return err
	}
	return fsys.SyncDir(parent)
}
