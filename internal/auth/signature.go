package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"riposte/internal/fault"
)

// Signing is how a product signs what it sends: an HMAC-SHA-256 over the body
// and, but for old ones, over the time.
type Signing struct {
	Header string // of the signature
	Stamp  string // header of the time, in seconds since 1970; "": none is signed
	ID     string // header that names the delivery; "": none does

	version string // that stands before a signature, such as v1, "": none must
	before  string // signed before everything else
	named   bool   // the ID is signed, too
	inside  bool   // the time stands in the signature's header: t=…,v1=…
	between string // signed between the parts
}

// signings are the ways that are known by name.
//
//   - riposte: X-Riposte-Signature: sha256=HEX over X-Riposte-Timestamp, a dot and the body.
//   - github: X-Hub-Signature-256: sha256=HEX over the body.
//   - standard: webhook-signature: v1,BASE64 over webhook-id, webhook-timestamp and the
//     body, with dots between (standardwebhooks.com).
//   - slack: X-Slack-Signature: v0=HEX over v0, X-Slack-Request-Timestamp and the body,
//     with colons between.
//   - stamped: t=SECONDS,v1=HEX in one header over the time, a dot and the body.
//   - body: HEX or BASE64 over the body, in a header of a given name.
var signings = map[string]Signing{
	"riposte":  {Header: "X-Riposte-Signature", Stamp: "X-Riposte-Timestamp", between: "."},
	"github":   {Header: "X-Hub-Signature-256", ID: "X-GitHub-Delivery"},
	"standard": {Header: "Webhook-Signature", Stamp: "Webhook-Timestamp", ID: "Webhook-Id", named: true, between: ".", version: "v1"},
	"slack":    {Header: "X-Slack-Signature", Stamp: "X-Slack-Request-Timestamp", between: ":", before: "v0", version: "v0"},
	"stamped":  {inside: true, between: ".", version: "v1"},
	"body":     {},
}

// SignatureWindow is how far the time of a signed delivery may be off.
const SignatureWindow = 5 * time.Minute

// FindSigning finds a way to sign by its name; header takes the place of the
// one that it has, and must be given where it has none. fault.Invalid.
func FindSigning(name, header string) (Signing, error) {
	s, ok := signings[name]
	if !ok {
		return s, fmt.Errorf("%q is no way to sign; expected riposte, github, standard, slack, stamped or body: %w", name, fault.Invalid)
	}
	if header != "" {
		s.Header = header
	}
	if s.Header == "" {
		return s, fmt.Errorf("signature: %s needs the name of its header: %w", name, fault.Invalid)
	}
	return s, nil
}

// Key is what an HMAC is made with: the secret as it is, but for the secrets of
// standardwebhooks.com, which are whsec_ and BASE64.
func (s Signing) Key(secret string) []byte {
	if text, ok := strings.CutPrefix(secret, "whsec_"); ok && s.named {
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			return key
		}
	}
	return []byte(secret)
}

// Delivery is what a good signature says. The same delivery must not be taken
// twice.
type Delivery struct {
	Keys  []string  // names of the delivery, the signature first
	Until time.Time // after it no signature of that time is good; zero: it is for ever
}

// Verify checks the signature of a body. header gives a header by its name. The
// error, fault.Denied, says what is wrong in words for the operator; a sender is
// not told.
func (s Signing) Verify(key []byte, header func(string) string, body []byte, now time.Time) (d Delivery, err error) {
	given, stamp, id := header(s.Header), "", ""
	if given == "" {
		return d, fmt.Errorf("the header %s is missing: %w", s.Header, fault.Denied)
	}
	if s.Stamp != "" {
		stamp = header(s.Stamp)
	}
	if s.ID != "" {
		id = header(s.ID)
	}
	var sums [][]byte
	sums, inside := s.sums(given)
	if s.inside {
		stamp = inside
	}
	if s.Stamp != "" || s.inside {
		at, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil {
			return d, fmt.Errorf("the time of the signature is missing or no number of seconds: %w", fault.Denied)
		}
		if off := now.Sub(time.Unix(at, 0)); off.Abs() > SignatureWindow {
			return d, fmt.Errorf("the time of the signature is off by %s, more than %s; a clock is wrong or the delivery is old: %w", off.Round(time.Second), SignatureWindow, fault.Denied)
		}
		d.Until = time.Unix(at, 0).Add(SignatureWindow).UTC()
	}
	sum := s.sum(key, id, stamp, body)
	for _, given := range sums {
		if hmac.Equal(given, sum) {
			d.Keys = []string{hex.EncodeToString(sum)}
			if id != "" {
				d.Keys = append(d.Keys, "id:"+id)
			}
			return d, nil
		}
	}
	return d, fmt.Errorf("the signature is wrong; the secret is another, or something on the way changed the body: %w", fault.Denied)
}

// sum is the HMAC that a delivery must have.
func (s Signing) sum(key []byte, id, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	part := func(text string) { mac.Write([]byte(text + s.between)) }
	if s.before != "" {
		part(s.before)
	}
	if s.named {
		part(id)
	}
	if s.Stamp != "" || s.inside {
		part(stamp)
	}
	mac.Write(body)
	return mac.Sum(nil)
}

// sums reads the signatures of a header, of which one must be right: while a
// secret is changed, some products sign with both.
func (s Signing) sums(given string) (sums [][]byte, stamp string) {
	for part := range strings.FieldsFuncSeq(given, func(r rune) bool { return r == ' ' || r == ',' && !s.named }) {
		version, text, found := strings.Cut(part, "=")
		if s.named {
			version, text, found = strings.Cut(part, ",")
		}
		switch {
		case s.inside && version == "t":
			stamp = text
			continue
		case s.version != "":
			if version != s.version || !found {
				continue
			}
		default:
			text = strings.TrimPrefix(part, "sha256=")
		}
		if sum, err := decodeSum(text); err == nil {
			sums = append(sums, sum)
		}
	}
	return sums, stamp
}

// decodeSum reads hexadecimal or base64.
func decodeSum(text string) ([]byte, error) {
	if len(text) == hex.EncodedLen(sha256.Size) {
		return hex.DecodeString(text)
	}
	if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
		return sum, nil
	}
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}
