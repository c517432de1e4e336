//go:build !windows

package web

import "syscall"

const errConnRefused = syscall.ECONNREFUSED

const checkHint = "see `systemctl status roomcall`, or start it with `roomcall start`"
