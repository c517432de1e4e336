package web

import (
	"testing"

	"roomcall/agent/health/healthtest"
)

func BenchmarkScrape(b *testing.B) { benchmark(b, "/metrics") }
func BenchmarkPage(b *testing.B)   { benchmark(b, "/") }
func BenchmarkStatus(b *testing.B) { benchmark(b, "/api/v1/status") }

func benchmark(b *testing.B, path string) {
	src := &fake{status: healthtest.Well()}
	b.ReportAllocs()
	for b.Loop() {
		if w := ask(src, path); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
