package auth

import "time"

// SessionRules say how long a session lives. The zero value is the default.
type SessionRules struct {
	Idle    time.Duration `yaml:"idle" doc:"a session that is not used ends after this time; default 12h"`
	Longest time.Duration `yaml:"longest" doc:"every session ends after this time; default 7d"`
}

func (r SessionRules) idle() time.Duration {
	if r.Idle > 0 {
		return r.Idle
	}
	return 12 * time.Hour
}

func (r SessionRules) longest() time.Duration {
	if r.Longest > 0 {
		return r.Longest
	}
	return 7 * 24 * time.Hour
}

// Session is somebody signed in, as it is stored.
type Session struct {
	Owner   string
	Hash    string // HashSecret
	Created time.Time
	Seen    time.Time
}

// Expires is when a session ends if it is not used again.
func (r SessionRules) Expires(s Session) time.Time {
	idle, end := s.Seen.Add(r.idle()), s.Created.Add(r.longest())
	if end.Before(idle) {
		return end
	}
	return idle
}

// Caller gives who comes with a session. ok is false for one that is over, and
// for an owner that is gone or disabled.
func (r SessionRules) Caller(s Session, d *Directory, at time.Time) (c Caller, ok bool) {
	if !at.Before(r.Expires(s)) {
		return Caller{}, false
	}
	return d.Caller(s.Owner, at)
}

// Touch notes that a session was used. changed is false where the last note is
// so young that storing another is not worth a write.
func (r SessionRules) Touch(s Session, at time.Time) (used Session, changed bool) {
	if at.Sub(s.Seen) < r.idle()/100 {
		return s, false
	}
	s.Seen = at
	return s, true
}
