package run

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAStoreThatMayNotBeWrittenSaysWhatToDo(t *testing.T) {
	for _, cause := range []error{syscall.EACCES, syscall.EROFS} {
		err := fmt.Errorf("open store /data: %w", &os.PathError{Op: "open", Path: "/data/LOCK", Err: cause})
		got := OpenError("/data", err).Error()
		if !strings.HasPrefix(got, "open store /data: open /data/LOCK: ") || !strings.Contains(got, "the right to write there, or change [agent] data_dir") {
			t.Errorf("got %s", got)
		}
	}
}
