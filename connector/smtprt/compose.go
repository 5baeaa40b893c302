package smtprt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

// message is a mail ready to be handed over.
type message struct {
	from string
	to   []string // all recipients
	id   string
	text []byte
}

func (s *Sender) compose(in *connector.Invocation) (*message, error) {
	inputs := in.Call.Inputs
	from, _ := in.Config["from"].(string)
	to, err := addresses(inputs["to"])
	if err != nil {
		return nil, err
	}
	cc, err := addresses(inputs["cc"])
	if err != nil {
		return nil, err
	}
	if len(to) == 0 {
		return nil, problemf(connector.Invalid, "to names nobody")
	}
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, problemf(connector.Invalid, "the connection's from is no mail address")
	}
	subject, _ := inputs["subject"].(string)
	text, _ := inputs["text"].(string)
	if name, ok := inputs["template"].(string); ok {
		filled, fill, err := s.template(name, inputs["with"], in.Now)
		if err != nil {
			return nil, err
		}
		text = fill
		if subject == "" {
			subject = filled
		}
	}
	if strings.ContainsAny(subject, "\r\n") {
		return nil, problemf(connector.Invalid, "the subject holds a line break")
	}
	m := &message{from: sender.Address, to: append(append([]string{}, to...), cc...), id: messageID(in, sender.Address)}
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", sender.String())
	header("To", strings.Join(to, ", "))
	if len(cc) > 0 {
		header("Cc", strings.Join(cc, ", "))
	}
	header("Subject", mime.QEncoding.Encode("utf-8", subject))
	header("Date", in.Now.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("Message-ID", m.id)
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	header("Auto-Submitted", "auto-generated")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	m.text = b.Bytes()
	return m, nil
}

// messageID is the same for all attempts of a step, so that mailboxes can tell
// a mail that came twice.
func messageID(in *connector.Invocation, from string) string {
	sum := sha256.Sum256([]byte(in.Call.Key + in.Connection.Name))
	if in.Call.Key == "" {
		sum = sha256.Sum256(fmt.Appendf(nil, "%d", in.Now.UnixNano()))
	}
	_, domain, _ := strings.Cut(from, "@")
	return fmt.Sprintf("<%s@%s>", hex.EncodeToString(sum[:16]), domain)
}

// addresses reads one address or a list.
func addresses(v any) ([]string, error) {
	var list []string
	switch v := v.(type) {
	case nil:
	case string:
		list = []string{v}
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, problemf(connector.Invalid, "a recipient is no text")
			}
			list = append(list, s)
		}
	}
	for i, s := range list {
		a, err := mail.ParseAddress(s)
		if err != nil || strings.ContainsAny(s, "\r\n") {
			return nil, problemf(connector.Invalid, "a recipient is no mail address")
		}
		list[i] = a.Address
	}
	return list, nil
}

// template reads NAME.txt and fills in with.
func (s *Sender) template(name string, with any, now time.Time) (subject, text string, err error) {
	file := name + ".txt"
	if !fs.ValidPath(file) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || s.Templates == nil {
		return "", "", problemf(connector.Invalid, "there is no mail template %q in the content folder", name)
	}
	b, err := fs.ReadFile(s.Templates, file)
	if err != nil {
		return "", "", problemf(connector.Invalid, "there is no mail template %q in the content folder", name)
	}
	first, rest, ok := strings.Cut(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n\n")
	subject, found := strings.CutPrefix(first, "Subject: ")
	if !ok || !found || strings.Contains(subject, "\n") {
		return "", "", problemf(connector.Permanent, "the mail template %s does not begin with Subject: and an empty line", file)
	}
	value, err := expr.CompileValue([]any{subject, rest}, expr.NewScope().With("with", expr.Any()), func(_ []any, e *expr.Error) error { return e })
	if err != nil {
		return "", "", problemf(connector.Permanent, "the mail template %s: %v", file, err)
	}
	v, err := value.Eval(&expr.Env{Now: now, Roots: map[string]any{"with": with}})
	if err != nil {
		return "", "", problemf(connector.Invalid, "the mail template %s: %v", file, err)
	}
	list, _ := v.([]any)
	if len(list) != 2 {
		return "", "", errors.New("a template of two parts gave another number")
	}
	return fmt.Sprint(list[0]), fmt.Sprint(list[1]), nil
}
