package mail_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/mail"
)

// reported is a mail of a user who reports another one.
const reported = `Received: from mx.example.org (mx.example.org [192.0.2.25])
	by mail.example.org with ESMTPS id 1; Mon, 5 Jan 2026 09:00:02 +0100
Authentication-Results: mail.example.org; spf=fail (not permitted) smtp.mailfrom=evil.example;
	dkim=none; dmarc=fail header.from=bank.example
Return-Path: <alice@example.org>
From: =?UTF-8?Q?Al=C3=ADce?= <alice@example.org>
To: "SOC, reports" <soc@example.org>, bob@example.org (Bob)
Subject: =?utf-8?B?RndkOiBZb3VyIGludm9pY2Ug4oKs?= =?utf-8?B?IDEw?=
Date: Mon, 5 Jan 2026 09:00:00 +0100 (CET)
Message-ID: <report-1@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

This is a multi-part message in MIME format.
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Please have a look, caf=E9 =
closed.
--inner
Content-Type: text/html; charset=utf-8

<p>Please have a <a href="https://example.org/look">look</a></p><script>var x = "no"</script>
--inner--
--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename="invoice.eml"

From: "Bank" <service@bank.example>
To: alice@example.org
Subject: Your invoice
Message-ID: <evil-1@evil.example>
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html

<a href="http://198.51.100.7/pay">https://bank.example/pay</a>
--x
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*0*=UTF-8''rech; filename*1*=n%C3%BCng.htm

aGVsbG8K
--x--
--outer--
`

