package httprt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"riposte/connector"
	"riposte/connector/egress"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// longestHint bounds how long a product can make us wait.
const longestHint = 24 * time.Hour

// judge says what an answer means: the manifest's rules first, then its idea of
// success, then the status.
func (x *exchange) judge(ans *answer, roots map[string]any) (connector.Result, any) {
	p := x.prog
	env := &expr.Env{Now: x.in.Now, Roots: roots}
	delete(roots, "secrets")
	roots["status"], roots["body"] = ans.status, ans.body
	if p.headerUse {
		roots["headers"] = ans.headers()
	}
	if ans.broken != "" && success(ans.status) {
		return x.result(connector.BadAnswer, ans.host+": "+ans.broken), nil
	}
	for i := range p.rules {
		r := &p.rules[i]
		matches, err := r.matches(ans, env)
		if err != nil {
			return x.result(connector.BadAnswer, fmt.Sprintf("the error rule %d does not fit the answer: %s", i+1, plainError(err))), nil
		}
		if matches {
			return x.byRule(r, ans, env)
		}
	}
	ok := success(ans.status)
	if p.success != nil {
		ok = p.success.Has(ans.status)
	}
	if !ok {
		return x.refused(ans, env, defaultClass(ans.status, x.in.Impact)), nil
	}
	if p.when != nil {
		holds, err := p.when.EvalBool(env)
		if err != nil {
			return x.result(connector.BadAnswer, "the condition of success does not fit the answer: "+plainError(err)), nil
		}
		if !holds {
			return x.refused(ans, env, connector.Permanent), nil
		}
	}
	return x.succeeded(env, p.output, ans.body)
}

func (r *rule) matches(ans *answer, env *expr.Env) (bool, error) {
	if len(r.Status) > 0 && !r.Status.Has(ans.status) {
		return false, nil
	}
	for name, want := range r.Header {
		got := ans.header.Get(name)
		if want == "*" && got == "" || want != "*" && !strings.EqualFold(got, want) {
			return false, nil
		}
	}
	for _, t := range r.body {
		if !sameValue(at(ans.body, t.path), t.want) {
			return false, nil
		}
	}
	if r.when == nil {
		return true, nil
	}
	// A rule about a field of the body does not match an answer that has no such
	// field: many vendors have several shapes of error.
	ok, err := r.when.EvalBool(env)
	if err != nil {
		return false, nil
	}
	return ok, nil
}

func splitPath(path string) []string { return strings.Split(path, ".") }

