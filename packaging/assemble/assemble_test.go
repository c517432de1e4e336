package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roomcall/service"
)

var at = time.Unix(1_790_000_000, 0).UTC()

func TestServiceFilesAreThoseOfRoomcallInstall(t *testing.T) {
	c := service.Config{
		Name: "roomcall", Description: "Call quality of meeting rooms to MQTT",
		Binary: "/usr/bin/roomcall", Args: []string{"--config", "/etc/roomcall/agent.toml", "run"},
		ConfigFile: "/etc/roomcall/agent.toml", DataDir: "/var/lib/roomcall",
	}
	for path, want := range map[string]string{
		"../../service/testdata/packaged.service": service.Unit(c), // the file that package.sh ships
		"../linux/roomcall.sysusers":              service.Sysusers(c),
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestBillOfMaterialsNamesEveryModuleOnce(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{
		{Path: "example.org/a", Version: "v1.2.3", Sum: "h1:x="},
		{Path: "example.org/b", Version: "v0.0.1", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0"}},
	}, Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-ldflags", Value: "-X secret"}}}
	doc := describe(info, "1.0.0", strings.Repeat("ab", 32), at)
	var purls []string
	for _, c := range doc.Components {
		purls = append(purls, c.Purl)
	}
	want := []string{"pkg:golang/std@1.26.8", "pkg:golang/example.org/a@v1.2.3", "pkg:golang/example.org/c@v2.0.0", "pkg:npm/uplot@1.6.32"}
	if diff := cmp.Diff(want, purls); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, doc.Dependencies[0].DependsOn); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	if got, want := doc.Serial, "urn:uuid:abababab-abab-8bab-8bab-abababababab"; got != want {
		t.Errorf("serial number %s, want %s", got, want)
	}
	if text, err := json.Marshal(doc); err != nil || bytes.Contains(text, []byte("secret")) {
		t.Errorf("the document contains linker flags, or: %v", err)
	}
}

func TestLicencesAreToldApart(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                   "Apache-2.0",
		"Mozilla Public License, version 2.0":                                            "MPL-2.0",
		"Permission is hereby granted, free of charge, to any":                           "MIT",
		"Redistribution and use in source and\nbinary forms":                             "BSD-2-Clause",
		"Redistribution and use ... may be used to endorse or promote\nproducts derived": "BSD-3-Clause",
		"All rights reserved.":                                                           "",
	} {
		if got := recognize(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestWhatIsVendoredIsOfTheVersionThatIsNamed(t *testing.T) {
	for _, v := range vendored {
		folder := filepath.Join("../..", v.folder)
		files, err := licenceFiles(folder)
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: licences %v, %v", v.name, files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil || recognize(string(text)) != v.licence {
			t.Errorf("%s: its licence is %q, %v", v.name, recognize(string(text)), err)
		}
		scripts, _ := filepath.Glob(filepath.Join(folder, "*.js"))
		if len(scripts) == 0 {
			t.Errorf("%s: no script in %s", v.name, folder)
		}
		for _, f := range scripts {
			if text, err := os.ReadFile(f); err != nil || !bytes.Contains(text, []byte("(v"+v.version+")")) {
				t.Errorf("%s is not of version %s, or %v", f, v.version, err)
			}
		}
	}
}

func TestModuleWithoutLicenceIsRefused(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := addModule(&b, "example.org/x", "v1.0.0", dir); err == nil || !strings.Contains(err.Error(), "no licence text") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte("words\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := addModule(&b, "example.org/x", "v1.0.0", dir); err != nil || !strings.Contains(b.String(), "LICENSE.txt:\n\nwords\n") {
		t.Errorf("got %v, %q", err, b.String())
	}
}

// MPL-2.0 and EPL-2.0 ask to say where the source code is; a part for which nobody can
// say it is not shipped.
func TestLicencesThatAskForItNameTheSourceCode(t *testing.T) {
	for text, asks := range map[string]bool{
		"Mozilla Public License, version 2.0":           true,
		"Eclipse Public License - v 2.0":                true,
		"Permission is hereby granted, free of charge,": false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		err := addModule(&b, "github.com/example/x/v2", "v2.0.1", dir)
		named := strings.Contains(b.String(), "is at\nhttps://github.com/example/x\nunder the tag v2.0.1.")
		if err != nil || named != asks {
			t.Errorf("%s: %v, source named: %v\n%s", text, err, named, b.String())
		}
		if err := addModule(&b, "example.org/x", "v2.0.1", dir); (err != nil) != asks {
			t.Errorf("%s, from nobody knows where: %v", text, err)
		}
	}
}

func TestArchivesAreTheSameFromEveryFolder(t *testing.T) {
	for _, kind := range []string{".tar.gz", ".zip"} {
		var first []byte
		for i := range 2 {
			base := t.TempDir()
			folder := filepath.Join(base, "roomcall-1.0.0")
			umask := os.FileMode(0o600 + 0o100*os.FileMode(i))
			must(t, os.MkdirAll(filepath.Join(folder, "man"), 0o700))
			must(t, os.WriteFile(filepath.Join(folder, "roomcall"), []byte("program"), 0o700))
			must(t, os.WriteFile(filepath.Join(folder, "man", "roomcall.1"), []byte("page"), umask&^0o111))
			out := filepath.Join(base, "x"+kind)
			must(t, writeArchive(folder, out, at))
			got, err := os.ReadFile(out)
			must(t, err)
			if i == 0 {
				first = got
			} else if !bytes.Equal(first, got) {
				t.Errorf("%s differs", kind)
			}
		}
		want := []string{"roomcall-1.0.0/man/roomcall.1 -rw-r--r--", "roomcall-1.0.0/roomcall -rwxr-xr-x"}
		if diff := cmp.Diff(want, names(t, kind, first)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func names(t *testing.T, kind string, data []byte) (list []string) {
	t.Helper()
	if kind == ".zip" {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		for _, f := range r.File {
			list = append(list, f.Name+" "+f.Mode().String())
		}
		return list
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	for r := tar.NewReader(zr); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		must(t, err)
		list = append(list, h.Name+" "+h.FileInfo().Mode().String())
	}
}

func TestTimeMustBeGiven(t *testing.T) {
	for _, text := range []string{"", "yesterday", "-1"} {
		if _, err := sourceDate(text); err == nil {
			t.Errorf("%q is accepted as a time", text)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
