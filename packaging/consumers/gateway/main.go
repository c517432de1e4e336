// Command gateway answers the HTTP requests of four call quality services (umeeting/Zoom
// participant QoS, Agora Analytics, Volcengine ListQuality, Tencent TRTC
// DescribeCallDetail) from roomcall's records, so that a dashboard that was written for
// one of them reads roomcall's rooms after a change of its base URL.
//
// Promise: it answers in the shape and under the rules of the service's own document, and
// only what the records say; what cannot be known is empty or absent, as _meta lists.
// It reads and never writes.
//
// Records come from the PostgreSQL tables of ../postgres (-postgres, or the PG*
// variables of libpq) or from a file with one record a line (-records), which is read
// again for each request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flags have said why
	default:
		slog.Error("gateway ends", "err", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong usage")

func run(ctx context.Context, args []string) error {
	fl := flag.NewFlagSet("gateway", flag.ContinueOnError)
	listen := fl.String("listen", "127.0.0.1:8088", "address to answer at; put a TLS proxy in front of any other than loopback")
	file := fl.String("records", "", "file with one record a line, in place of PostgreSQL")
	database := fl.String("postgres", os.Getenv("DATABASE_URL"), "PostgreSQL with the tables of ../postgres; empty = the PG* variables")
	keys := fl.String("keys", "", "file with a KEY:SECRET a line, which callers must have; empty = everybody may ask")
	limits := fl.Bool("limits", false, "enforce the services' own limits of rate and time range")
	if err := fl.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	if fl.NArg() > 0 {
		fmt.Fprintf(fl.Output(), "unexpected %q; a file of records is named by -records\n", fl.Arg(0))
		return errUsage
	}
	g := &gateway{limits: *limits, now: time.Now}
	var err error
	if *keys != "" {
		if g.keys, err = readKeys(*keys); err != nil {
			return err
		}
	}
	if *file != "" {
		if _, err := os.Stat(*file); err != nil {
			return fmt.Errorf("records: %w", err)
		}
		g.records = fileRecords(*file)
	} else {
		db, err := openDatabase(ctx, *database)
		if err != nil {
			return err
		}
		defer db.pool.Close()
		g.records = db
	}
	at, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if a, ok := at.Addr().(*net.TCPAddr); g.keys == nil && !(ok && a.IP.IsLoopback()) {
		return errors.Join(at.Close(), fmt.Errorf("%s can be reached by others: give -keys FILE", *listen))
	}
	server := &http.Server{Handler: g.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 5 * time.Minute}
	slog.Info("answering", "at", "http://"+at.Addr().String())
	done := make(chan error, 1)
	go func() { done <- server.Serve(at) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
