package caller

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/time/rate"

	"riposte/connector"
)

// shares hands out the limiters of connections. One belongs to one connection,
// or, where the manifest says that the product counts by credential, to all
// connections of a tenant that show the same one. The zero value is ready; the
// Caller's lock guards it.
type shares struct {
	key []byte            // of the hash that credentials are compared by; of this process only
	by  map[string]*share // by what the limit belongs to
	of  map[string]*share // by connection
	n   int
}

// share is one limiter and who uses it.
type share struct {
	belongs string
	bucket  string // names it to the engine, "" where it is its connection's own
	limiter *rate.Limiter
	members map[string]limit // by connection
}

// limit is what one connection allows.
type limit struct {
	perSecond rate.Limit
	burst     int
}

// join gives a connection its limiter, and takes it from the one that it had
// where that is another now. Of what the members allow the least holds.
func (s *shares) join(tenant string, o *opened) *share {
	conn := tenant + "\x00" + o.connection.Name
	belongs := s.belongs(tenant, o)
	if old := s.of[conn]; old != nil && old.belongs != belongs {
		s.leave(conn)
	}
	if s.by == nil {
		s.by, s.of = map[string]*share{}, map[string]*share{}
	}
	sh := s.by[belongs]
	if sh == nil {
		sh = &share{belongs: belongs, limiter: rate.NewLimiter(rate.Inf, 1), members: map[string]limit{}}
		if countsByCredential(o.manifest) && len(o.secrets) > 0 {
			s.n++
			sh.bucket = fmt.Sprintf("credential %d", s.n)
		}
		s.by[belongs] = sh
	}
	perSecond, burst := limitsOf(o.connection, o.manifest)
	sh.members[conn] = limit{perSecond, burst}
	s.of[conn] = sh
	sh.settle()
	return sh
}

// leave takes a connection from its limiter.
func (s *shares) leave(conn string) {
	sh := s.of[conn]
	if sh == nil {
		return
	}
	delete(s.of, conn)
	delete(sh.members, conn)
	if len(sh.members) == 0 {
		delete(s.by, sh.belongs)
		return
	}
	sh.settle()
}

// settle sets the limiter to the least that a member allows.
func (sh *share) settle() {
	least := limit{rate.Inf, 1}
	for _, l := range sh.members {
		switch {
		case l.perSecond == rate.Inf:
		case least.perSecond == rate.Inf:
			least = l
		default:
			least = limit{min(least.perSecond, l.perSecond), min(least.burst, l.burst)}
		}
	}
	sh.limiter.SetLimit(least.perSecond)
	sh.limiter.SetBurst(least.burst)
}

// belongs names what the limit of a connection belongs to.
func (s *shares) belongs(tenant string, o *opened) string {
	if !countsByCredential(o.manifest) || len(o.secrets) == 0 {
		return "connection\x00" + tenant + "\x00" + o.connection.Name
	}
	return "credential\x00" + tenant + "\x00" + o.manifest.Connector + "\x00" + s.fingerprint(o.secrets)
}

// fingerprint tells equal secrets, and nothing else about them: its key is
// random and is gone when the process ends.
func (s *shares) fingerprint(secrets map[string]string) string {
	if s.key == nil {
		s.key = make([]byte, sha256.Size)
		_, _ = rand.Read(s.key) // it never fails
	}
	h := hmac.New(sha256.New, s.key)
	for _, field := range slices.Sorted(maps.Keys(secrets)) {
		for _, part := range []string{field, secrets[field]} {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash takes everything
			_, _ = h.Write([]byte(part))
		}
	}
	return string(h.Sum(nil))
}

// countsByCredential tells whether the product's limit belongs to the credential.
func countsByCredential(m *connector.Manifest) bool {
	return m.Rate != nil && m.Rate.Per == "credential"
}
