package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
)

// moment is when everything here is signed, and what it is in seconds.
var moment, stamp = time.Unix(1767323045, 0), "1767323045"

const secret = "a secret for tests"

// sum signs parts with a secret.
func sum(key string, parts ...string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(strings.Join(parts, "")))
	return mac.Sum(nil)
}

func hexSum(parts ...string) string { return hex.EncodeToString(sum(secret, parts...)) }

func verify(t *testing.T, how, header string, headers map[string]string, body string, now time.Time) (auth.Delivery, error) {
	t.Helper()
	s, err := auth.FindSigning(how, header)
	if err != nil {
		t.Fatal(err)
	}
	return s.Verify(s.Key(secret), func(name string) string { return headers[name] }, []byte(body), now)
}

func TestEachWayToSignIsKnown(t *testing.T) {
	t.Parallel()
	const body = `{"a": 1}`
	base := func(parts ...string) string { return base64.StdEncoding.EncodeToString(sum(secret, parts...)) }
	for _, c := range []struct {
		name, how, header string
		headers           map[string]string
		timed             bool
	}{
		{"our own", "riposte", "", map[string]string{"X-Riposte-Signature": "sha256=" + hexSum(stamp, ".", body), "X-Riposte-Timestamp": stamp}, true},
		{"our own without the prefix", "riposte", "", map[string]string{"X-Riposte-Signature": hexSum(stamp, ".", body), "X-Riposte-Timestamp": stamp}, true},
		{"GitHub", "github", "", map[string]string{"X-Hub-Signature-256": "sha256=" + hexSum(body), "X-GitHub-Delivery": "d"}, false},
		{"Standard Webhooks", "standard", "", map[string]string{"Webhook-Signature": "v1," + base("msg_1.", stamp, ".", body), "Webhook-Id": "msg_1", "Webhook-Timestamp": stamp}, true},
		{"Standard Webhooks with two secrets", "standard", "", map[string]string{"Webhook-Signature": "v1,AAAA v1a,BBBB v1," + base("msg_1.", stamp, ".", body), "Webhook-Id": "msg_1", "Webhook-Timestamp": stamp}, true},
		{"Slack", "slack", "", map[string]string{"X-Slack-Signature": "v0=" + hexSum("v0:", stamp, ":", body), "X-Slack-Request-Timestamp": stamp}, true},
		{"a time inside", "stamped", "X-Sig", map[string]string{"X-Sig": "t=" + stamp + ",v1=00,v1=" + hexSum(stamp, ".", body)}, true},
		{"the body in hex", "body", "X-Sig", map[string]string{"X-Sig": strings.ToUpper(hexSum(body))}, false},
		{"the body in base64", "body", "X-Sig", map[string]string{"X-Sig": base(body)}, false},
	} {
		d, err := verify(t, c.how, c.header, c.headers, body, moment)
		if err != nil || len(d.Keys) == 0 || d.Until.IsZero() == c.timed {
			t.Errorf("%s: %+v, %v", c.name, d, err)
		}
		if _, err := verify(t, c.how, c.header, c.headers, body+" ", moment); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: another body is let in: %v", c.name, err)
		}
		for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
			if _, err := verify(t, c.how, c.header, c.headers, body, moment.Add(off)); (err != nil) != c.timed {
				t.Errorf("%s, %s off: %v", c.name, off, err)
			}
		}
		if _, err := verify(t, c.how, c.header, nil, body, moment); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: no signature is let in: %v", c.name, err)
		}
	}
}

// The examples that vendors give in their documentation.
func TestTheVendorsOwnExamplesAreGood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		how, secret, body string
		at                int64
		headers           map[string]string
	}{
		{"github", "It's a Secret to Everybody", "Hello, World!", 0, map[string]string{
			"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
		}},
		{"slack", "8f742231b10e8888abcd99yyyzzz85a5", "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&" +
			"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F" +
			"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c", 1531420618, map[string]string{
			"X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", "X-Slack-Request-Timestamp": "1531420618",
		}},
	} {
		s, err := auth.FindSigning(c.how, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(s.Key(c.secret), func(n string) string { return c.headers[n] }, []byte(c.body), time.Unix(c.at, 0)); err != nil {
			t.Errorf("%s: %v", c.how, err)
		}
	}
}

