// Command assemble makes the parts of the packages that need more than a shell: the
// bill of materials, the third-party licences, and archives.
//
// Promise: the same input always produces the same bytes, wherever and whenever it
// runs. Times come only from SOURCE_DATE_EPOCH.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

const usage = `usage:
  assemble sbom BINARY OUT          CycloneDX 1.5 JSON of what BINARY contains
  assemble licences BINARY OUT      the licence texts of what BINARY contains
  assemble archive FOLDER OUT       OUT is .tar.gz or .zip; the folder's name is the top level`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "assemble:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New(usage)
	}
	epoch, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	switch args[0] {
	case "sbom":
		return writeSBOM(args[1], args[2], epoch)
	case "licences":
		return writeLicences(args[1], args[2])
	case "archive":
		return writeArchive(args[1], args[2], epoch)
	}
	return errors.New(usage)
}

// sourceDate reads SOURCE_DATE_EPOCH, Unix seconds
// (https://reproducible-builds.org/specs/source-date-epoch/).
func sourceDate(text string) (time.Time, error) {
	s, err := strconv.ParseInt(text, 10, 64)
	if err != nil || s < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, expected Unix seconds", text)
	}
	return time.Unix(s, 0).UTC(), nil
}
