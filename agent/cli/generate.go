//go:build docgen

package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// The packages' build makes the man pages with
// `go run -tags docgen ./agent generate man DIR`. The shipped binary does not
// have this command: the libraries for it would add to its size.
func init() {
	extraCommands = append(extraCommands, generateCommand)
}

func generateCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "generate man DIR",
		Hidden: true,
		Args:   args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, list []string) error {
			if list[0] != "man" {
				return usageError{fmt.Errorf("generate %q: only man", list[0])}
			}
			if err := os.MkdirAll(list[1], 0o755); err != nil {
				return err
			}
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "ROOMCALL", Section: "1", Source: "roomcall", Manual: "roomcall"}, list[1])
		},
	}
}
