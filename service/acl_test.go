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
	want := "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;" + serviceSID("roomcall") + ")"
	if got := folderAccess("roomcall", accessModify); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
