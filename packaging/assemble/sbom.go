package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// bom is a CycloneDX 1.5 document (https://cyclonedx.org/docs/1.5/json/) with the
// fields for which a Go binary has the information.
type bom struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string      `json:"type"`
	Ref        string      `json:"bom-ref"`
	Name       string      `json:"name"`
	Version    string      `json:"version"`
	Purl       string      `json:"purl"`
	Licences   []licence   `json:"licenses,omitempty"`
	Hashes     []hash      `json:"hashes,omitempty"`
	Properties []property  `json:"properties,omitempty"`
	References []reference `json:"externalReferences,omitempty"`
}

type licence struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// reference says where more about a component is; kind "vcs" is its source code.
type reference struct {
	Kind string `json:"type"`
	URL  string `json:"url"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// writeSBOM describes binary from the build information inside it.
func writeSBOM(binary, out string, at time.Time) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read the build information of %s: %w", binary, err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	doc := describe(info, os.Getenv("VERSION"), hex.EncodeToString(sum[:]), at)
	for i, c := range doc.Components {
		if id := licenceID(c.Name); id != "" && c.Licences == nil {
			doc.Components[i].Licences = licences(id)
		}
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// describe makes the document. version is that of the release, which the build
// information does not contain. The serial number is derived from the binary, so that
// the same binary has the same document.
func describe(info *debug.BuildInfo, version, sha256sum string, at time.Time) bom {
	self := component{
		Type: "application", Name: "roomcall", Version: version,
		Ref: "pkg:generic/roomcall@" + version, Purl: "pkg:generic/roomcall@" + version,
		Licences: licences("Apache-2.0"), Hashes: []hash{{"SHA-256", sha256sum}},
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "GOARM", "GOAMD64", "CGO_ENABLED", "-trimpath", "vcs.revision":
			self.Properties = append(self.Properties, property{"go:" + s.Key, s.Value})
		}
	}
	doc := bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1, Serial: serial(sha256sum),
		Metadata: metadata{at.Format(time.RFC3339), self},
	}
	doc.add(component{
		Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"),
		Purl: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"), Licences: licences("BSD-3-Clause"),
	})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Name: m.Path, Version: m.Version, Purl: "pkg:golang/" + m.Path + "@" + m.Version}
		if url := sourceURL(m.Path); url != "" {
			c.References = []reference{{"vcs", url}}
		}
		if m.Sum != "" {
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		doc.add(c)
	}
	for _, v := range vendored {
		doc.add(component{Name: v.name, Version: v.version, Purl: v.purl, Licences: licences(v.licence)})
	}
	all := dependency{Ref: self.Ref}
	for _, c := range doc.Components {
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	doc.Dependencies = []dependency{all}
	return doc
}

func (d *bom) add(c component) {
	c.Type, c.Ref = "library", c.Purl
	d.Components = append(d.Components, c)
}

func licences(id string) []licence {
	var l licence
	l.Licence.ID = id
	return []licence{l}
}

// serial is a UUID of version 8 (RFC 9562: custom content) from a SHA-256 in hex.
func serial(sum string) string {
	b := []byte(sum[:32])
	b[12], b[16] = '8', '8'
	return fmt.Sprintf("urn:uuid:%s-%s-%s-%s-%s", b[:8], b[8:12], b[12:16], b[16:20], b[20:])
}
