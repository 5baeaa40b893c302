package ingest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"riposte/internal/alert"
	"riposte/internal/mail"
)

// maxInlineMail is how large a mail may be to be held in its event; a larger one
// is kept beside the database.
const maxInlineMail = 64 << 10

// mailPlace says where a mail was found.
type mailPlace struct {
	Account  string `json:"account"`
	Folder   string `json:"folder"`
	Number   uint32 `json:"uid"`
	Validity uint32 `json:"uid_validity"`
}

// rawMail is a mail as it came.
type rawMail struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Cut    bool   `json:"cut,omitempty"`    // it was larger than is read
	Blob   string `json:"blob,omitempty"`   // the name under which it is kept, where it is large
	Text   string `json:"text,omitempty"`   // else the mail itself
	Base64 string `json:"base64,omitempty"` // or this, where it is no UTF-8
}

// mailed is the event of a mail, as mappings see it.
type mailed struct {
	*mail.Message
	// Reported is the mail that is attached to this one, as by somebody who reports
	// it: among Attachments it has no message then.
	Reported *mail.Message `json:"reported,omitempty"`
	Mailbox  mailPlace     `json:"mailbox"`
	Raw      rawMail       `json:"raw"`
}

// mailEvent makes the event of a mail, and the key that tells the mail from
// others; large tells that it is to be kept as a blob.
func mailEvent(m FetchedMail, at mailPlace) (event []byte, key string, large bool, err error) {
	sum := sha256.Sum256(m.Raw)
	hash := hex.EncodeToString(sum[:])
	e := mailed{Message: mail.Parse(m.Raw), Mailbox: at, Raw: rawMail{Size: max(m.Size, int64(len(m.Raw))), SHA256: hash}}
	e.Raw.Cut = e.Raw.Size > int64(len(m.Raw))
	switch large = len(m.Raw) > maxInlineMail; {
	case large:
		e.Raw.Blob = hash
	case utf8.Valid(m.Raw):
		e.Raw.Text = string(m.Raw)
	default:
		e.Raw.Base64 = base64.StdEncoding.EncodeToString(m.Raw)
	}
	for i := range e.Attachments {
		if n := e.Attachments[i].Message; n != nil {
			e.Reported, e.Attachments[i].Message = n, nil
			break
		}
	}
	// A mail may be written so that its event grows beyond what is read: then it is
	// told shorter. The whole mail is kept all the same.
	for limit := mail.MaxTextBytes; ; limit /= 4 {
		if event, err = json.Marshal(e); err != nil {
			return nil, "", false, fmt.Errorf("event of a mail: %w", err)
		}
		if len(event) <= alert.MaxEventBytes || limit < 1024 {
			return event, e.MessageID + "\x00" + hash, large, nil
		}
		shorten(e.Message, limit/4)
		if e.Reported != nil {
			shorten(e.Reported, limit/4)
		}
	}
}

// shorten leaves of a mail what is most needed.
func shorten(m *mail.Message, limit int) {
	cut := func(s string) string {
		if len(s) <= limit {
			return s
		}
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		return s[:limit]
	}
	m.Text, m.HTMLText = cut(m.Text), cut(m.HTMLText)
	for i := range m.Headers {
		m.Headers[i].Value = cut(m.Headers[i].Value)
	}
	most := max(limit/256, 20)
	m.Headers = m.Headers[:min(len(m.Headers), most)]
	m.Links = m.Links[:min(len(m.Links), most)]
	m.To, m.Cc = m.To[:min(len(m.To), most)], m.Cc[:min(len(m.Cc), most)]
	for i := range m.Attachments {
		if n := m.Attachments[i].Message; n != nil {
			shorten(n, limit/4)
		}
	}
}
