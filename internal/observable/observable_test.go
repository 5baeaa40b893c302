package observable_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
	"riposte/internal/observable"
)

func TestParseGivesTheNormalForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ      observable.Type
		in, want string
	}{
		{observable.IP, " 192.0.2.7 ", "192.0.2.7"},
		{observable.IP, "192[.]0[.]2[.]7", "192.0.2.7"},
		{observable.IP, "010.001.002.003", "10.1.2.3"},
		{observable.IP, "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		{observable.IP, "[2001:db8::1]", "2001:db8::1"},
		{observable.IP, "fe80::1%eth0", "fe80::1"},
		{observable.IP, "::ffff:192.0.2.7", "192.0.2.7"},
		{observable.CIDR, "10.1.2.3/8", "10.0.0.0/8"},
		{observable.CIDR, "2001:DB8::1/32", "2001:db8::/32"},
		{observable.Domain, "WWW.Evil.Example.", "www.evil.example"},
		{observable.Domain, "evil[.]co(.)uk", "evil.co.uk"},
		{observable.Domain, "münchen.de", "xn--mnchen-3ya.de"},
		{observable.Domain, "_dmarc.example.com", "_dmarc.example.com"},
		{observable.URL, "hxxps://Evil[.]Example:443/A?b#C", "https://evil.example/A?b#C"},
		{observable.URL, "http://192.168.0.1:8080", "http://192.168.0.1:8080"},
		{observable.URL, "http://user:pw@evil.example/", "http://user:pw@evil.example/"},
		{observable.URL, "evil.example/a", "evil.example/a"},
		{observable.URL, "tcp://[2001:DB8::1]:80/a", "tcp://[2001:db8::1]:80/a"},
		{observable.Email, "Ann.Lee+x@Example.COM", "ann.lee+x@example.com"},
		{observable.Email, "ann[at]example[dot]com", "ann@example.com"},
		{observable.Email, "ann@[192.0.2.7]", "ann@[192.0.2.7]"},
		{observable.MD5, "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"},
		{observable.CVE, "cve-2024-3094", "CVE-2024-3094"},
		{observable.MAC, "AA-BB-CC-00-11-22", "aa:bb:cc:00:11:22"},
		{observable.MAC, "aabb.cc00.1122", "aa:bb:cc:00:11:22"},
		{observable.Host, "WS-7.corp.example.", "ws-7.corp.example"},
		{observable.User, `CORP\ann`, `CORP\ann`},
		{observable.File, `C:\Windows\a.exe`, `C:\Windows\a.exe`},
	} {
		o, err := observable.Parse(c.typ, c.in)
		if err != nil || o.Value != c.want || o.Type != c.typ {
			t.Errorf("%s %q gives %s, %v; want %s", c.typ, c.in, o, err, c.want)
		}
		if again, err := observable.Parse(o.Type, o.Value); err == nil && again != o {
			t.Errorf("%s becomes %s", o, again)
		}
	}
	if o, err := observable.Parse(observable.Hash, strings.Repeat("ab", 32)); err != nil || o.Type != observable.SHA256 {
		t.Errorf("a hash of 64 digits is %s, %v", o, err)
	}
}

func TestParseRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ      observable.Type
		in, want string
	}{
		{observable.IP, "256.1.1.1", `ip "256.1.1.1": expected an address such as 192.0.2.7 or 2001:db8::7: invalid`},
		{observable.IP, "", `ip "": it is empty: invalid`},
		{observable.CIDR, "10.0.0.0/33", "expected a network"},
		{observable.CIDR, "10.0.0.0", "expected a network"},
		{observable.Domain, "localhost", "expected a name such as www.example.com"},
		{observable.Domain, "a..b", "expected a name"},
		{observable.Domain, "-a.com", "expected a name"},
		{observable.Domain, "a b.com", "expected a name"},
		{observable.Domain, "1.2.3.4", "expected a name"},
		{observable.URL, "http://", "expected a URL"},
		{observable.URL, "evil.example", "this is a name or an address alone"},
		{observable.URL, "http://evil.example/a b", "expected a URL"},
		{observable.URL, "javascript:alert(1)", "expected a URL"},
		{observable.Email, "@example.com", "expected an address such as ann@example.com"},
		{observable.Email, "ann@localhost", "expected an address"},
		{observable.MD5, strings.Repeat("a", 31), "expected 32 hexadecimal digits, it has 31"},
		{observable.SHA1, strings.Repeat("x", 40), "expected hexadecimal digits"},
		{observable.Hash, "abc", "expected 32, 40, 64 or 128 hexadecimal digits"},
		{observable.CVE, "CVE-24-1", "expected a number such as CVE-2024-3094"},
		{observable.MAC, "aa:bb", "expected six pairs"},
		{observable.User, "a\x00b", "control characters"},
		{observable.File, strings.Repeat("a", 9000), "longer than 8192 bytes"},
		{"phone", "123", "unknown type; known are ip, cidr"},
	} {
		_, err := observable.Parse(c.typ, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, fault.Invalid) {
			t.Errorf("%s %q: %v, want %s", c.typ, c.in, err, c.want)
		}
	}
}

func TestDefangAndBack(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://evil.example/a.html?b=c.d": "hxxp://evil[.]example/a.html?b=c.d",
		"https://evil.example:8443":        "hxxps://evil[.]example:8443",
		"ftp://evil.example/":              "fxp://evil[.]example/",
		"evil.example":                     "evil[.]example",
		"192.0.2.7":                        "192[.]0[.]2[.]7",
		"ann@evil.example":                 "ann[@]evil[.]example",
		"10.0.0.0/8":                       "10[.]0[.]0[.]0/8",
		"see http://a.com/x. Then b.com!":  "see hxxp://a[.]com/x. Then b[.]com!",
		"2001:db8::1":                      "2001[:]db8[:][:]1",
		"nothing to hide. Really":          "nothing to hide. Really",
		"intranet.unknowntld":              "intranet[.]unknowntld",
		"":                                 "",
	} {
		got := observable.Defang(in)
		if got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if back := observable.Refang(got); back != in {
			t.Errorf("%q comes back as %q", got, back)
		}
		if twice := observable.Defang(got); twice != got {
			t.Errorf("%q, done again, becomes %q", got, twice)
		}
	}
}

