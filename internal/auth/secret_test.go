package auth

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

func TestPasswords(t *testing.T) {
	t.Parallel()
	hash, err := NewPasswordHash("correct horse battery", rand.Reader)
	if err != nil || CheckHash(hash) != nil {
		t.Fatal(err, CheckHash(hash))
	}
	if !CheckPassword(hash, "correct horse battery") || CheckPassword(hash, "correct horse batterz") || CheckPassword(hash, "") {
		t.Error("a password is not told from another")
	}
	if CheckPassword("", "") || CheckPassword(hash, strings.Repeat("x", MaxPassword+1)) {
		t.Error("no hash, or a password over the limit, lets somebody in")
	}
	if CheckHash(NobodysHash()) != nil || CheckPassword(NobodysHash(), "") {
		t.Error("nobody's hash opens, or is none")
	}
	if Outdated(hash) || !Outdated("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA") {
		t.Error("a hash at another cost is not noticed")
	}
}

// The reference implementation's hash of "password" with the salt "somesalt"
// (argon2 -id -t 2 -m 16 -p 1, test.c of the argon2 repository).
func TestPasswordHashesOfOtherProgramsOpen(t *testing.T) {
	t.Parallel()
	const other = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if !CheckPassword(other, "password") || CheckPassword(other, "Password") {
		t.Error("a hash of the reference implementation does not open with its password")
	}
}

func TestTextsThatAreNoPasswordHash(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "secret", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=256$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1,x=2$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1 $c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1$!!$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2hvcnQ",
	} {
		if !errors.Is(CheckHash(bad), fault.Invalid) || CheckPassword(bad, "") {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

func TestPasswordsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"short":                   "too short",
		strings.Repeat("x", 1025): "too long",
		"\xff\xfe\xfd\xfc\xff\xff\xff\xff\xff\xff\xff\xff": "not UTF-8",
		strings.Repeat("ä", 12):                            "",
	} {
		got := PasswordProblem(password)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q", password, got)
		}
		if _, err := NewPasswordHash(password, rand.Reader); (err != nil) != (want != "") {
			t.Errorf("%q: %v", password, err)
		}
	}
	if _, err := NewPasswordHash("correct horse battery", strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Errorf("no randomness, and yet %v", err)
	}
}

func TestADrawnPasswordIsLongAndDiffers(t *testing.T) {
	t.Parallel()
	a, errA := NewPassword(rand.Reader)
	b, errB := NewPassword(rand.Reader)
	if errA != nil || errB != nil || a == b || len(a) != 27 || PasswordProblem(a) != "" {
		t.Errorf("%q and %q (%v, %v)", a, b, errA, errB)
	}
	if _, err := NewPassword(strings.NewReader("abc")); err == nil {
		t.Error("a password was drawn from too little randomness")
	}
}

func TestSecretsAreRecognisableAndDiffer(t *testing.T) {
	t.Parallel()
	a, err := NewSecret(rand.Reader)
	if err != nil || ParseSecret(a) != nil {
		t.Fatal(err, ParseSecret(a))
	}
	b := Secret(bytes.Repeat([]byte{2}, SecretBytes))
	if !strings.HasPrefix(a, "rip_") || a == b || HashSecret(a) == HashSecret(b) || strings.Contains(HashSecret(a), a) {
		t.Errorf("secrets %q and %q", a, b)
	}
	for _, bad := range []string{"", "rip_", a[:len(a)-1], a + "A", strings.TrimPrefix(a, "rip_"), "ghp_" + a[4:], a[:20] + "!" + a[21:]} {
		err := ParseSecret(bad)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is taken for a secret", bad)
		}
		if bad != "" && len(bad) > 10 && strings.Contains(err.Error(), bad) {
			t.Error("the message repeats the secret")
		}
	}
}

func TestATokenCannotDoMoreThanItsOwner(t *testing.T) {
	t.Parallel()
	d, now := directory(t, example(t)), at(t, "2026-01-12T12:00:00Z")
	ana, _ := d.Caller("ana", now)
	if diff := cmp.Diff([]Permission{CasesRead}, ana.Within([]Permission{CasesRead, PlaybooksPublish}).Permissions()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(ana.Permissions(), ana.Within(nil).Permissions()); diff != "" {
		t.Error("a token for nothing in particular is for all that its owner may: " + diff)
	}
	tests := []struct {
		name string
		tok  Token
		want string
	}{
		{"one that reads", Token{Name: "x", Only: []Permission{CasesRead}}, ""},
		{"without a name", Token{}, "needs a name"},
		{"over before it began", Token{Name: "x", Expires: now}, "which is over"},
		{"an unknown permission", Token{Name: "x", Only: []Permission{"cases:eat"}}, `no permission "cases:eat"`},
		{"more than the owner may", Token{Name: "x", Only: []Permission{PeopleWrite}}, "cannot give it away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.tok.Check(ana, now)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
		})
	}
}

