// Package mail reads mails as they really are: with broken headers, wrong
// charsets, boundaries that are missing and parts inside parts. Whatever comes,
// it gives what can be read and says what was wrong; it never fails. Work is
// linear in the size of the mail, and depth, parts, headers and texts are
// limited, for a mail is hostile input.
package mail

import (
	"time"
)

// Limits of one mail, nested ones included. What is more is left out and noted
// among the defects.
const (
	MaxBytes       = 32 << 20  // of a mail; the rest is not looked at
	MaxDepth       = 20        // of parts inside parts, mails inside mails included
	MaxParts       = 500       // in all
	MaxHeaders     = 1000      // of one part
	MaxHeaderBytes = 64 << 10  // of one header
	MaxTextBytes   = 512 << 10 // of all texts together, and of all HTML
	MaxLinks       = 1000
	maxDefects     = 50
	maxWork        = 4 * MaxBytes
)

// Message is a mail.
type Message struct {
	Headers        []Header        `json:"headers,omitempty"` // in their order, those that are read apart below included
	MessageID      string          `json:"message_id,omitempty"`
	InReplyTo      string          `json:"in_reply_to,omitempty"`
	Subject        string          `json:"subject,omitempty"`
	Date           time.Time       `json:"date,omitzero"` // as the sender says; zero where it cannot be read
	From           []Address       `json:"from,omitempty"`
	Sender         []Address       `json:"sender,omitempty"`
	To             []Address       `json:"to,omitempty"`
	Cc             []Address       `json:"cc,omitempty"`
	ReplyTo        []Address       `json:"reply_to,omitempty"`
	ReturnPath     string          `json:"return_path,omitempty"`
	DeliveredTo    []string        `json:"delivered_to,omitempty"` // as the receiving server says
	Text           string          `json:"text,omitempty"`         // the plain text; where there is none, what the HTML says
	HTMLText       string          `json:"html_text,omitempty"`    // what the HTML says, where there is a plain text too
	Links          []Link          `json:"links,omitempty"`        // addresses that the HTML leads to
	Attachments    []Attachment    `json:"attachments,omitempty"`
	Received       []Hop           `json:"received,omitempty"` // the newest first
	Authentication *Authentication `json:"authentication,omitempty"`
	Defects        []string        `json:"defects,omitempty"` // what was wrong with it
}

// Header is one header field, unfolded and decoded.
type Header struct {
	Name  string `json:"name"` // as written
	Value string `json:"value"`
}

// Address is a mailbox of a header.
type Address struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

// Link is an address in HTML and the text that it stands behind.
type Link struct {
	URL  string `json:"url"`
	Text string `json:"text,omitempty"`
	From string `json:"from"` // a, img, form, area, base, iframe, link, meta
}

// Attachment is a part that is not the body.
type Attachment struct {
	Name      string   `json:"name,omitempty"`
	Type      string   `json:"type"` // as the mail says
	Size      int      `json:"size"` // decoded
	Inline    bool     `json:"inline,omitempty"`
	ContentID string   `json:"content_id,omitempty"`
	MD5       string   `json:"md5"`
	SHA1      string   `json:"sha1"`
	SHA256    string   `json:"sha256"`
	Message   *Message `json:"message,omitempty"` // a mail inside, such as one that somebody reports
}

// Hop is a server that took the mail over.
type Hop struct {
	From string    `json:"from,omitempty"` // how the sender called itself
	IP   string    `json:"ip,omitempty"`   // its address, as the receiver saw it
	By   string    `json:"by,omitempty"`
	With string    `json:"with,omitempty"`
	Time time.Time `json:"time,omitzero"`
}

// Authentication is what a server on the way found out about the sender. Anybody
// may write such a header: it means something only where Server is one's own.
type Authentication struct {
	Server string `json:"server,omitempty"`
	SPF    string `json:"spf,omitempty"` // pass, fail, softfail, none …
	DKIM   string `json:"dkim,omitempty"`
	DMARC  string `json:"dmarc,omitempty"`
}

// Reported is the mail that this one was sent to report: the first that is
// attached, at whatever depth; nil where there is none.
func (m *Message) Reported() *Message {
	for i := range m.Attachments {
		if n := m.Attachments[i].Message; n != nil {
			return n
		}
	}
	return nil
}

// Header gives the first value of a header, whatever the case of its name; ""
// where there is none.
func (m *Message) Header(name string) string {
	for _, h := range m.Headers {
		if equalFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Parse reads a mail.
func Parse(raw []byte) *Message {
	r := &reader{}
	m := &Message{}
	if len(raw) > MaxBytes {
		raw = raw[:MaxBytes]
		r.defect(m, "the mail is cut at the most that is read")
	}
	r.message(m, raw, 0)
	return m
}

// reader counts what was read of one mail, nested ones included.
type reader struct {
	parts, text, html, links int
	work                     int // bytes of attachments, those inside others counted again
}

func (r *reader) defect(m *Message, what string) {
	if len(m.Defects) >= maxDefects {
		return
	}
	for _, d := range m.Defects {
		if d == what {
			return
		}
	}
	m.Defects = append(m.Defects, what)
}
