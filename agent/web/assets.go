package web

import (
	"embed"
	"net/http"
	"path"
	"slices"
	"strings"
)

// assets are the page's own script and style, and uPlot, which draws the charts
// (github.com/leeoniya/uPlot, release 1.6.32 as published, with its licence).
//
//go:embed assets
var assets embed.FS

var assetTypes = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

// asset answers with a file of the page, or with the icon of a look.
func asset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if class, ok := strings.CutSuffix(name, ".svg"); ok {
		if i := slices.IndexFunc(looks[:], func(l shownLook) bool { return string(l.class) == class }); i >= 0 {
			w.Header().Set("Content-Type", "image/svg+xml")
			w.Write([]byte(icon(looks[i])))
			return
		}
	}
	b, err := assets.ReadFile(strings.TrimPrefix(path.Clean(r.URL.Path), "/"))
	if kind := assetTypes[path.Ext(name)]; err == nil && kind != "" {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		w.Write(b)
		return
	}
	fail(w, r, http.StatusNotFound, "there is nothing at this path", "")
}

// icon is the picture of a look in the browser's tab.
func icon(l shownLook) string {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="` + l.colour +
		`"/><text x="16" y="23" font-family="sans-serif" font-size="20" font-weight="bold" text-anchor="middle" fill="#fff">` + l.sign + `</text></svg>`
}
