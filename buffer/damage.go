package buffer

// Damage reports one broken file and what became of its records.
type Damage struct {
	File string // where the broken file was moved, for the operator; never deleted
}

// Damage returns what was found broken since Open, oldest first.
func (q *Queue) Damage() []Damage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]Damage{}, q.damage...)
}
