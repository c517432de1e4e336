package service

import (
	"path/filepath"
	"strings"
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