func TestAReportWithTheMailInsideIsRead(t *testing.T) {
	t.Parallel()
	m := mail.Parse([]byte(reported))
	m.Headers = nil
	inner := m.Reported()
	if inner == nil {
		t.Fatal("the reported mail is not found")
	}
	if got := inner.Header("subject"); got != "Your invoice" {
		t.Errorf("its subject is %q", got)
	}
	inner.Headers = nil
	m.Attachments[0].MD5, m.Attachments[0].SHA1, m.Attachments[0].SHA256, m.Attachments[0].Size = "", "", "", 0
	want := &mail.Message{
		MessageID: "report-1@example.org", Subject: "Fwd: Your invoice € 10", Date: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC),
		From:       []mail.Address{{Name: "Alíce", Address: "alice@example.org"}},
		To:         []mail.Address{{Name: "SOC, reports", Address: "soc@example.org"}, {Name: "Bob", Address: "bob@example.org"}},
		ReturnPath: "alice@example.org", Text: "Please have a look, café closed.", HTMLText: "Please have a look",
		Links:          []mail.Link{{URL: "https://example.org/look", Text: "look", From: "a"}},
		Received:       []mail.Hop{{From: "mx.example.org", IP: "192.0.2.25", By: "mail.example.org", With: "ESMTPS", Time: time.Date(2026, 1, 5, 8, 0, 2, 0, time.UTC)}},
		Authentication: &mail.Authentication{Server: "mail.example.org", SPF: "fail", DKIM: "none", DMARC: "fail"},
		Attachments: []mail.Attachment{{Name: "invoice.eml", Type: "message/rfc822", Message: &mail.Message{
			MessageID: "evil-1@evil.example", Subject: "Your invoice",
			From: []mail.Address{{Name: "Bank", Address: "service@bank.example"}}, To: []mail.Address{{Address: "alice@example.org"}},
			Text:  "https://bank.example/pay",
			Links: []mail.Link{{URL: "http://198.51.100.7/pay", Text: "https://bank.example/pay", From: "a"}},
			Attachments: []mail.Attachment{{
				Name: "rechnüng.htm", Type: "application/octet-stream", Size: 6, MD5: "b1946ac92492d2347c6235b4d2611184",
				SHA1: "f572d396fae9206628714fb2ce00f72e94f2258f", SHA256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
			}},
		}}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenMailsAreReadAsFarAsTheyCanBe(t *testing.T) {
	t.Parallel()
	const head = "From: a@example.org\nSubject: x\n"
	for name, c := range map[string]struct{ raw, text, defect string }{
		"junk among the headers":         {"From: a@example.org\nthis is no header\nSubject: x\n\nhello", "hello", "lines among the headers"},
		"no empty line":                  {head, "", ""},
		"a boundary that never comes":    {head + "Content-Type: multipart/mixed; boundary=b\n\nhello\n", "hello", "a boundary is in no line"},
		"a boundary that is not named":   {head + "Content-Type: multipart/mixed\n\n--zzzzz\n\nhello\n--zzzzz--\n", "hello", "a boundary is missing"},
		"a last part without an end":     {head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n", "hello", "no end"},
		"a quote that is never closed":   {head + "Content-Type: text/plain; charset=\"utf-8\n\nhéllo", "héllo", ""},
		"an unknown charset":             {head + "Content-Type: text/plain; charset=x-nobody\n\nh\xe9llo", "héllo", ""},
		"base64 with junk and no end":    {head + "Content-Transfer-Encoding: base64\n\naGV!sbG\n8", "hello", ""},
		"quoted-printable that is wrong": {head + "Content-Transfer-Encoding: quoted-printable\n\nhe=6Clo =ZZ= \nx", "hello =ZZx", ""},
		"UTF-7":                          {head + "Content-Type: text/plain; charset=utf-7\n\nh+AOk-llo +- you", "héllo + you", ""},
		"old Macs' line ends":            {"\nhello", "hello", "there are no headers"},
		"an mbox's first line":           {"From a@example.org Mon Jan  5 09:00:00 2026\n" + head + "\nhello", "hello", ""},
		"HTML only":                      {head + "Content-Type: text/html\n\n<style>p{}</style><p>one<br>two&nbsp;<b>th</b>ree", "one\ntwo three", ""},
		"nothing":                        {"", "", "there are no headers"},
		"the same header twice":          {head + "Subject: y\n\nhello", "hello", "more than once"},
	} {
		m := mail.Parse([]byte(c.raw))
		if m.Text != c.text {
			t.Errorf("%s: text %q, want %q", name, m.Text, c.text)
		}
		if !strings.Contains(strings.Join(m.Defects, "; "), c.defect) || c.defect == "" && len(m.Defects) > 0 {
			t.Errorf("%s: defects %q, want %q", name, m.Defects, c.defect)
		}
	}
}

func TestAddressesAreReadLeniently(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]mail.Address{
		`"Last, First" <a@x.org>`:                        {{Name: "Last, First", Address: "a@x.org"}},
		`a@x.org, <b@x.org>; c@x.org`:                    {{Address: "a@x.org"}, {Address: "b@x.org"}, {Address: "c@x.org"}},
		`Team: a@x.org, B <b@x.org>;`:                    {{Address: "a@x.org"}, {Name: "B", Address: "b@x.org"}},
		`undisclosed-recipients:;`:                       nil,
		`Bank service@evil.example <x@y.example>`:        {{Name: "Bank service@evil.example", Address: "x@y.example"}},
		`=?utf-8?q?J=C3=BC?= =?utf-8?q?rgen?= <j@x.org>`: {{Name: "Jürgen", Address: "j@x.org"}},
		`"never closed <a@x.org>, b@x.org`:               {{Name: "never closed", Address: "a@x.org"}, {Address: "b@x.org"}},
		`Somebody`:                                       {{Name: "Somebody"}},
	} {
		m := mail.Parse([]byte("To: " + header + "\n\n"))
		if diff := cmp.Diff(want, m.To); diff != "" {
			t.Errorf("%s:\n%s", header, diff)
		}
	}
}

// deep nests parts that are never closed, one per level: a small mail that costs
// some readers minutes.
func deep(levels int) []byte {
	var b bytes.Buffer
	b.WriteString("From: a@example.org\n")
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\nhello")
	return b.Bytes()
}

func TestHostileMailsCostLittle(t *testing.T) {
	t.Parallel()
	var parts, headers, mails bytes.Buffer
	parts.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
	for range 200_000 {
		parts.WriteString("--b\n\nx\n")
	}
	for i := range 200_000 {
		fmt.Fprintf(&headers, "X-%d: %s\n", i, "=?utf-8?q?x?=")
	}
	for range 5000 {
		mails.WriteString("Content-Type: message/rfc822\n\n")
	}
	for name, raw := range map[string][]byte{
		"parts inside parts":   deep(400),
		"mails inside mails":   mails.Bytes(),
		"a great many parts":   parts.Bytes(),
		"a great many headers": headers.Bytes(),
		"one endless header":   []byte("Subject: " + strings.Repeat("=?utf-8?q?", 1<<20)),
		"one endless address":  []byte("To: " + strings.Repeat("<\"(", 1<<20)),
		"one endless type":     []byte("Content-Type: text/plain; " + strings.Repeat("a*1*=", 1<<20)),
		"an endless tag":       []byte("Content-Type: text/html\n\n" + strings.Repeat("<a href='", 1<<20)),
		"marks without lines":  []byte("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b", 1<<21)),
		"one large mail":       bytes.Repeat([]byte("hello \xff"), 6<<20),
	} {
		begin := time.Now()
		m := mail.Parse(raw)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
		if len(m.Text) > mail.MaxTextBytes || len(m.Attachments) > mail.MaxParts || len(m.Headers) > mail.MaxHeaders || !utf8.ValidString(m.Text) {
			t.Errorf("%s: more was read than may be", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(reported))
	f.Add(deep(30))
	f.Add([]byte("Content-Type: text/html; charset=utf-16\n\n<a href=x>"))
	f.Add([]byte("Subject: =?iso-2022-jp?B?GyRCJUYbKEI=?=\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n#:&5L\nend\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := mail.Parse(raw)
		for _, s := range []string{m.Text, m.HTMLText, m.Subject, m.MessageID, m.ReturnPath} {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no UTF-8", s)
			}
		}
		for _, l := range m.Links {
			if !utf8.ValidString(l.URL + l.Text) {
				t.Errorf("%q is no UTF-8", l)
			}
		}
	})
}
