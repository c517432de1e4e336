package service

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Protect keeps others out of the folder of a config file, before secrets are put into
// it: only the system, administrators and the service read it. A folder that does not
// have the service's name may hold other things and stays as it is.
func Protect(name, configFile string) error {
	dir := filepath.Dir(configFile)
	if !strings.EqualFold(filepath.Base(dir), name) {
		return nil
	}
	return setAccess(dir, folderAccess(name, accessRead))
}

// Elevated reports whether this process has an administrator's rights and uses them
// (User Account Control).
func Elevated() bool { return windows.GetCurrentProcessToken().IsElevated() }
