package browser

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"roomcall/agent/host/hosttest"
)

// browserVariable names the browser; `make test-browser` sets it.
const browserVariable = "ROOMCALL_BROWSER"

// chromium is the browser that all tests share.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  []func()
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(chromium.end) - 1; i >= 0; i-- {
		chromium.end[i]()
	}
	os.Exit(code)
}

func startChromium() {
	dir, err := os.MkdirTemp("", "roomcall-chromium-")
	if err != nil {
		chromium.err = err
		return
	}
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(os.Getenv(browserVariable)), chromedp.UserDataDir(dir), chromedp.Flag("headless", true)}
	for _, name := range []string{"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, end := chromedp.NewContext(alloc)
	chromium.ctx, chromium.err = ctx, chromedp.Do(ctx)
	chromium.end = []func(){func() { os.RemoveAll(dir) }, endAlloc, end}
}

// tab is one page in the browser. What it says on its console, and whom it asks, is
// noted.
type tab struct {
	t       *testing.T
	ctx     context.Context
	end     func()
	address string
	host    string

	mu       sync.Mutex
	wrong    []string
	expected string // "" = nothing
}

// how a tab shows the page.
type how struct {
	language      string // Accept-Language, "" = en
	width, height int64  // 0 = 1100 x 1700
	dark          bool
	noScript      bool
	expected      string // see tab.expect
}

// open opens a page of the agent and waits until it is drawn.
func open(t *testing.T, address string, h how) *tab {
	t.Helper()
	chromium.once.Do(startChromium)
	if chromium.err != nil {
		t.Fatalf("start the browser: %v", chromium.err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if current != nil {
		current.close()
	}
	b := &tab{t: t, host: u.Host, address: address, expected: h.expected}
	ctx, end := chromedp.NewContext(chromium.ctx, chromedp.WithListener(b.listen))
	b.ctx, b.end = ctx, end
	current = b
	t.Cleanup(b.close)
	if h.width == 0 {
		h.width, h.height = 1100, 1700
	}
	if h.language == "" {
		h.language = "en"
	}
	scheme := "light"
	if h.dark {
		scheme = "dark"
	}
	b.run(command(log.Enable, cdp.Empty{}), command(network.Enable, network.EnableParams{}),
		command(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": h.language}}),
		chromedp.EmulateViewport(h.width, h.height),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: h.noScript}),
		chromedp.Navigate(address))
	if !h.noScript {
		b.wait("the page is drawn", `!document.querySelector("#charts") || "drawn" in document.querySelector("#charts").dataset`)
	}
	return b
}

// current is the open tab. There is one at a time, because a browser has six
// connections to a host at most, and each page holds one.
var current *tab

// close closes a tab and fails for what was wrong in it.
func (b *tab) close() {
	if b.end == nil {
		return
	}
	b.end()
	b.end = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.wrong {
		b.t.Errorf("%s: %s", b.address, text)
	}
}

// listen notes what must not happen.
func (b *tab) listen(event any) {
	wrong := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		wrong = fmt.Sprintf("script failed: %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			wrong = fmt.Sprintf("console: %v", e.Args)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			wrong = "console: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != b.host {
			wrong = "foreign request: " + e.Request.URL
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if wrong != "" && (b.expected == "" || !strings.Contains(wrong, b.expected)) {
		b.wrong = append(b.wrong, wrong)
	}
}

// expect lets a text on the console pass from now on.
func (b *tab) expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = text
}

// command is a step of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // opens the tab, which outlives the next line's bound
		b.t.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, hosttest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
}

// eval runs an expression of JavaScript and returns its value.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hosttest.Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("in the browser: %.200s: %v", expression, err)
	}
	return v
}

// text is the text of the page, as a person sees it.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, "document.body.innerText")
}

// wait waits until an expression of JavaScript is true.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	hosttest.WaitFor(b.t, what, func() (bool, string) {
		if eval[bool](b, "!!("+expression+")") {
			return true, ""
		}
		return false, b.text()
	})
}

//go:embed testdata/axe.min.js.gz
var axePacked []byte

// axe is axe-core 4.14.1, as published.
var axe = sync.OnceValue(func() string {
	r, err := gzip.NewReader(bytes.NewReader(axePacked))
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return string(b)
})

// accessible fails for what axe-core finds that is serious.
func (b *tab) accessible() {
	b.t.Helper()
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	eval[bool](b, axe()+";true")
	found := eval[[]violation](b, `axe.run().then((r) => r.violations)`)
	for _, f := range found {
		if f.Impact == "serious" || f.Impact == "critical" || f.Impact == "moderate" {
			text, _ := json.Marshal(f.Nodes)
			b.t.Errorf("axe: %s (%s): %s\n%s", f.ID, f.Impact, f.Help, text[:min(len(text), 1500)])
		}
	}
}

// picture keeps what the tab shows as a file. With height 0 it is the whole page.
func (b *tab) picture(file string, height float64) {
	b.t.Helper()
	if height == 0 {
		height = eval[float64](b, "document.documentElement.scrollHeight")
	}
	width := eval[float64](b, "innerWidth")
	var shot []byte
	yes := true
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		taken, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{
			CaptureBeyondViewport: &yes, Clip: &page.Viewport{Width: width, Height: height, Scale: 1},
		})
		if err == nil {
			shot = taken.Data
		}
		return err
	}))
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(img)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, small.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fewColours keeps the 255 colours that are most frequent, so that the file is small.
func fewColours(img image.Image) image.Image {
	bounds, counts := img.Bounds(), map[color.Color]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[img.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	out := image.NewPaletted(bounds, all[:min(len(all), 255)])
	draw.Draw(out, bounds, img, bounds.Min, draw.Src)
	return out
}

// needBrowser skips a test for which there is no browser.
func needBrowser(t *testing.T) {
	t.Helper()
	if os.Getenv(browserVariable) == "" {
		t.Skipf("SKIPPED: no browser; `make test-browser` installs one and sets %s", browserVariable)
	}
}
