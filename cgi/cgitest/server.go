package cgitest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Serve answers on a listener until the context ends, then closes every
// connection and returns nil. With a TLS configuration it speaks HTTPS alone.
func Serve(ctx context.Context, h http.Handler, l net.Listener, cfg *tls.Config) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes that fail are the client's to report
	}
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return err
}
