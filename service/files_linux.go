package service

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"syscall"
)

// giveFiles makes the config readable and the data folder writable for the
// service's user, and for nobody else who could not do so before.
func (s *systemd) giveFiles(back *undo) error {
	uid, gid, err := s.account()
	if err != nil {
		return err
	}
	if err := readable(filepath.Dir(s.c.ConfigFile), gid, 0o050, back); err != nil {
		return err
	}
	if err := readable(s.c.ConfigFile, gid, 0o040, back); err != nil {
		return err
	}
	if s.c.DataDir == path.Join(stateRoot, s.c.Name) {
		return nil // StateDirectory= of the unit does it
	}
	return ownedDir(s.c.DataDir, uid, gid, back)
}

// account is the service's user and group; in tests, the caller's own.
func (s *systemd) account() (uid, gid int, err error) {
	if s.root != "" {
		return os.Getuid(), os.Getgid(), nil
	}
	u, err := user.Lookup(s.c.Name)
	if err != nil {
		return 0, 0, fmt.Errorf("find the service's user: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// readable gives path to the group, with the bits that it needs, unless
// everybody has them already.
func readable(path string, gid int, bits os.FileMode, back *undo) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	mode, everybody := st.Mode().Perm(), bits>>3
	if mode&everybody == everybody {
		return nil
	}
	old := groupOf(st)
	back.add(func() { _ = os.Chown(path, -1, old); _ = os.Chmod(path, mode) })
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("let the service read the config: %w", err)
	}
	if err := os.Chmod(path, mode|bits); err != nil {
		return fmt.Errorf("let the service read the config: %w", err)
	}
	return nil
}

// ownedDir makes a folder that belongs to the service. One that is there keeps
// its mode.
func ownedDir(path string, uid, gid int, back *undo) error {
	if err := os.Mkdir(path, 0o750); err == nil {
		back.add(func() { _ = os.Remove(path) })
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("give the data folder to the service: %w", err)
	}
	return nil
}

func groupOf(st os.FileInfo) int {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(sys.Gid)
	}
	return -1
}
