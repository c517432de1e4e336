// Command roomcall polls the video endpoints beside it, keeps every sample safe
// on disk and publishes it over MQTT.
//
// Promise: an accepted sample is never lost, nothing is invented, and what is
// wrong can be seen within a minute.
package main

import (
	"context"
	"os"

	"roomcall/agent/cli"
)

// version is set by the linker for a release.
var version = "0.1.0-dev"

func main() {
	os.Exit(cli.Main(context.Background(), version, os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}