// at follows a dotted path; numbers are places in lists.
func at(v any, path []string) any {
	for _, part := range path {
		switch c := v.(type) {
		case map[string]any:
			v = c[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}

// sameValue compares by value; a list in the rule means one of its entries.
func sameValue(got, want any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(e any) bool { return sameValue(got, e) })
	}
	if f, ok := number(got); ok {
		g, ok := number(want)
		return ok && f == g
	}
	return reflect.DeepEqual(got, want)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func (x *exchange) byRule(r *rule, ans *answer, env *expr.Env) (connector.Result, any) {
	if r.Result != "" {
		output := x.prog.output
		if r.output != nil {
			output = r.output
		}
		res, v := x.succeeded(env, output, ans.body)
		if res.Status == connector.OK {
			res.Status = r.Result
		}
		return res, v
	}
	if r.Class == connector.PartialError {
		res, v := x.succeeded(env, x.prog.output, ans.body)
		if res.Status == connector.OK || res.Status == connector.Already {
			res.Status, res.Class, res.Message = connector.Partial, connector.PartialError, x.ruleText(r, ans, env)
		}
		return res, v
	}
	res := x.result(r.Class, x.ruleText(r, ans, env))
	res.RetryAfter = x.retryAfter(ans, env)
	return res, nil
}

func (x *exchange) ruleText(r *rule, ans *answer, env *expr.Env) string {
	if r.message != nil {
		if text, err := r.message.eval(env, nil); err == nil && text != "" {
			return shorten(oneLine(text), 500)
		}
	}
	return fmt.Sprintf("%s answered %s%s", ans.host, statusText(ans.status), ans.saying())
}

// refused is an answer that is no success.
func (x *exchange) refused(ans *answer, env *expr.Env, class connector.Class) connector.Result {
	text := fmt.Sprintf("%s answered %s%s", ans.host, statusText(ans.status), ans.saying())
	if ans.broken != "" {
		text += " (" + ans.broken + ")"
	}
	res := x.result(class, text)
	res.RetryAfter = x.retryAfter(ans, env)
	return res
}

// defaultClass is what a status means where the manifest does not say. An error
// of the server after a change leaves open whether it was made.
func defaultClass(status int, impact connector.Impact) connector.Class {
	switch {
	case status == 401:
		return connector.Auth
	case status == 403 || status == 407 || status == 451:
		return connector.Permission
	case status == 404 || status == 410:
		return connector.NotFound
	case status == 409 || status == 412 || status == 423 || status == 428:
		return connector.Conflict
	case status == 429:
		return connector.RateLimited
	case status == 408 || status == 425:
		return connector.Transient
	case status == 501 || status == 505:
		return connector.Permanent
	case status >= 500:
		if impact == connector.Read {
			return connector.Transient
		}
		return connector.UnknownOutcome
	case status >= 400:
		return connector.Invalid
	}
	return connector.BadAnswer
}

// succeeded works out the output and what else the manifest reads from an
// answer.
func (x *exchange) succeeded(env *expr.Env, output *expr.Value, body any) (connector.Result, any) {
	p := x.prog
	res := connector.Result{Status: connector.OK}
	v := body
	var err error
	if output != nil {
		if v, err = output.Eval(env); err != nil {
			return x.result(connector.BadAnswer, "the output cannot be read from the answer: "+plainError(err)), nil
		}
	}
	if p.external != nil {
		id, err := p.external.Eval(env)
		if err != nil {
			return x.result(connector.BadAnswer, "the external id cannot be read from the answer: "+plainError(err)), nil
		}
		res.External, _ = textOf(id)
	}
	if res.Before, err = stateJSON(p.before, env); err == nil {
		res.After, err = stateJSON(p.after, env)
	}
	if err != nil {
		return x.result(connector.BadAnswer, "the state before or after cannot be read from the answer: "+plainError(err)), nil
	}
	if holds(p.already, env) {
		res.Status = connector.Already
	}
	if holds(p.partial, env) {
		res.Status, res.Class, res.Message = connector.Partial, connector.PartialError, "the product reports that some items failed"
	}
	return res, v
}

func stateJSON(v *expr.Value, env *expr.Env) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	state, err := v.Eval(env)
	if err != nil {
		return nil, err
	}
	return expr.EncodeJSON(state)
}

// holds evaluates an optional condition. One that the answer does not fit is not
// met.
func holds(p *expr.Program, env *expr.Env) bool {
	if p == nil {
		return false
	}
	ok, err := p.EvalBool(env)
	return err == nil && ok
}

// result is a failure. After a change that may have reached the product some
// classes leave open what happened.
func (x *exchange) result(class connector.Class, message string) connector.Result {
	status := connector.Failed
	if class == connector.Policy {
		status = connector.Denied
	}
	if x.in.Impact >= connector.Change && x.left.Load() {
		switch class {
		case connector.UnknownOutcome, connector.Timeout, connector.BadAnswer, connector.Cancelled:
			status = connector.Unknown
		default: // nothing to do for the others
		}
	}
	return connector.Result{Status: status, Class: class, Message: message}
}

// retryAfter is how long the product asks to wait: the manifest's places first,
// then the Retry-After header (RFC 9110, 10.2.3).
func (x *exchange) retryAfter(ans *answer, env *expr.Env) time.Duration {
	for _, h := range x.prog.hints {
		var v any
		if h.value != nil {
			v, _ = h.value.Eval(env)
		} else if text := ans.header.Get(h.Header); text != "" {
			v = text
		}
		if d, ok := waitTime(v, h.As, x.in.Now); ok {
			return d
		}
	}
	if text := ans.header.Get("Retry-After"); text != "" {
		d, _ := waitTime(text, "", x.in.Now)
		return d
	}
	return 0
}

func waitTime(v any, as string, now time.Time) (time.Duration, bool) {
	n, isNumber := number(v)
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			t, err := http.ParseTime(s)
			if err != nil {
				if t, err = time.Parse(time.RFC3339, s); err != nil {
					return 0, false
				}
			}
			return bounded(t.Sub(now)), true
		}
		n, isNumber = f, true
	}
	if !isNumber {
		return 0, false
	}
	switch as {
	case "milliseconds":
		return bounded(time.Duration(n * float64(time.Millisecond))), true
	case "epoch":
		return bounded(time.Unix(int64(n), 0).Sub(now)), true
	}
	if n > longestHint.Seconds() {
		return longestHint, true
	}
	return bounded(time.Duration(n * float64(time.Second))), true
}

