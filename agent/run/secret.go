package run

import (
	"sync"

	"roomcall/agent/config"
)

// brokerSecret is the password for the broker. After a failed attempt its file is
// read again; and while logins are refused a change of the file ends the pause
// before the next attempt.
type brokerSecret struct {
	file  string // "" = it comes from no file
	retry chan struct{}

	mu    sync.Mutex
	tried string // sent last
}

func newBrokerSecret(m config.MQTT) *brokerSecret {
	return &brokerSecret{file: m.PasswordFile, retry: make(chan struct{}, 1), tried: m.Password.Reveal()}
}

// read is the password as the file has it now; while the file cannot be read, or the
// password comes from none, the one that was tried last. Under mu.
func (s *brokerSecret) read() string {
	if s.file == "" {
		return s.tried
	}
	now, err := config.ReadSecretFile(s.file)
	if err != nil {
		return s.tried
	}
	return now.Reveal()
}

// again is the password for the next attempt.
func (s *brokerSecret) again() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = s.read()
	return s.tried
}

// refused looks whether the file has another password than the one that was refused.
func (s *brokerSecret) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read() == s.tried {
		return
	}
	select {
	case s.retry <- struct{}{}:
	default:
	}
}
