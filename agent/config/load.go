package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	maxFileBytes = 1 << 20
	maxConfFiles = 256
	maxEndpoints = 1000
	maxProfiles  = 100 // [limits.NAME] tables
)

// Options are what Load needs to know of the machine. The zero value is this one.
type Options struct {
	// GOOS decides default paths and what an absolute path is; "" = this system.
	GOOS string
	// LookupEnv answers ${NAME}; nil = os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Hostname returns the default client_id; nil = os.Hostname.
	Hostname func() (string, error)
	// Elsewhere judges a config that is meant for another machine: a variable
	// that is not set and a file that is not here are no errors. Secrets are
	// then not read.
	Elsewhere bool
}

// loader holds one Load: first every file is laid over what is there (add), then
// every table is read by its keys (config).
type loader struct {
	opts Options
	dir  string // absolute folder of the config file
	docs []*document

	tables    map[string]map[string]any // what is in the files, by path: "mqtt", "endpoint[2]", "limits.strict"
	places    map[string]Place          // of tables, keys and elements of lists, by path
	endpoints int
	broken    bool // something cannot be read: "missing" would be a guess

	errs     Errors
	warnings []Warning
	settings []Setting
}

// Load reads the file at path and the files conf.d/*.toml beside it, checks
// everything and returns the configuration with its warnings. Where there are files in
// conf.d, the one at path may be missing. The error is either nil or an Errors with
// every problem; the warnings are returned in both cases.
func Load(path string, opts Options) (*Config, []Warning, error) {
	l, err := read(path, opts)
	if err != nil {
		return nil, nil, Errors{err}
	}
	return l.finish(path)
}

// Listen is [agent] http_listen of a config that may be wrong elsewhere: a running agent
// is asked there why. What cannot be read, or is wrong itself, is DefaultHTTPListen.
func Listen(path string, opts Options) string {
	l, err := read(path, opts)
	if err != nil {
		return DefaultHTTPListen
	}
	var a Agent
	l.table("agent", "agent", &a)
	if !isListen(a.HTTPListen) {
		return DefaultHTTPListen
	}
	return a.HTTPListen
}

// read reads the files of a config. Its error says why there is none.
func read(path string, opts Options) (*loader, *Error) {
	l := newLoader(path, opts)
	conf := l.confFiles(path)
	data, mode, err := readBounded(path, maxFileBytes)
	switch {
	case err == nil:
		l.add(path, data, mode)
	case errors.Is(err, fs.ErrNotExist) && len(conf) > 0:
	default:
		e := fileError(path, err)
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "make one with `roomcall init`, or name the file with --config or " + EnvConfig
		}
		return nil, e
	}
	for _, p := range conf {
		if data, mode, err = readBounded(p, maxFileBytes); err != nil {
			l.errs = append(l.errs, fileError(p, err))
			l.broken = true
			continue
		}
		l.add(p, data, mode)
	}
	return l, nil
}

// LoadText checks one text as if it were in the file at path, without conf.d.
func LoadText(path string, text []byte, opts Options) (*Config, []Warning, error) {
	l := newLoader(path, opts)
	l.add(path, text, 0)
	return l.finish(path)
}

func newLoader(path string, opts Options) *loader {
	if opts.GOOS == "" {
		opts.GOOS = runtime.GOOS
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	if opts.Hostname == nil {
		opts.Hostname = os.Hostname
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil { // the working folder is gone: paths stay relative
		dir = filepath.Dir(path)
	}
	return &loader{opts: opts, dir: dir, tables: map[string]map[string]any{}, places: map[string]Place{}}
}

func (l *loader) finish(path string) (*Config, []Warning, error) {
	c := l.config()
	c.Path = path
	for _, d := range l.docs {
		c.Files = append(c.Files, d.file)
	}
	if len(l.errs) > 0 {
		l.errs.sortBy(c.Files)
		return nil, l.warnings, l.errs.bound(maxErrors)
	}
	for _, d := range l.docs {
		c.written = append(c.written, d.redacted())
	}
	c.settings = l.settings
	c.hash = hash(l.settings, func(s Setting) string { return s.Value })
	c.writtenHash = hash(l.settings, func(s Setting) string { return cmp.Or(s.written, s.Value) })
	return c, l.warnings, nil
}

func fileError(path string, err error) *Error {
	e := &Error{Place: Place{File: path}, Problem: "read config: " + reason(err), Err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Hint = "run this as the user that the service runs as, or as root"
	}
	return e
}

// reason cuts the path, which the place names already, from a file error.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, errors.New("it is a folder")
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(data)) > limit {
		return nil, 0, fmt.Errorf("it is larger than %s", sizeText(limit))
	}
	return data, info.Mode().Perm(), nil
}

// confFiles lists conf.d/*.toml beside the main file in the order of names.
func (l *loader) confFiles(path string) []string {
	folder := filepath.Join(filepath.Dir(path), "conf.d")
	entries, err := os.ReadDir(folder) // sorted
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.errs = append(l.errs, fileError(folder, err))
		}
		return nil
	}
	var out []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".toml" && e.Name()[0] != '.' {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	if len(out) > maxConfFiles {
		l.failAt(Place{File: folder}, &Error{Problem: fmt.Sprintf("%d files", len(out)), Allowed: fmt.Sprintf("at most %d", maxConfFiles)})
		out = out[:maxConfFiles]
	}
	return out
}

func (l *loader) failAt(p Place, e *Error) {
	e.Place = p
	l.errs = append(l.errs, e)
}

