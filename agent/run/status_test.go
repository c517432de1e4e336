package run

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/record"
	"roomcall/buffer"
)

func TestAStoreThatAcceptsNothingIsShown(t *testing.T) {
	for _, c := range []struct {
		err   error
		state string
		hint  string
	}{
		{nil, "open", ""},
		{fmt.Errorf("append: %w", buffer.ErrFull), "full", "free space"},
		{fmt.Errorf("append: %w", syscall.EROFS), "failed", "mount it writable"},
		{errors.New("sync: " + syscall.EROFS.Error()), "failed", "mount it writable"},
		{fmt.Errorf("append: %w", syscall.EIO), "failed", "smartctl"},
		{fmt.Errorf("append: %w", os.ErrPermission), "failed", "the right to write"},
		{fmt.Errorf("append: %w", syscall.ENOSPC), "failed", "free space"},
		{errors.New("something else"), "failed", "look at the disk"},
	} {
		b := bufferStatus(buffer.Info{Dir: t.TempDir(), Waiting: 3}, record.Stats{Err: c.err}, drain.Stats{})
		if b.State != c.state || !strings.Contains(b.Hint, c.hint) || (c.err == nil) != (b.Error == "" && b.Hint == "") {
			t.Errorf("%v: %s, error %q, hint %q", c.err, b.State, b.Error, b.Hint)
		}
		s := health.Status{Buffer: b, Broker: health.Broker{State: "connected"}}
		if ready := len(health.Unready(s, time.Now())) == 0; ready != (c.err == nil) {
			t.Errorf("%v: ready is %v", c.err, ready)
		}
	}
}
