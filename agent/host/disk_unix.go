//go:build unix

package host

import "golang.org/x/sys/unix"

// DiskFree gives the bytes that this process may still write below dir.
func DiskFree(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
