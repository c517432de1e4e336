// Command roomcall polls the video endpoints beside it, keeps every sample safe
// on disk and publishes it over MQTT.
//
// Promise: an accepted sample is never lost, nothing is invented, and what is
// wrong can be seen within a minute. This package is the wiring: the two loops
// (poll.go: endpoint to store; drain.go: store to broker), the order of
// shutdown and one file per command.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}
