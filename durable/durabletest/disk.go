// Package durabletest shows what a power cut leaves of the files that a program
// has written through package durable.
package durabletest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"roomcall/durable"
)

// Disk is a durable.FS over a real folder. It does what it is asked for real and
// records it, so that three things can be seen:
//
//   - a rule that is broken at once is an error of the test: a name is given to a
//     file whose bytes are not flushed, or Accepted is called while bytes or names
//     are not flushed;
//   - Log is the order of everything that happened;
//   - Cut makes the folder that a power cut after any step may leave, on a disk
//     that keeps nothing but what was flushed.
//
// What is written to a file past the seam, as bbolt does, is told with Wrote and
// Flushed.
type Disk struct {
	t   testing.TB
	dir string

	mu    sync.Mutex
	steps []step
	names map[string]int     // name below dir -> file
	dirty map[int]bool       // files with bytes that are not flushed
	fresh map[string]string  // names given since their folder was flushed -> folder
	start map[string]int     // the names at the beginning
	bytes map[int][]byte     // and their files
	files int                // files so far
	left  int                // steps until the kill; negative = none is coming
	Fail  func(string) error // when set, is asked before each step; its error is returned instead
}

// step is one thing that was done. Paths are relative to the folder, with slashes.
type step struct {
	what string // create, write, truncate, sync, rename, link, remove, mkdir, syncdir
	file int
	name string
	to   string
	off  int64
	data []byte
}

// NewDisk records what happens below dir. What is there already counts as flushed.
func NewDisk(t testing.TB, dir string) *Disk {
	d := &Disk{t: t, dir: dir, names: map[string]int{}, dirty: map[int]bool{}, fresh: map[string]string{}, left: -1, bytes: map[int][]byte{}}
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			b, _ := os.ReadFile(path)
			name := d.rel(path)
			d.files++
			d.names[name], d.bytes[d.files] = d.files, b
		}
		return nil
	})
	d.start = maps.Clone(d.names)
	return d
}

func (d *Disk) rel(path string) string {
	r, err := filepath.Rel(d.dir, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(r)
}

func (d *Disk) broken(format string, args ...any) {
	d.t.Helper()
	d.t.Errorf("the order on disk: "+format, args...)
}

// do runs a step for real and records it when it has worked.
func (d *Disk) do(s step, real func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		return ErrKilled
	}
	if d.Fail != nil {
		if err := d.Fail(s.String()); err != nil {
			return err
		}
	}
	if err := real(); err != nil {
		return err
	}
	d.note(s)
	return nil
}

// ErrKilled is what every step returns after the one that KillAfter names.
var ErrKilled = errors.New("the process was killed")

// KillAfter lets so many more steps happen and none after that, as a kill does;
// Revive is the start of the next process. What the killed one had written without
// flushing it is there for the next one, and is lost at a power cut.
func (d *Disk) KillAfter(steps int) { d.setLeft(steps) }

// Revive ends what KillAfter began.
func (d *Disk) Revive() { d.setLeft(-1) }

func (d *Disk) setLeft(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = n
}

func temporary(name string) bool { return strings.HasSuffix(name, ".tmp") }

// note records a step and checks the rules.
func (d *Disk) note(s step) {
	d.t.Helper()
	if s.file == 0 {
		s.file = d.names[s.name]
	}
	switch s.what {
	case "create":
		d.files++
		s.file = d.files
		d.names[s.name] = s.file
		if !temporary(s.name) {
			d.fresh[s.name] = filepath.ToSlash(filepath.Dir(s.name))
		}
	case "write":
		d.dirty[s.file] = true
	case "sync":
		delete(d.dirty, s.file)
	case "rename", "link":
		if d.dirty[s.file] {
			d.broken("%s gets the name %s before its bytes are flushed", s.name, s.to)
		}
		for name, file := range d.names {
			if d.dirty[file] && !temporary(name) && s.what == "rename" {
				d.broken("%s gets its name while the bytes of %s are not flushed", s.to, name)
			}
		}
		d.names[s.to] = s.file
		d.fresh[s.to] = filepath.ToSlash(filepath.Dir(s.to))
		if s.what == "rename" {
			delete(d.names, s.name)
			delete(d.fresh, s.name)
		}
	case "remove":
		delete(d.names, s.name)
		delete(d.fresh, s.name)
	case "mkdir":
		d.fresh[s.name] = filepath.ToSlash(filepath.Dir(s.name))
	case "syncdir":
		maps.DeleteFunc(d.fresh, func(_, dir string) bool { return dir == s.name })
	}
	d.steps = append(d.steps, s)
	if d.left > 0 {
		d.left--
	}
}