func TestWhoComesWithAToken(t *testing.T) {
	t.Parallel()
	d, now := directory(t, example(t)), at(t, "2026-01-12T12:00:00Z")
	c, ok := Token{Name: "ci", Owner: "ana", Only: []Permission{CasesRead, PeopleWrite}}.Caller(d, now)
	if !ok || c.Name != "ana" || c.Token != "ci" || !c.May(CasesRead) || c.May(CasesWrite) || c.May(PeopleWrite) {
		t.Errorf("%+v, %v", c, ok)
	}
	for name, tok := range map[string]Token{
		"revoked":           {Owner: "ana", Revoked: true},
		"over":              {Owner: "ana", Expires: now},
		"of somebody gone":  {Owner: "gone"},
		"of nobody we know": {Owner: "nobody"},
	} {
		if c, ok := tok.Caller(d, now); ok || c.May(AlertsRead) {
			t.Errorf("a token %s opens", name)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	d, now := directory(t, example(t)), at(t, "2026-01-12T12:00:00Z")
	rules := SessionRules{Idle: time.Hour, Longest: 3 * time.Hour}
	s := Session{Owner: "ana", Created: now, Seen: now}
	if _, ok := rules.Caller(s, d, now.Add(59*time.Minute)); !ok {
		t.Error("a session in use is closed")
	}
	if _, ok := rules.Caller(s, d, now.Add(time.Hour)); ok {
		t.Error("an idle session stays open")
	}
	for i := range 6 { // used every half hour
		s, _ = rules.Touch(s, now.Add(time.Duration(i)*30*time.Minute))
	}
	if _, ok := rules.Caller(s, d, now.Add(3*time.Hour)); ok {
		t.Error("a session outlives the longest time")
	}
	if _, changed := rules.Touch(s, s.Seen.Add(time.Second)); changed {
		t.Error("each request is a write")
	}
	if got := (SessionRules{}).Expires(Session{Created: now, Seen: now}); got != now.Add(12*time.Hour) {
		t.Errorf("by default a session ends at %s", got)
	}
	if _, ok := rules.Caller(Session{Owner: "gone", Created: now, Seen: now}, d, now); ok {
		t.Error("the session of a disabled person is open")
	}
}

func TestGuessingPasswordsGetsSlower(t *testing.T) {
	t.Parallel()
	var th Throttle
	now := at(t, "2026-01-12T12:00:00Z")
	for range freeTries - 1 {
		th.Failed("ana", now)
	}
	if w := th.Wait("ana", now); w != 0 {
		t.Errorf("a few failures already cost %s", w)
	}
	var last time.Duration
	for range 20 {
		th.Failed("ana", now)
		w := th.Wait("ana", now)
		if w < last || w > longestWait {
			t.Fatalf("the wait went from %s to %s", last, w)
		}
		last = w
	}
	if last != longestWait || th.Wait("lee", now) != 0 {
		t.Errorf("wait %s, for another %s", last, th.Wait("lee", now))
	}
	if w := th.Wait("ana", now.Add(longestWait)); w != 0 {
		t.Errorf("still %s after the wait", w)
	}
	th.Succeeded("ana")
	if w := th.Wait("ana", now); w != 0 {
		t.Errorf("%s after a success", w)
	}
}

func TestManyGuessedNamesDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	var th Throttle
	now := at(t, "2026-01-12T12:00:00Z")
	for i := range maxThrottled + 10 {
		th.Failed(strconv.Itoa(i), now)
	}
	if n := len(th.tries); n > maxThrottled {
		t.Errorf("%d names are kept", n)
	}
}

func FuzzPasswordHashes(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, s string) {
		if h, ok := parseHash(s); ok && (h.memory > 1<<18 || h.passes > 16) {
			t.Errorf("%q would cost too much", s)
		}
	})
}
