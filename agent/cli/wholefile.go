package cli

import (
	"fmt"
	"os"

	"roomcall/durable"
)

// wholeFile is a file that a command makes: it has its name only when it is whole and
// on disk, so that half of it never passes for all, and an earlier one stays until
// then. What is no plain file, such as a pipe, is written as it comes.
type wholeFile struct {
	path string
	tmp  string // "" = written as it comes
	file *os.File
}

// Write begins the file at the first call.
func (w *wholeFile) Write(p []byte) (n int, err error) {
	if w.file == nil {
		name := w.path
		if st, err := os.Stat(w.path); err != nil || st.Mode().IsRegular() {
			w.tmp = w.path + ".tmp"
			name = w.tmp
		}
		if w.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err != nil {
			return 0, fmt.Errorf("open --out: %w", err)
		}
	}
	return w.file.Write(p)
}

// finish ends the file; with an error, that of whoever wrote, there is none.
func (w *wholeFile) finish(err error) error {
	if w.file == nil {
		return err
	}
	if closed := w.file.Close(); err == nil {
		err = closed
	}
	if w.tmp == "" {
		return err
	}
	if err == nil {
		err = durable.Publish(durable.OS, w.tmp, w.path)
	}
	if err != nil {
		_ = os.Remove(w.tmp)
	}
	return err
}
