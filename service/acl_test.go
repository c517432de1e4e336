package service

import "testing"

func TestServiceSIDIsTheOneThatWindowsPublishes(t *testing.T) {
	// Microsoft documents this SID of NT SERVICE\TrustedInstaller.
	want := "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	for _, name := range []string{"TrustedInstaller", "trustedinstaller"} {
		if got := serviceSID(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestFolderAccessNamesSystemAdministratorsAndTheServiceOnly(t *testing.T) {
	for _, c := range []struct{ access, bits string }{
		{accessRead, "0x1200a9"},   // FILE_GENERIC_READ | FILE_GENERIC_EXECUTE
		{accessModify, "0x1301bf"}, // those, FILE_GENERIC_WRITE and DELETE; not WRITE_DAC, not WRITE_OWNER
	} {
		want := "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + c.bits + ";;;" + serviceSID("roomcall") + ")"
		if got := folderAccess("roomcall", c.access); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
