package config

import "golang.org/x/sys/windows"

// systemProgramData is the folder for all users' data as Windows knows it. The
// variable ProgramData may differ between a terminal and a service.
func systemProgramData() string {
	dir, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		return ""
	}
	return dir
}
