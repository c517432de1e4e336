package durable_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roomcall/durable"
	"roomcall/durable/durabletest"
)

func TestWriteFileLeavesTheOldOrTheNewFileAtAPowerCut(t *testing.T) {
	dir, cut, rnd := t.TempDir(), filepath.Join(t.TempDir(), "cut"), rand.New(rand.NewPCG(1, 1))
	path := filepath.Join(dir, "file")
	old, newer := strings.Repeat("old ", 2000), strings.Repeat("new ", 3000)
	if err := durable.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	d := durabletest.NewDisk(t, dir)
	if err := durable.Write(d, path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Accepted("the new file")
	seen := map[string]int{}
	for i := range 400 {
		steps := i % (d.Steps() + 1)
		d.Cut(steps, rnd, cut)
		b, err := os.ReadFile(filepath.Join(cut, "file"))
		if err != nil || string(b) != old && string(b) != newer {
			t.Fatalf("after %d steps: %d bytes, %v", steps, len(b), err)
		}
		if seen[string(b)]++; steps == d.Steps() && string(b) != newer {
			t.Fatal("the old file is there after WriteFile returned")
		}
	}
	if len(seen) != 2 {
		t.Fatal("the cuts did not show both files")
	}
	want := []string{"create file.tmp", "write file.tmp 0+12000", "sync file.tmp", "rename file.tmp file", "syncdir ."}
	if got := d.Log(0); !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestWriteFileThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	for _, step := range []string{"create", "write", "sync", "rename"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		os.WriteFile(path, []byte("old"), 0o600)
		d, broken := durabletest.NewDisk(t, dir), errors.New("broken")
		d.Fail = func(s string) error {
			if strings.HasPrefix(s, step+" ") {
				return broken
			}
			return nil
		}
		if err := durable.Write(d, path, []byte("new"), 0o600); !errors.Is(err, broken) {
			t.Errorf("%s fails: %v", step, err)
		}
		entries, _ := os.ReadDir(dir)
		if b, _ := os.ReadFile(path); string(b) != "old" || len(entries) != 1 {
			t.Errorf("%s fails: %d files, %q", step, len(entries), b)
		}
	}
}

func TestMkdirAllPutsEachNewFolderOnDisk(t *testing.T) {
	dir := t.TempDir()
	d := durabletest.NewDisk(t, dir)
	deep := filepath.Join(dir, "a", "b")
	for range 2 { // the second time there is nothing to do
		if err := durable.MkdirAll(d, deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.Accepted("the folder")
	if want := []string{"mkdir a", "syncdir .", "mkdir a/b", "syncdir a"}; !slices.Equal(d.Log(0), want) {
		t.Errorf("order %q, want %q", d.Log(0), want)
	}
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	if err := durable.MkdirAll(d, filepath.Join(dir, "file"), 0o700); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// failing counts what the rules of a Disk complain of.
type failing struct {
	testing.TB
	said []string
}

func (f *failing) Helper() {}
func (f *failing) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func TestDiskSeesEachMissingFlush(t *testing.T) {
	for _, missing := range []string{"sync", "syncdir"} {
		dir := t.TempDir()
		f := &failing{TB: t}
		d := durabletest.NewDisk(f, dir)
		fsys := without{d, missing}
		if err := durable.Write(fsys, filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		d.Accepted("file")
		if len(f.said) == 0 {
			t.Errorf("%s left out: nothing was said", missing)
		}
	}
}

// without leaves one kind of flush out.
type without struct {
	durable.FS
	what string
}

type noSync struct{ durable.File }

func (noSync) Sync() error { return nil }

func (w without) OpenWrite(path string) (durable.File, error) {
	f, err := w.FS.OpenWrite(path)
	if err == nil && w.what == "sync" {
		f = noSync{f}
	}
	return f, err
}

func (w without) SyncDir(dir string) error {
	if w.what == "syncdir" {
		return nil
	}
	return w.FS.SyncDir(dir)
}
