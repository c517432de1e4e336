package service

import (
	"crypto/sha1" //nolint:gosec // Windows defines service SIDs by SHA-1
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Access of the service in a Windows access list.
const (
	accessRead   = "0x1200a9" // read and execute
	accessModify = "0x1301bf" // read, write, delete; not: change the rights
)

// serviceSID is the security identifier of `NT SERVICE\name`: S-1-5-80 and the
// SHA-1 of the upper-case name in UTF-16 (Microsoft, "Service SIDs").
func serviceSID(name string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(strings.ToUpper(name))) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	sum := sha1.Sum(b)
	sid := "S-1-5-80"
	for i := 0; i < len(sum); i += 4 {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sum[i:]))
	}
	return sid
}

// folderAccess is the access list, in Windows' SDDL, of a folder of the
// service: the system and administrators may do everything, the service what
// it needs, and nobody else anything. Nothing is inherited from above.
func folderAccess(name, access string) string {
	return "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + access + ";;;" + serviceSID(name) + ")"
}
