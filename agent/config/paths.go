package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// EnvConfig is the environment variable that names the config file.
const EnvConfig = "ROOMCALL_CONFIG"

// DefaultPath is where the config file is when nothing names it:
// /etc/roomcall/agent.toml, on Windows %ProgramData%\roomcall\agent.toml.
func DefaultPath() string { return defaultPath(runtime.GOOS, os.LookupEnv) }

// ResolvePath returns the config file: the flag, else ROOMCALL_CONFIG, else
// DefaultPath. A nil getenv is os.Getenv.
func ResolvePath(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if getenv == nil {
		getenv = os.Getenv
	}
	if p := getenv(EnvConfig); p != "" {
		return p
	}
	return DefaultPath()
}

func defaultPath(goos string, env func(string) (string, bool)) string {
	if goos == "windows" {
		return programData(env) + `\roomcall\agent.toml`
	}
	return "/etc/roomcall/agent.toml"
}

func defaultDataDir(goos string, env func(string) (string, bool)) string {
	if goos == "windows" {
		return programData(env) + `\roomcall\data`
	}
	return "/var/lib/roomcall"
}

func programData(env func(string) (string, bool)) string {
	if dir := systemProgramData(); dir != "" {
		return dir
	}
	if v, ok := env("ProgramData"); ok && v != "" {
		return strings.TrimRight(v, `\/`)
	}
	return `C:\ProgramData`
}

// isAbs tells whether a path is rooted on that system. On Windows a path that
// begins with a slash or a drive counts as rooted.
func isAbs(goos, p string) bool {
	if goos != "windows" {
		return strings.HasPrefix(p, "/")
	}
	if strings.HasPrefix(p, `\`) || strings.HasPrefix(p, "/") {
		return true
	}
	return len(p) >= 3 && p[1] == ':' && (p[2] == '\\' || p[2] == '/')
}

// joinPath makes a path absolute that counts from the config file's folder.
func joinPath(goos, dir, p string) string {
	switch {
	case isAbs(goos, p):
		return p
	case goos == runtime.GOOS:
		return filepath.Join(dir, p)
	case goos == "windows":
		return strings.TrimRight(dir, `\/`) + `\` + strings.ReplaceAll(p, "/", `\`)
	default:
		return strings.TrimRight(dir, "/") + "/" + p
	}
}

// DefaultHTTPListen is the address of the local HTTP when the config names none.
const DefaultHTTPListen = "127.0.0.1:9478"
