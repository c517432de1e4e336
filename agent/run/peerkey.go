package run

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"roomcall/agent/config"
)

const (
	peerKeyFile = "peer-names.key"
	peerKeyMin  = 16 // bytes
)

// PeerKey is the key that hashes peer names. Without the file peer-names.key in
// data_dir it comes from the site, so that all agents of a site give the same
// hash; who knows the site can then test a guessed name. A file with the same
// random bytes on all agents of a site ends that.
func PeerKey(cfg config.Agent) ([]byte, error) {
	file := filepath.Join(cfg.DataDir, peerKeyFile)
	key, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		sum := sha256.Sum256([]byte("roomcall peer names\n" + cfg.Site))
		return sum[:], nil
	case err != nil:
		return nil, fmt.Errorf("read key of peer names: %w", err)
	case len(key) < peerKeyMin:
		return nil, fmt.Errorf("read key of peer names %s: %d bytes are too few, at least %d are needed", file, len(key), peerKeyMin)
	}
	return key, nil
}