// Accepted is called where the program has promised that what it wrote is on
// disk: no byte of a file with a name, and no name, may be without its flush.
func (d *Disk) Accepted(what string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, file := range d.names {
		if d.dirty[file] && !temporary(name) {
			d.broken("%s is accepted while the bytes of %s are not flushed", what, name)
		}
	}
	for name := range d.fresh {
		d.broken("%s is accepted while the name %s is not flushed", what, name)
	}
}

// Wrote records a write that somebody else is about to make and says whether the
// process is still alive to make it.
func (d *Disk) Wrote(path string, off int64, data []byte) error {
	return d.do(step{what: "write", name: d.rel(path), off: off, data: slices.Clone(data)}, func() error { return nil })
}

// Flushed records a flush that somebody else makes.
func (d *Disk) Flushed(path string) {
	d.do(step{what: "sync", name: d.rel(path)}, func() error { return nil })
}

// Appeared records a file that somebody else has made, if it is new.
func (d *Disk) Appeared(path string) (isNew bool) {
	d.mu.Lock()
	isNew = d.names[d.rel(path)] == 0
	d.mu.Unlock()
	if isNew {
		d.do(step{what: "create", name: d.rel(path)}, func() error { return nil })
	}
	return isNew
}

// Steps is how many steps there were so far: places for a power cut.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.steps)
}

func (s step) String() string {
	switch s.what {
	case "rename", "link":
		return s.what + " " + s.name + " " + s.to
	case "write":
		return fmt.Sprintf("write %s %d+%d", s.name, s.off, len(s.data))
	}
	return s.what + " " + s.name
}

// Log is every step since step from, one line each: "write seg.tmp 0+4096",
// "sync seg.tmp", "rename seg.tmp seg", "syncdir .".
func (d *Disk) Log(from int) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.steps[from:] {
		lines = append(lines, s.String())
	}
	return lines
}

// Cut fills the folder into (emptied before) with what a power cut after so many
// steps may leave. Flushed bytes and names are there. Of the writes that were not
// flushed each is there, gone, or there in some of its 512-byte sectors; of the
// names that were not flushed the first few are there, because file systems
// journal them in order.
func (d *Disk) Cut(steps int, rnd *rand.Rand, into string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	bytes := map[int][]byte{} // flushed, by file
	for file, b := range d.bytes {
		bytes[file] = slices.Clone(b)
	}
	waiting := map[int][]step{}
	names, dirs := maps.Clone(d.start), map[string]bool{}
	var unnamed []step
	name := func(s step) {
		switch s.what {
		case "create":
			names[s.name] = s.file
		case "rename":
			delete(names, s.name)
			names[s.to] = s.file
		case "link":
			names[s.to] = s.file
		case "remove":
			delete(names, s.name)
		case "mkdir":
			dirs[s.name] = true
		}
	}
	for _, s := range d.steps[:steps] {
		switch s.what {
		case "write", "truncate":
			waiting[s.file] = append(waiting[s.file], s)
		case "sync":
			for _, w := range waiting[s.file] {
				bytes[s.file] = w.apply(bytes[s.file])
			}
			delete(waiting, s.file)
		case "syncdir":
			rest := unnamed[:0]
			for _, n := range unnamed {
				if n.folder() == s.name {
					name(n)
				} else {
					rest = append(rest, n)
				}
			}
			unnamed = rest
		default:
			unnamed = append(unnamed, s)
		}
	}
	for _, n := range unnamed[:rnd.IntN(len(unnamed)+1)] {
		name(n)
	}
	for _, file := range slices.Sorted(maps.Keys(waiting)) {
		for _, w := range waiting[file] {
			switch rnd.IntN(3) {
			case 0:
				bytes[file] = w.apply(bytes[file])
			case 1:
				for _, part := range w.sectors() {
					if rnd.IntN(2) == 0 {
						bytes[file] = part.apply(bytes[file])
					}
				}
			}
		}
	}
	os.RemoveAll(into)
	os.MkdirAll(into, 0o700)
	for dir := range dirs {
		os.MkdirAll(filepath.Join(into, dir), 0o700)
	}
	for name, file := range names {
		path := filepath.Join(into, filepath.FromSlash(name))
		if err := os.WriteFile(path, bytes[file], 0o600); err != nil && filepath.Dir(name) == "." {
			d.t.Fatal(err) // below a folder that is gone the file is gone too
		}
	}
}

