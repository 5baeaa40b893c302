package httprt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// bodyCode makes the body of a request.
type bodyCode struct {
	spec  connector.Body
	value *expr.Value // json
	form  []named
	raw   *template
	parts []partCode
}

type partCode struct {
	connector.Part
	value    *expr.Value
	filename *template
}

func compileBody(b *connector.Body, s *expr.Scope) (*bodyCode, error) {
	if b == nil {
		return nil, nil
	}
	code := &bodyCode{spec: *b}
	var err error
	if code.value, err = compileValue(b.JSON, s); err != nil {
		return nil, err
	}
	if code.form, err = compileNamed(b.Form, s, func(n string) string { return n }); err != nil {
		return nil, err
	}
	if b.Raw != nil {
		if code.raw, err = compileTemplate(b.Raw.Text, s); err != nil {
			return nil, err
		}
	}
	for _, p := range b.Multipart {
		one := partCode{Part: p}
		if one.value, err = compileValue(p.Value, s); err != nil {
			return nil, err
		}
		if one.filename, err = compileTemplate(p.Filename, s); err != nil {
			return nil, err
		}
		code.parts = append(code.parts, one)
	}
	return code, nil
}

// make gives the bytes and their content type.
func (b *bodyCode) make(env *expr.Env) (body []byte, contentType string, err error) {
	switch {
	case b == nil:
		return nil, "", nil
	case b.value != nil:
		v, err := b.value.Eval(env)
		if err != nil {
			return nil, "", fmt.Errorf("body: %w", err)
		}
		if !b.spec.KeepNull {
			v = withoutNil(v)
		}
		body, err = expr.EncodeJSON(v)
		return body, "application/json", err
	case b.raw != nil:
		text, err := b.raw.eval(env, nil)
		if err != nil {
			return nil, "", fmt.Errorf("body: %w", err)
		}
		return []byte(text), b.spec.Raw.Type, nil
	case b.parts != nil:
		return b.multipart(env)
	}
	for _, f := range b.form {
		v, err := f.value.Eval(env)
		if err != nil {
			return nil, "", fmt.Errorf("body: %s: %w", f.name, err)
		}
		if body, err = appendQuery(body, f.name, v); err != nil {
			return nil, "", fmt.Errorf("body: %w", err)
		}
	}
	return body, "application/x-www-form-urlencoded", nil
}

// withoutNil leaves out the fields of objects that have no value: an optional
// input that was not given. v may be shared and is not changed.
func withoutNil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = withoutNil(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutNil(e)
		}
		return out
	}
	return v
}

func (b *bodyCode) multipart(env *expr.Env) ([]byte, string, error) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range b.parts {
		if err := p.write(w, env); err != nil {
			return nil, "", fmt.Errorf("body: part %s: %w", p.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), w.FormDataContentType(), nil
}

func (p *partCode) write(w *multipart.Writer, env *expr.Env) error {
	if p.value == nil {
		return nil
	}
	v, err := p.value.Eval(env)
	if err != nil || v == nil {
		return err
	}
	text, err := textOf(v)
	if err != nil {
		return err
	}
	data := []byte(text)
	if p.Base64 {
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return fmt.Errorf("is not base64: %w", fault.Invalid)
		}
	}
	filename, err := p.filename.eval(env, nil)
	if err != nil {
		return err
	}
	disposition := fmt.Sprintf(`form-data; name="%s"`, quoted(p.Name))
	if filename != "" {
		disposition += fmt.Sprintf(`; filename="%s"`, quoted(filename))
	}
	header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	switch {
	case p.Type != "":
		header.Set("Content-Type", p.Type)
	case filename != "":
		header.Set("Content-Type", "application/octet-stream")
	}
	part, err := w.CreatePart(header)
	if err != nil {
		return err
	}
	_, err = part.Write(data)
	return err
}

// quoted makes a text safe between quotes in a header.
func quoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `%22`, "\r", "", "\n", "").Replace(s)
}

// formText writes fields that are plain texts.
func formText(fields map[string]string) string {
	v := url.Values{}
	for name, text := range fields {
		v.Set(name, text)
	}
	return v.Encode()
}
