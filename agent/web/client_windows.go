package web

import "golang.org/x/sys/windows"

// errConnRefused is what Windows' sockets say; syscall.ECONNREFUSED is an
// invented number there.
const errConnRefused = windows.WSAECONNREFUSED

const checkHint = "see `sc query roomcall`, or start it with `roomcall start`"