func TestASecretOfStandardWebhooksIsDecoded(t *testing.T) {
	t.Parallel()
	s, err := auth.FindSigning("standard", "")
	if err != nil {
		t.Fatal(err)
	}
	key := s.Key("whsec_" + base64.StdEncoding.EncodeToString([]byte(secret)))
	headers := map[string]string{"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(sum(secret, "m.", stamp, ".x")), "Webhook-Id": "m", "Webhook-Timestamp": stamp}
	if _, err := s.Verify(key, func(n string) string { return headers[n] }, []byte("x"), moment); err != nil {
		t.Error(err)
	}
}

func TestADeliveryIsNamedByItsSignatureAndItsID(t *testing.T) {
	t.Parallel()
	one, err := verify(t, "github", "", map[string]string{"X-Hub-Signature-256": "sha256=" + hexSum("x"), "X-GitHub-Delivery": "a"}, "x", moment)
	if err != nil {
		t.Fatal(err)
	}
	other, err := verify(t, "github", "", map[string]string{"X-Hub-Signature-256": "sha256=" + hexSum("x"), "X-GitHub-Delivery": "b"}, "x", moment)
	if err != nil || len(one.Keys) != 2 || one.Keys[0] != other.Keys[0] || one.Keys[1] == other.Keys[1] {
		t.Errorf("%v and %v, %v", one, other, err)
	}
}

func TestNetworksAreReadAndAsked(t *testing.T) {
	t.Parallel()
	var list auth.Networks
	for _, text := range []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"} {
		var n auth.Network
		if err := n.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if again, err := n.MarshalText(); err != nil || string(again) != text {
			t.Errorf("%s is written %s, %v", text, again, err)
		}
		list = append(list, n)
	}
	for text, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "192.0.2.7": true, "192.0.2.8": false, "2001:db8::1": true, "2001:db9::1": false} {
		if got := list.Contain(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if list.Contain(netip.Addr{}) {
		t.Error("no address is in no network")
	}
	for _, text := range []string{"10.0.0.1/8", "10.0.0.0/33", "example.org", "", "fe80::1%eth0"} {
		if err := new(auth.Network).UnmarshalText([]byte(text)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAProxysWordCountsOnlyIfItIsTrusted(t *testing.T) {
	t.Parallel()
	var proxies auth.Networks
	for _, text := range []string{"192.0.2.0/24"} {
		var n auth.Network
		if err := n.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		proxies = append(proxies, n)
	}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"nobody between", "198.51.100.1", nil, "198.51.100.1"},
		{"a stranger's header", "198.51.100.1", []string{"10.0.0.1"}, "198.51.100.1"},
		{"a proxy", "192.0.2.1", []string{"198.51.100.9"}, "198.51.100.9"},
		{"a proxy, and what the sender made up", "192.0.2.1", []string{"10.0.0.1, 198.51.100.9"}, "198.51.100.9"},
		{"two proxies", "192.0.2.1", []string{"10.0.0.1, 198.51.100.9", "192.0.2.2"}, "198.51.100.9"},
		{"a port", "192.0.2.1", []string{"198.51.100.9:5555"}, "198.51.100.9"},
		{"IPv6", "192.0.2.1", []string{"[2001:db8::9]:443"}, "2001:db8::9"},
		{"the proxy itself", "192.0.2.1", nil, "192.0.2.1"},
		{"no address", "192.0.2.1", []string{"unknown"}, "invalid IP"},
	} {
		if got := proxies.Sender(netip.MustParseAddr(c.peer), c.forwarded).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Whatever a header holds, only the right signature is let in.
func FuzzSignature(f *testing.F) {
	f.Add("github", "sha256="+hexSum("x"), "", "x")
	f.Add("standard", "v1,AAAA v1a,BBBB", stamp, "x")
	f.Add("stamped", "t="+stamp+",v1=00,v1="+hexSum(stamp, ".x"), "", "x")
	f.Add("slack", "v0="+hexSum("v0:", stamp, ":x"), stamp, "x")
	f.Fuzz(func(t *testing.T, how, given, at, body string) {
		s, err := auth.FindSigning(how, "X-Sig")
		if err != nil {
			return
		}
		header := func(name string) string {
			switch name {
			case s.Header:
				return given
			case s.Stamp:
				return at
			}
			return "id"
		}
		if _, err := s.Verify([]byte(secret), header, []byte(body), moment); err != nil {
			return
		}
		if _, err := s.Verify([]byte(secret+"."), header, []byte(body), moment); err == nil {
			t.Fatalf("%q is good with two keys", given)
		}
	})
}
