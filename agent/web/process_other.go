//go:build !linux && !windows

package web

// process adds nothing on systems that are only for development.
func (o *scrape) process() {}