// add lays a file over what is there: a key replaces the earlier value, a list
// as a whole, and [[endpoint]] tables are appended.
func (l *loader) add(file string, data []byte, mode fs.FileMode) {
	d, e := parse(file, data, mode, l.endpoints)
	l.docs = append(l.docs, d)
	if e != nil {
		l.errs = append(l.errs, e)
		l.broken = true
		return
	}
	for path, line := range d.line {
		if l.tables[path] == nil { // a table is where it was first
			l.places[path] = Place{File: file, Line: line}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.tree)) {
		v, at := d.tree[name], Place{File: file, Line: d.line[join("", name)], Key: shorten(name)}
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			l.unknown(at, name, v)
			continue
		}
		tables, many := tablesIn(v)
		if len(tables) == 0 || many != (name == "endpoint") {
			l.failAt(at, &Error{Found: describeTable(name, v), Allowed: sectionOf(name).form})
		}
		for i, t := range tables {
			switch {
			case name == "endpoint":
				l.endpoints++
				l.merge(fmt.Sprintf("endpoint[%d]", l.endpoints), t)
			case name == "limits":
				l.addProfiles(t)
			case i == 0:
				l.merge(name, t)
			}
		}
	}
}

// tablesIn returns the table that a value is, or the tables that it lists; nil
// when it is anything else.
func tablesIn(v any) (tables []map[string]any, many bool) {
	if t, ok := v.(map[string]any); ok {
		return []map[string]any{t}, false
	}
	list, _ := v.([]any)
	for _, it := range list {
		t, ok := it.(map[string]any)
		if !ok {
			return nil, true
		}
		tables = append(tables, t)
	}
	return tables, true
}

// describeTable describes what should have been another kind of table, or one.
func describeTable(name string, v any) string {
	switch tables, many := tablesIn(v); {
	case tables == nil:
		return describe(v)
	case many:
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

func (l *loader) addProfiles(limits map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		path := join("limits", name)
		if t, ok := limits[name].(map[string]any); ok {
			l.merge(path, t)
			continue
		}
		at := l.places[path]
		at.Key = "limits." + shorten(name)
		l.failAt(at, &Error{Problem: "limits need a name: [limits.NAME]", Allowed: sectionOf("limits").form})
	}
}

// merge lays a table over the one with the same path.
func (l *loader) merge(path string, over map[string]any) {
	base := l.tables[path]
	if base == nil {
		l.tables[path] = over
		return
	}
	// A later password_file replaces an earlier password, and the other way round.
	for name, rival := range map[string]string{"password": "password_file", "password_file": "password"} {
		if over[name] != nil && over[rival] == nil {
			delete(base, rival)
		}
	}
	maps.Copy(base, over)
}

// unknown reports what is at the top level of a file and does not belong there.
func (l *loader) unknown(at Place, name string, v any) {
	var known []string
	for _, s := range sections {
		known = append(known, s.name)
	}
	e := &Error{Problem: "unknown key outside any table", Hint: "known tables are " + strings.Join(known, ", ")}
	if tables, _ := tablesIn(v); tables != nil {
		at.Key, e.Problem = "", "unknown table ["+shorten(name)+"]"
		if best := closest(name, known); best != "" {
			e.Hint = "did you mean " + sectionOf(best).header + "?"
		}
	} else if homes := homesOf(name); len(homes) > 0 {
		e.Hint = "it belongs below " + strings.Join(homes, " or ")
	}
	l.failAt(at, e)
}

// config reads and checks every table.
func (l *loader) config() *Config {
	c := &Config{}
	checkAgent(l.table("agent", "agent", &c.Agent), c.Agent)
	var endpoints []*table
	if n := min(l.endpoints, maxEndpoints); n < l.endpoints {
		at := l.places[fmt.Sprintf("endpoint[%d]", n+1)]
		l.failAt(at, &Error{Problem: fmt.Sprintf("found %d endpoints", l.endpoints), Allowed: fmt.Sprintf("at most %d", n)})
	}
	c.Endpoints = make([]Endpoint, min(l.endpoints, maxEndpoints))
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		t := l.table("endpoint", fmt.Sprintf("endpoint[%d]", i+1), e)
		e.Password = t.password(e.Password, e.PasswordFile)
		checkEndpoint(t, *e)
		endpoints = append(endpoints, t)
	}
	if _, named := l.places["endpoint"]; !named && !l.broken {
		l.failAt(Place{File: l.docs[0].file}, &Error{Problem: "no [[endpoint]] table: there is nothing to poll",
			Allowed: "one [[endpoint]] table for each device"})
	}
	t := l.table("mqtt", "mqtt", &c.MQTT)
	c.MQTT.Password = t.password(c.MQTT.Password, c.MQTT.PasswordFile)
	checkMQTT(t, c.MQTT)
	checkBuffer(l.table("buffer", "buffer", &c.Buffer), c.Buffer, l.endpoints)
	l.table("publish", "publish", &c.Publish)
	c.Limits = l.limits()
	checkProfiles(l, c, endpoints)
	checkDevices(c, endpoints)
	return c
}

func (l *loader) limits() map[string]Limits {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(l.tables)) {
		if strings.HasPrefix(path, "limits.") {
			paths = append(paths, path)
		}
	}
	if n := len(paths); n > maxProfiles {
		at := l.places[paths[maxProfiles]]
		at.Key = "limits"
		l.errs = append(l.errs, &Error{Place: at, Found: fmt.Sprintf("%d tables", n), Allowed: fmt.Sprintf("at most %d", maxProfiles)})
		paths = paths[:maxProfiles]
	}
	var out map[string]Limits
	for _, path := range paths {
		v := Limits{Values: map[string]float64{}}
		name := strings.TrimPrefix(path, "limits.")
		checkLimits(l.table("limits", path, &v), name, v)
		if out == nil {
			out = map[string]Limits{}
		}
		out[name] = v
	}
	return out
}
