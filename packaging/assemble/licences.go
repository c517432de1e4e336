package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// vendored are the parts of the program that are no Go modules: release files of others,
// in a folder of this module together with their licence.
var vendored = []struct{ name, version, folder, purl, licence string }{
	{"uPlot", "1.6.32", "agent/web/assets/uplot", "pkg:npm/uplot@1.6.32", "MIT"},
}

// writeLicences collects the licence texts of every module inside binary, and of the
// Go library, from the module cache, and those of what is vendored. A module without a licence text is an error,
// because it may not be shipped.
func writeLicences(binary, out string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read the build information of %s: %w", binary, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "roomcall contains the following third-party software.\n")
	root, err := goEnv("GOROOT")
	if err != nil {
		return err
	}
	if err := addModule(&b, "The Go standard library", info.GoVersion, root); err != nil {
		return err
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		dir, err := moduleDir(m.Path)
		if err != nil {
			return err
		}
		if err := addModule(&b, m.Path, m.Version, dir); err != nil {
			return err
		}
	}
	own, err := moduleDir("roomcall")
	if err != nil {
		return err
	}
	for _, v := range vendored {
		if err := addModule(&b, v.name, v.version, filepath.Join(own, v.folder)); err != nil {
			return err
		}
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

func addModule(b *bytes.Buffer, name, version, dir string) error {
	files, err := licenceFiles(dir)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s %s has no licence text in %s", name, version, dir)
	}
	fmt.Fprintf(b, "\n%s\n%s %s\n", strings.Repeat("=", 78), name, version)
	var texts [][]byte
	wantsSource := false
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		texts = append(texts, text)
		wantsSource = wantsSource || asksForSource[recognize(string(text))]
	}
	if wantsSource {
		url := sourceURL(name)
		if url == "" {
			return fmt.Errorf("%s %s: its licence asks to name where its source code is, and that is not known", name, version)
		}
		fmt.Fprintf(b, "\nThe source code of this part, which is used unchanged, is at\n%s\nunder the tag %s. `go mod download -json %s@%s` fetches it too.\n\n", url, version, name, version)
	}
	for i, f := range files {
		text := texts[i]
		fmt.Fprintf(b, "%s\n%s:\n\n%s\n", strings.Repeat("-", 78), filepath.Base(f), bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r"), nil)))
	}
	return nil
}

// licenceFiles are the files at the top of a module whose names the Go project's own
// scanner treats as licences, and notices.
func licenceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		for _, stem := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS", "EDL-", "EPL-"} {
			if e.Type().IsRegular() && strings.HasPrefix(name, stem) && !strings.HasSuffix(name, ".GO") {
				files = append(files, filepath.Join(dir, e.Name()))
				break
			}
		}
	}
	sort.Strings(files)
	return files, nil
}

// asksForSource are the licences that ask whoever ships a binary to say where the
// source code is (MPL-2.0 section 3.2, EPL-2.0 section 3.1).
var asksForSource = map[string]bool{"MPL-2.0": true, "EPL-2.0": true}

// sourceURL is the address of a module's repository, "" where its path does not tell.
func sourceURL(module string) string {
	parts := strings.SplitN(module, "/", 4)
	if len(parts) < 3 || parts[0] != "github.com" {
		return ""
	}
	return "https://" + strings.Join(parts[:3], "/")
}

// marks distinguish licences by words that only they contain; the first match counts.
var marks = []struct{ id, words string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MPL-2.0", "Mozilla Public License"},
	{"EPL-2.0", "Eclipse Public License - v 2.0"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
	{"Zlib", "This software is provided 'as-is', without any express or implied warranty"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived"},
	{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
	{"MIT", "Permission is hereby granted, free of charge"},
}

// licenceID is the SPDX name of a module's licence, or "" if it is not recognized with
// certainty.
func licenceID(module string) string {
	dir, err := moduleDir(module)
	if err != nil {
		return ""
	}
	files, err := licenceFiles(dir)
	if err != nil {
		return ""
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return ""
		}
		if id := recognize(string(text)); id != "" {
			return id
		}
	}
	return ""
}

func recognize(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	for _, m := range marks {
		if strings.Contains(flat, m.words) {
			return m.id
		}
	}
	return ""
}

// moduleDir is the folder of a module of the build list in the module cache.
func moduleDir(path string) (string, error) {
	dir, err := goOutput("list", "-m", "-f", "{{.Dir}}", path)
	if err != nil || dir == "" {
		return "", fmt.Errorf("find module %s: it is not in the module cache: %w", path, err)
	}
	return dir, nil
}

func goEnv(name string) (string, error) { return goOutput("env", name) }

func goOutput(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
