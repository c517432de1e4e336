package host

import (
	"os"
	"strings"
)

// BootID is the system's id of this boot (Linux); "" = not known.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
