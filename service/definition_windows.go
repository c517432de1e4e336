package service

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// definition is what an upgrade replaces and, if it fails, puts back.
type definition struct {
	start                         uint32
	commandLine, account, display string
}

func (s *scm) definition() definition {
	return definition{
		start:       windows.SERVICE_AUTO_START,
		commandLine: windows.ComposeCommandLine(append([]string{s.c.Binary}, s.c.Args...)),
		account:     s.account(),
		display:     s.c.DisplayName,
	}
}

// maxDefinition is Windows' own bound of a service's config, in bytes.
const maxDefinition = 8 << 10

// definitionOf asks for a service's definition. mgr.Service.Config asks for
// more, and fails where one of the later settings is not known.
func definitionOf(h windows.Handle) (definition, error) {
	buf := make([]uint64, maxDefinition/8) // aligned for the structure
	q := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buf[0]))
	var needed uint32
	if err := windows.QueryServiceConfig(h, q, maxDefinition, &needed); err != nil {
		return definition{}, err
	}
	return definition{
		start:       q.StartType,
		commandLine: windows.UTF16PtrToString(q.BinaryPathName),
		account:     windows.UTF16PtrToString(q.ServiceStartName),
		display:     windows.UTF16PtrToString(q.DisplayName),
	}, nil
}

func (d definition) set(h windows.Handle) error {
	commandLine, err1 := windows.UTF16PtrFromString(d.commandLine)
	account, err2 := windows.UTF16PtrFromString(d.account)
	display, err3 := windows.UTF16PtrFromString(d.display)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	return windows.ChangeServiceConfig(h, windows.SERVICE_NO_CHANGE, d.start, windows.SERVICE_NO_CHANGE,
		commandLine, nil, nil, nil, account, nil, display)
}

func describe(h windows.Handle, text string) error {
	p, err := windows.UTF16PtrFromString(text)
	if err != nil {
		return err
	}
	d := windows.SERVICE_DESCRIPTION{Description: p}
	return windows.ChangeServiceConfig2(h, windows.SERVICE_CONFIG_DESCRIPTION, (*byte)(unsafe.Pointer(&d)))
}
