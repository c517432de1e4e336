package host

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// writesToJournal tells whether w is the stream that JOURNAL_STREAM names as
// "device:inode" (systemd.exec(5)). A process inherits the variable also when
// its errors go elsewhere.
func writesToJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
