package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"riposte/internal/strictyaml"
)

// wording turns huma's own errors into ours: in plain words, at the field or
// parameter that is wrong, with what was probably meant.
type wording struct{ schemas huma.Registry }

// problems is the transformer that does so. Huma echoes what was sent, which may
// be a secret: it is left out.
func (w wording) problems(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *Problem:
		e.RequestID = requestID(ctx.Context())
		return e, nil
	case *huma.ErrorModel:
		p := w.ofModel(ctx.Operation(), e)
		p.RequestID = requestID(ctx.Context())
		return p, nil
	}
	return v, nil
}

func (w wording) ofModel(op *huma.Operation, e *huma.ErrorModel) *Problem {
	k := internal
	for _, known := range kinds {
		if known.status == e.Status {
			k = known
			break
		}
	}
	if k == internal {
		return internal.problem("")
	}
	p := k.problem(sentence(e))
	for _, d := range e.Errors {
		if d != nil {
			p.Errors = append(p.Errors, w.problemError(op, d))
		}
	}
	if len(p.Errors) == 1 && k == invalid {
		p.Detail = p.Errors[0].where() + p.Errors[0].Detail
	}
	return p
}

// sentence says in our words what huma says in its.
func sentence(e *huma.ErrorModel) string {
	switch e.Status {
	case 400:
		if len(e.Errors) == 0 {
			return "the body is missing; send a JSON object"
		}
		return "the body is not valid JSON"
	case 415:
		return "the body must be application/json"
	case 422:
		return "some parts of the request are wrong"
	}
	return e.Detail
}

// problemError reads huma's place, such as body.inputs[3].ip or query.limit.
func (w wording) problemError(op *huma.Operation, d *huma.ErrorDetail) ProblemError {
	in, rest, _ := strings.Cut(d.Location, ".")
	detail := strings.TrimPrefix(d.Message, "validation failed: ")
	if in == "body" || strings.HasPrefix(in, "body[") {
		return w.fieldError(op, pointer(strings.TrimPrefix(d.Location, "body")), detail)
	}
	if detail == "unknown query parameter" {
		var known []string
		for _, p := range op.Parameters {
			if p.In == "query" {
				known = append(known, p.Name)
			}
		}
		return ProblemError{Detail: meant("there is no such parameter", rest, known), Parameter: rest}
	}
	return ProblemError{Detail: plainly(detail), Parameter: rest}
}

// fieldError names the field itself, also where it is one too few or too many.
func (w wording) fieldError(op *huma.Operation, at, detail string) ProblemError {
	if name, missing := strings.CutPrefix(detail, "expected required property "); missing {
		name = strings.TrimSuffix(name, " to be present")
		return ProblemError{Detail: "it is missing", Pointer: at + pointerTo(name)}
	}
	if where, what, outOfRange := strings.Cut(detail, misfit); outOfRange {
		return ProblemError{Detail: what, Pointer: "#" + where}
	}
	if detail == "unexpected property" {
		cut := strings.LastIndexByte(at, '/')
		return ProblemError{Detail: meant("there is no such field", at[cut+1:], w.fields(op, at[:cut])), Pointer: at}
	}
	return ProblemError{Detail: plainly(detail), Pointer: at}
}

func meant(what, name string, known []string) string {
	if hint := strictyaml.DidYouMean(name, known); hint != "" {
		return what + "; " + hint
	}
	return what + "; leave it out"
}

// fields lists the fields of the object at a pointer into an operation's body.
func (w wording) fields(op *huma.Operation, at string) []string {
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		return nil
	}
	s := w.resolved(op.RequestBody.Content["application/json"].Schema)
	for part := range strings.SplitSeq(strings.Trim(at, "#/"), "/") {
		switch {
		case s == nil:
			return nil
		case part == "":
		case s.Items != nil:
			s = w.resolved(s.Items)
		default:
			s = w.resolved(s.Properties[part])
		}
	}
	if s == nil {
		return nil
	}
	return sortedKeys(s.Properties)
}

func (w wording) resolved(s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return w.schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// phrases turns what huma says into what people say.
var phrases = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`^expected value to be one of "(.*)"$`), "expected one of $1"},
	{regexp.MustCompile(`^expected string to be RFC 3339 date-time$`), "expected a time such as 2026-11-24T08:00:00Z"},
	{regexp.MustCompile(`^expected string to be (.*)$`), "expected $1"},
	{regexp.MustCompile(`^(?:invalid|expected) integer$`), "expected a whole number"},
	{regexp.MustCompile(`^(?:invalid|expected) boolean$`), "expected true or false"},
	{regexp.MustCompile(`^expected string$`), "expected a text"},
	{regexp.MustCompile(`^expected object$`), "expected an object"},
	{regexp.MustCompile(`^expected array$`), "expected a list"},
	{regexp.MustCompile(`^expected number$`), "expected a number"},
	{regexp.MustCompile(`^expected number >= (.*)$`), "expected a number of at least $1"},
	{regexp.MustCompile(`^expected number <= (.*)$`), "expected a number of at most $1"},
	{regexp.MustCompile(`^expected length >= 1$`), "it is empty"},
	{regexp.MustCompile(`^expected length >= (.*)$`), "expected at least $1 characters"},
	{regexp.MustCompile(`^expected length <= (.*)$`), "expected at most $1 characters"},
	{regexp.MustCompile(`^expected array length >= (.*)$`), "expected at least $1 entries"},
	{regexp.MustCompile(`^expected array length <= (.*)$`), "expected at most $1 entries"},
}

func plainly(detail string) string {
	for _, p := range phrases {
		if p.from.MatchString(detail) {
			return p.from.ReplaceAllString(detail, p.to)
		}
	}
	return detail
}

// misfit stands between the pointer and the text of an error about a value that
// the schema allows and no variable holds.
const misfit = "\x00"

// decodingError says what a value is that does not fit, in no words of Go.
func decodingError(err error) error {
	var t *json.UnmarshalTypeError
	if !errors.As(err, &t) {
		return err
	}
	what := "the value does not fit"
	if strings.HasPrefix(t.Value, "number") {
		what = "the number is too large"
	}
	return fmt.Errorf("/%s%s%s", strings.ReplaceAll(t.Field, ".", "/"), misfit, what)
}

// where names the place in a sentence.
func (e ProblemError) where() string {
	switch {
	case e.Parameter != "":
		return e.Parameter + ": "
	case e.Pointer != "" && e.Pointer != "#":
		return strings.TrimPrefix(e.Pointer, "#") + ": "
	}
	return ""
}

// pointer turns .inputs[3].ip into #/inputs/3/ip.
func pointer(path string) string {
	return "#" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(path)
}
