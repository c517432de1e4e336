package host

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
)

// FirstLine reads the first line of a small file, for example a password.
func FirstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), "\r\n"), nil // Notepad begins a file with a mark
}
