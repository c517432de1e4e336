package host

import (
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Keys sends each key that is pressed at a terminal to keys: a character as it is, others
// by name: up, down, left, right, home, end, pgup, pgdown, enter, tab, esc, backspace,
// ctrl+c. Nothing is echoed meanwhile; restore ends that. A read that waits for a key then is
// left to the end of the process.
func Keys(in *os.File) (keys <-chan string, restore func(), err error) {
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, nil, fmt.Errorf("read keys from the terminal: %w", err)
	}
	pressed, stop := make(chan string), make(chan struct{})
	go func() {
		var b [1 << 10]byte
		kept := 0
		for {
			n, err := in.Read(b[kept:])
			if err != nil {
				return
			}
			list, rest := parseKeys(b[:kept+n])
			kept = copy(b[:], rest)
			for _, key := range list {
				select {
				case pressed <- key:
				case <-stop:
					return
				}
			}
		}
	}()
	return pressed, func() {
		close(stop)
		_ = term.Restore(fd, before)
	}, nil
}

// sequences are the ends of the escape sequences of keys, as ECMA-48 and xterm have them.
var sequences = map[string]string{
	"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
	"1~": "home", "7~": "home", "4~": "end", "8~": "end", "5~": "pgup", "6~": "pgdown",
}

var controls = map[byte]string{3: "ctrl+c", '\r': "enter", '\n': "enter", '\t': "tab", 8: "backspace", 127: "backspace"}

// parseKeys reads what a terminal sent. rest is the begin of a key that has not come
// whole. What is no key of ours is left out.
func parseKeys(b []byte) (keys []string, rest []byte) {
	for len(b) > 0 {
		switch c := b[0]; {
		case c == 27 && (len(b) == 1 || b[1] != '[' && b[1] != 'O'):
			keys, b = append(keys, "esc"), b[1:]
		case c == 27:
			end := 2 // of the parameters
			for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] == ';') {
				end++
			}
			if end == len(b) {
				if len(b) > 32 {
					b = nil // no key is that long
				}
				return keys, b
			}
			first, _, _ := strings.Cut(string(b[2:end]), ";")
			name := string(b[end])
			if name == "~" {
				name = first + name
			}
			if key := sequences[name]; key != "" {
				keys = append(keys, key)
			}
			b = b[end+1:]
		case controls[c] != "":
			keys, b = append(keys, controls[c]), b[1:]
		case !utf8.FullRune(b):
			return keys, b
		default:
			r, size := utf8.DecodeRune(b)
			if r != utf8.RuneError && unicode.IsPrint(r) {
				keys = append(keys, string(r))
			}
			b = b[size:]
		}
	}
	return keys, nil
}
