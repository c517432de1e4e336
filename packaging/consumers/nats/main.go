// Command nats will write roomcall's records from NATS JetStream into PostgreSQL.
package main

import (
	_ "github.com/jackc/pgx/v5"
	_ "github.com/nats-io/nats.go"
	_ "github.com/nats-io/nats.go/jetstream"
)

func main() {}
