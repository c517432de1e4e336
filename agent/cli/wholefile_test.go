package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileHasItsNameOnlyWhenItIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(what, want string) {
		t.Helper()
		text, err := os.ReadFile(path)
		entries, _ := os.ReadDir(dir)
		if err != nil || string(text) != want || len(entries) > 1 && what != "during" {
			t.Errorf("%s: %q, %v, %d files", what, text, err, len(entries))
		}
	}
	cut := errors.New("cut")
	w := &wholeFile{path: path}
	if err := w.finish(cut); err != cut {
		t.Errorf("nothing written: %v", err)
	}
	look("never begun", "earlier")
	w = &wholeFile{path: path}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	look("during", "earlier")
	if err := w.finish(cut); err != cut {
		t.Errorf("got %v", err)
	}
	look("after an error", "earlier")
	w = &wholeFile{path: path}
	if _, err := w.Write([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(nil); err != nil {
		t.Error(err)
	}
	look("at the end", "whole")
}

func TestWhatIsNoPlainFileIsWrittenAsItComes(t *testing.T) {
	w := &wholeFile{path: os.DevNull}
	if _, err := w.Write([]byte("text")); err != nil {
		t.Error(err)
	}
	if err := w.finish(nil); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(os.DevNull); err != nil || st.Mode().IsRegular() {
		t.Errorf("%v, %v", st, err)
	}
}
