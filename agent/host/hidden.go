package host

import (
	"context"
	"os"

	"golang.org/x/term"
)

// ReadHidden reads one line from a terminal without showing what is typed. When ctx
// ends first, the terminal shows what is typed again, and the read, which cannot be
// ended, is left to the end of the process.
func ReadHidden(ctx context.Context, terminal *os.File) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type reply struct {
		line []byte
		err  error
	}
	came := make(chan reply, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		came <- reply{line, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	case r := <-came:
		return string(r.line), r.err
	}
}