func TestRefang(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"hxxp://evil[.]example":                     "http://evil.example",
		"hXXps[:]//evil(.)example[/]a":              "https://evil.example/a",
		"h__p://evil{.}example":                     "http://evil.example",
		"hxxp:// evil[.]example/a":                  "http://evil.example/a",
		"ann [at] evil [dot] example":               "ann@evil.example",
		`10\.0\.0\.1`:                               "10.0.0.1",
		`http:\/\/evil.example\/a`:                  "http://evil.example/a",
		"evil[.example and good.]example":           "evil.example and good.example",
		"plain text. With a list: [a, b] (c.d) {e}": "plain text. With a list: [a, b] (c.d) {e}",
		"f(x).y and a[0].b":                         "f(x).y and a[0].b",
		"meet me @ noon (at six).":                  "meet me @ noon (at six).",
		"see [1]. Then":                             "see [1]. Then",
	} {
		if got := observable.Refang(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestDomainOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://user@Sub.Evil.example:8443/a?b@c": "sub.evil.example", "bob@mail.example": "mail.example", "hxxp://evil[.]example": "evil.example",
		"evil.example/path": "evil.example", "Evil.Example.": "evil.example", "evil.example:80": "evil.example", "http://192.0.2.7/": "",
		"http://[2001:db8::1]/": "", "": "", "localhost": "", "not a name": "",
	} {
		if got := observable.DomainOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"www.evil.co.uk": "evil.co.uk", "evil.com": "evil.com", "co.uk": "", "a.b.github.io": "b.github.io", "x.unknowntld": "", "a.evil.example": "evil.example",
	} {
		if got := observable.RegisteredDomain(in); got != want {
			t.Errorf("registered domain of %q: %q, want %q", in, got, want)
		}
	}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "The quick brown fox. It jumps; e.g. over 3.5 dogs, v1.2.3.4 (final).", nil},
		{"a log line", `Nov 24 06:01:02 fw kernel: DROP SRC=10.1.2.3 DST=203.0.113.9:443 MAC=00:11:22:33:44:55`, []string{"ip 10.1.2.3", "ip 203.0.113.9"}},
		{"JSON", `{"src_ip":"10.1.2.3","url":"http:\/\/evil.com\/a?b=1","sha1":"da39a3ee5e6b4b0d3255bfef95601890afd80709","tags":["a.b","x"]}`,
			[]string{"ip 10.1.2.3", "url http://evil.com/a?b=1", "domain evil.com", "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
		{"a table", `2026-03-14,http://evil.com/a,GET,200,198.51.100.7`, []string{"url http://evil.com/a", "domain evil.com", "ip 198.51.100.7"}},
		{"HTML", `<a href="https://evil.com/a?x=1&amp;y=2">click</a><img src='http://b.evil.com/i.png'>`,
			[]string{"url https://evil.com/a?x=1&y=2", "domain evil.com", "url http://b.evil.com/i.png", "domain b.evil.com"}},
		{"Markdown", `see [this](https://evil.com/a_(b)) and (http://c.com/d).`,
			[]string{"url https://evil.com/a_(b)", "domain evil.com", "url http://c.com/d", "domain c.com"}},
		{"disguise", "hxxps://evil[.]com/a, 10[.]0[.]0[.]1 and ann[@]evil[.]com",
			[]string{"url https://evil.com/a", "domain evil.com", "ip 10.0.0.1", "email ann@evil.com", "domain evil.com"}},
		{"disguise with blanks", "visit evil [.] com or mail bob at evil dot com today", []string{"domain evil.com", "email bob@evil.com", "domain evil.com"}},
		{"a redirection", "https://good.com/r?u=http://evil.com/x&to=ann@b.com", []string{
			"url https://good.com/r?u=http://evil.com/x&to=ann@b.com", "domain good.com", "url http://evil.com/x&to=ann@b.com", "domain evil.com"}},
		{"a network and an address in one", "10.0.0.0/8 192.168.1.7/24 192.168.0.1/index", []string{
			"cidr 10.0.0.0/8", "cidr 192.168.1.0/24", "ip 192.168.1.7", "ip 192.168.0.1", "url 192.168.0.1/index"}},
		{"addresses of version 6", "::1, [2001:db8::5]:443 std::string 12:30:45 fe80::1%eth0 ::", []string{"ip ::1", "ip 2001:db8::5", "ip fe80::1"}},
		{"vulnerabilities", "CVE-2024-3094, cve 2021-44228 (CVE-21-1)", []string{"cve CVE-2024-3094", "cve CVE-2021-44228"}},
		{"names of files", `C:\a\evil.sh /usr/lib/x.so setup.py run.zip evil.com.exe`, nil},
		{"names of fields", `{"proc.name":"sh","auth0.events":1,"action":"microsoft.security/alerts/write"} john.smith.name`, []string{"domain john.smith.name"}},
		{"hashes of all lengths in one run", strings.Repeat("x", 40) + "," + strings.Repeat("ab", 16) + "/" + strings.Repeat("cd", 20) + "|" + strings.Repeat("ef", 17), []string{
			"md5 " + strings.Repeat("ab", 16), "sha1 " + strings.Repeat("cd", 20)}},
		{"a sentence without a blank", "It ended.In the night", nil},
		{"text without blanks around", "请访问evil.com。（http://bad.com/x）", []string{"domain evil.com", "url http://bad.com/x", "domain bad.com"}},
		{"a hash in a path", "https://vt.com/file/d41d8cd98f00b204e9800998ecf8427e/x", []string{
			"url https://vt.com/file/d41d8cd98f00b204e9800998ecf8427e/x", "domain vt.com", "md5 d41d8cd98f00b204e9800998ecf8427e"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range observable.Extract(c.text) {
				got = append(got, f.Observable().String())
				if c.text[f.Offset:f.Offset+len(f.AsWritten)] != f.AsWritten {
					t.Errorf("%s does not stand at %d", f.AsWritten, f.Offset)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// hostile texts are made to cost much.
func hostile() map[string]string {
	rep := strings.Repeat
	return map[string]string{
		"dots": rep(".", 1<<20), "colons": rep(":", 1<<20), "ats": rep("a@", 1<<19), "labels": rep("a.", 1<<19), "brackets": rep("[.]", 1<<18),
		"opened": rep("[", 1<<20), "closed": "http://a.co/" + rep(")", 1<<20), "nested": rep("http://a.co/?", 1<<16), "words": rep("at dot ", 1<<17),
		"signs": rep("a [.] ", 1<<17), "digits": rep("1.", 1<<19), "hex": rep("ab:", 1<<18), "schemes": rep("://", 1<<18), "blanks": rep(" ", 1<<20),
		"backslashes": rep(`\`, 1<<20), "comments": rep("a(", 1<<19), "commas": "http://" + rep("a,", 1<<19), "plus": rep("+", 1<<20), "minus": rep("-.", 1<<19),
		"cve": rep("cve-", 1<<18), "long": rep("x", 1<<20), "spaced": rep("( . ", 1<<18), "h": rep("hxxp:// ", 1<<17), "quotes": rep("'http://a.co/'", 1<<16),
		"users": rep("http://"+rep("a", 250)+"@", 1<<12), "amp": "http://a.co/?" + rep("&amp;", 1<<17),
	}
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	t.Parallel()
	for name, text := range hostile() {
		begin := time.Now()
		n := len(observable.Extract(text))
		observable.Refang(text)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%s took %v", name, took)
		} else {
			t.Logf("%s: %d found in %v", name, n, took)
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		"hxxps://evil[.]com/a, 10[.]0[.]0[.]1 and ann[@]evil[.]com", "bob at evil dot com", `{"u":"http:\/\/evil.com"}`, "[2001:db8::5]:443",
		"a@[IPv6:::1] john(c)@x.com", "http://[a.com http://a,com/ http://1.2.3.4:99999/", "cve 2021-44228", "münchen.de 10\\.0\\.0\\.1",
		"www.-banana.com stix_import.com a--.b.com", "1.1.1.1/0 ::1/64 http://::1/", "https://a.com/?u=http://b.com/?u=c.com",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, x := range observable.Extract(text) {
			if x.Offset < 0 || x.Offset+len(x.AsWritten) > len(text) || text[x.Offset:x.Offset+len(x.AsWritten)] != x.AsWritten || x.AsWritten == "" {
				t.Fatalf("%q: %q does not stand at %d", text, x.AsWritten, x.Offset)
			}
			o, err := observable.Parse(x.Type, x.Value)
			if err != nil || o.Value != x.Value {
				t.Fatalf("%q: %s %q, read again: %s, %v", text, x.Type, x.Value, o, err)
			}
		}
		once := observable.Refang(text)
		if len(once) > len(text)+16 {
			t.Fatalf("%q grew to %q", text, once)
		}
		observable.Defang(text)
		observable.DomainOf(text)
	})
}

func BenchmarkExtractFromProse(b *testing.B) {
	text := strings.Repeat(`Thank you for the meeting on Tuesday. We went through the figures of the last quarter (see the table below), and
agreed that the team in Hamburg will prepare a proposal, e.g. for the new building, until the end of May: costs, time, and risks.
Please let me know at once if anything is missing; I am at my desk until 17:30. The full text is on https://intra.example.com/minutes/17.
`, 300)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		observable.Extract(text)
	}
}

func BenchmarkExtractFromDenseMail(b *testing.B) {
	mail := strings.Repeat(`Dear customer, we noticed a sign-in from 203.0.113.77 on Tuesday at 10:32.
If this was not you, please confirm your account at https://login.example.com/verify?id=8372 within 24 hours.
Our team (support@example.com) will never ask for your password. More on hxxp://evil[.]com/a.
The attached invoice has the checksum d41d8cd98f00b204e9800998ecf8427e and 3.5 pages.
Kind regards, the team. This message was sent to you because you are a valued customer of the bank.
`, 200)
	b.SetBytes(int64(len(mail)))
	b.ReportAllocs()
	for b.Loop() {
		observable.Extract(mail)
	}
}
