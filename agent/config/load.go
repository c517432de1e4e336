package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

const (
	maxFileBytes = 1 << 20
	maxConfFiles = 256
	maxEndpoints = 1000
)

// Options are what Load takes from its surroundings. The zero value takes the
// real ones.
type Options struct {
	// GOOS decides default paths and what an absolute path is; "" = this system.
	GOOS string
	// LookupEnv answers ${NAME}; nil = os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Hostname gives the default client_id; nil = os.Hostname.
	Hostname func() (string, error)
	// Elsewhere judges a config that is meant for another machine: a variable
	// that is not set and a file that is not here are no errors. Secrets are
	// then not read.
	Elsewhere bool
}

// source is a file as read.
type source struct {
	path string
	data []byte
	mode fs.FileMode
}

// loader holds one Load.
type loader struct {
	opts     Options
	dir      string // absolute folder of the config file
	sources  []source
	errs     Errors
	warnings []Warning
	settings []Setting
	profiles map[string]Place
	broken   bool // a file could not be parsed whole: "missing" would be a guess
}

// Load reads the file at path and the files conf.d/*.toml beside it, checks
// everything and gives the configuration with its warnings. The error is
// either nil or an Errors with every problem; the warnings are given in both
// cases.
func Load(path string, opts Options) (*Config, []Warning, error) {
	l := newLoader(path, opts)
	root := l.readAll(path)
	if root == nil {
		return nil, nil, l.errs
	}
	return l.finish(path, root)
}

// loadText checks one text as if it stood in the file at path, without conf.d.
func loadText(path string, text []byte, opts Options) (*Config, []Warning, error) {
	l := newLoader(path, opts)
	return l.finish(path, l.parse(source{path: path, data: text}))
}

func (l *loader) finish(path string, root *node) (*Config, []Warning, error) {
	c := l.config(root)
	c.Path, c.Files = path, l.files()
	if len(l.errs) > 0 {
		l.errs.sortBy(c.Files)
		return nil, l.warnings, l.errs.bound(maxErrors)
	}
	c.settings, c.sources = l.settings, redactSources(l.sources)
	return c, l.warnings, nil
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
	return &loader{opts: opts, dir: dir, profiles: map[string]Place{}}
}

func (l *loader) files() []string {
	out := make([]string, len(l.sources))
	for i, s := range l.sources {
		out[i] = s.path
	}
	return out
}

// readAll reads and merges all files; nil when the main file cannot be read.
func (l *loader) readAll(path string) *node {
	root, err := l.readOne(path)
	if err != nil {
		e := fileError(path, err)
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "name the file with --config or " + EnvConfig
		}
		l.errs = append(l.errs, e)
		return nil
	}
	for _, p := range l.confFiles(path) {
		more, err := l.readOne(p)
		if err != nil {
			l.errs = append(l.errs, fileError(p, err))
			l.broken = true
			continue
		}
		l.merge(root, more)
	}
	return root
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

func (l *loader) readOne(path string) (*node, error) {
	data, mode, err := readBounded(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	return l.parse(source{path, data, mode}), nil
}

func (l *loader) parse(src source) *node {
	l.sources = append(l.sources, src)
	root, errs := parseTOML(src.path, src.data)
	l.errs = append(l.errs, errs...)
	l.broken = l.broken || len(errs) > 0
	return root
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
	entries, err := os.ReadDir(folder)
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
		l.errs = append(l.errs, &Error{
			Place: Place{File: folder}, Problem: fmt.Sprintf("%d files", len(out)),
			Allowed: fmt.Sprintf("at most %d", maxConfFiles),
		})
		out = out[:maxConfFiles]
	}
	slices.Sort(out)
	return out
}