func bounded(d time.Duration) time.Duration { return min(max(d, 0), longestHint) }

// failed is a call that got no answer.
func (x *exchange) failed(ctx context.Context, err error) connector.Result {
	class, text := x.classify(ctx, err)
	return x.result(class, text)
}

func (x *exchange) classify(ctx context.Context, err error) (connector.Class, string) {
	var known *problem
	var refusal *egress.Refusal
	var redirect *redirectError
	var expression *expr.Error
	switch {
	case errors.As(err, &known):
		return known.class, err.Error()
	case errors.As(err, &redirect):
		// 302 and 303 may answer a change that was made; the others send it away.
		if x.in.Impact != connector.Read && redirect.status != http.StatusFound && redirect.status != http.StatusSeeOther {
			return connector.Permanent, err.Error()
		}
		return connector.BadAnswer, err.Error()
	case errors.As(err, &refusal):
		return connector.Policy, refusal.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return connector.Timeout, x.timeoutText()
	case errors.Is(err, context.Canceled):
		return connector.Cancelled, "the call was cancelled"
	case errors.As(err, &expression), errors.Is(err, fault.Invalid):
		return connector.Invalid, plainError(err)
	}
	return x.network(err)
}

func (x *exchange) timeoutText() string {
	if x.left.Load() {
		return fmt.Sprintf("no answer in time from %s; the request had left", x.hostName())
	}
	return fmt.Sprintf("no answer in time from %s", x.hostName())
}

func (x *exchange) hostName() string {
	if x.ready != nil && x.ready.base != nil {
		return x.ready.base.Host
	}
	if x.ready != nil && len(x.ready.policy.Hosts) > 0 {
		return x.ready.policy.Hosts[0]
	}
	return x.in.Connection.Name
}

// network says what went wrong on the way.
func (x *exchange) network(err error) (connector.Class, string) {
	host := x.hostName()
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var unknownCA x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return connector.Permanent, fmt.Sprintf("there is no host %s; check the base URL of the connection", dns.Name)
	case errors.As(err, &dns):
		return connector.Transient, fmt.Sprintf("the name %s could not be resolved: %s", dns.Name, dns.Err)
	case errors.As(err, &unknownCA):
		return connector.Permanent, fmt.Sprintf("the certificate of %s is signed by an authority that is not known; add it to the connection (ca)", host)
	case errors.As(err, &verify):
		return connector.Permanent, fmt.Sprintf("the certificate of %s is not accepted: %s", host, verify.Err)
	case errors.As(err, &record):
		return connector.Permanent, fmt.Sprintf("%s does not speak TLS on this port; check http or https in the base URL", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return connector.Transient, fmt.Sprintf("%s refuses the connection", host)
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return connector.Transient, fmt.Sprintf("%s cannot be reached: no connection in time", host)
	case errors.As(err, &op) && op.Op == "dial":
		return connector.Transient, fmt.Sprintf("%s cannot be reached: %s", host, op.Err)
	}
	return x.broken(err, host)
}

// broken is a connection that was made and then failed, or an answer that is no
// HTTP.
func (x *exchange) broken(err error, host string) (connector.Class, string) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	text := strings.TrimPrefix(plainError(err), "net/http: HTTP/1.x transport connection broken: ")
	if strings.Contains(text, "malformed") || strings.Contains(text, "server response headers exceeded") || strings.Contains(text, "bad Content-Length") || strings.Contains(text, "invalid header") || strings.Contains(text, "gzip:") || strings.Contains(text, "chunk") {
		return connector.BadAnswer, fmt.Sprintf("%s gave an answer that is no HTTP: %s", host, shorten(oneLine(text), 200))
	}
	if x.in.Impact == connector.Read || !x.left.Load() {
		return connector.Transient, fmt.Sprintf("the connection to %s broke: %s", host, shorten(oneLine(text), 200))
	}
	return connector.UnknownOutcome, fmt.Sprintf("the request to %s had left, and no answer came: %s", host, shorten(oneLine(text), 200))
}