// folder is the folder whose flush makes a change of names durable.
func (s step) folder() string {
	if s.to != "" {
		return filepath.ToSlash(filepath.Dir(s.to))
	}
	return filepath.ToSlash(filepath.Dir(s.name))
}

func (s step) apply(b []byte) []byte {
	end := int(s.off) + len(s.data)
	if end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	if s.what == "truncate" {
		return b[:end]
	}
	copy(b[s.off:], s.data)
	return b
}

// sectors are the parts of a write that the disk writes one by one.
func (s step) sectors() (out []step) {
	for at := 0; s.what == "write" && at < len(s.data); at += 512 {
		out = append(out, step{what: "write", off: s.off + int64(at), data: s.data[at:min(at+512, len(s.data))]})
	}
	return out
}

func (d *Disk) Create(path string, perm fs.FileMode) (durable.File, error) {
	var f durable.File
	err := d.do(step{what: "create", name: d.rel(path)}, func() (err error) {
		f, err = durable.OS.Create(path, perm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d.file(path, f), nil
}

func (d *Disk) OpenWrite(path string) (durable.File, error) {
	f, err := durable.OS.OpenWrite(path)
	if err != nil {
		return nil, err
	}
	return d.file(path, f), nil
}

func (d *Disk) file(path string, f durable.File) durable.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &file{f, d, d.rel(path), d.names[d.rel(path)], 0}
}

func (d *Disk) Rename(from, to string) error {
	return d.do(step{what: "rename", name: d.rel(from), to: d.rel(to)}, func() error { return durable.OS.Rename(from, to) })
}

func (d *Disk) Link(from, to string) error {
	return d.do(step{what: "link", name: d.rel(from), to: d.rel(to)}, func() error { return durable.OS.Link(from, to) })
}

func (d *Disk) Remove(path string) error {
	return d.do(step{what: "remove", name: d.rel(path)}, func() error { return durable.OS.Remove(path) })
}

func (d *Disk) Truncate(path string, size int64) error {
	return d.do(step{what: "truncate", name: d.rel(path), off: size}, func() error { return durable.OS.Truncate(path, size) })
}

func (d *Disk) Mkdir(path string, perm fs.FileMode) error {
	return d.do(step{what: "mkdir", name: d.rel(path)}, func() error { return durable.OS.Mkdir(path, perm) })
}

func (d *Disk) SyncDir(dir string) error {
	return d.do(step{what: "syncdir", name: d.rel(dir)}, func() error { return durable.OS.SyncDir(dir) })
}

// file is an open file of a Disk.
type file struct {
	durable.File
	d    *Disk
	name string
	id   int
	at   int64
}

func (f *file) Write(b []byte) (n int, err error) {
	err = f.d.do(step{what: "write", file: f.id, name: f.name, off: f.at, data: slices.Clone(b)}, func() (err error) {
		n, err = f.File.Write(b)
		return err
	})
	f.at += int64(n)
	return n, err
}

func (f *file) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.d.do(step{what: "write", file: f.id, name: f.name, off: off, data: slices.Clone(b)}, func() (err error) {
		n, err = f.File.WriteAt(b, off)
		return err
	})
	return n, err
}

func (f *file) Truncate(size int64) error {
	return f.d.do(step{what: "truncate", file: f.id, name: f.name, off: size}, func() error { return f.File.Truncate(size) })
}

func (f *file) Sync() error {
	return f.d.do(step{what: "sync", file: f.id, name: f.name}, f.File.Sync)
}
