// Command exampleday writes one page about a day only from published records: rooms,
// calls, the worst rooms and the causes.
//
// Promise: it reads nothing but records (one JSON object per line, any kinds, any
// order, duplicates allowed), and the same records always produce the same page. Time
// that nobody measured is shown as unknown and never as good.
//
//	mosquitto_sub -t 'roomcall/v1/#' >day.jsonl     # or: roomcall buffer export
//	exampleday day.jsonl >page.md
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "exampleday:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	in := io.Reader(os.Stdin)
	if len(args) > 1 {
		return fmt.Errorf("wrong usage: at most one file with records, found %d arguments", len(args))
	}
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return fmt.Errorf("open records: %w", err)
		}
		defer f.Close()
		in = f
	}
	d, err := readDay(in)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := d.writePage(out); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return out.Flush()
}
