package httprt

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

// pages fetches page after page, joins their items and judges the last answer
// with all of them.
func (x *exchange) pages(ctx context.Context) (connector.Result, any) {
	pg := x.prog.page
	env := x.requestEnv()
	mark := map[string]any{"cursor": nil, "number": pg.start, "offset": pg.start, "size": pg.Size}
	env.Roots["page"] = mark
	limit := x.wanted()
	items, next, truncated := []any{}, "", false
	for number := 1; ; number++ {
		if number > 1 && x.in.Token != nil {
			if err := x.in.Token(ctx); err != nil {
				return x.failed(ctx, err), nil
			}
		}
		ans, err := x.pageRequest(ctx, env, next, mark)
		if err != nil {
			return x.failed(ctx, err), nil
		}
		if !success(ans.status) || ans.broken != "" {
			return x.judge(ans, env.Roots)
		}
		pageItems, more, err := x.turn(ans, mark, &next, len(items))
		if err != nil {
			return x.result(connector.BadAnswer, err.Error()), nil
		}
		items = append(items, pageItems...)
		if len(items) >= limit {
			truncated = truncated || more || len(items) > limit
			items, more = items[:limit], false
		}
		if more && number >= pg.MaxPages {
			truncated, more = true, false
		}
		if !more {
			env.Roots["items"], env.Roots["pages"] = items, number
			return x.lastPage(ans, env, items, truncated)
		}
	}
}

// wanted is how many items are fetched at most.
func (x *exchange) wanted() int {
	pg := x.prog.page
	if n, ok := x.in.Call.Inputs[pg.Limit].(int); ok && pg.Limit != "" && n > 0 {
		return min(n, pg.MaxItems)
	}
	return pg.MaxItems
}

func (x *exchange) lastPage(ans *answer, env *expr.Env, items []any, truncated bool) (connector.Result, any) {
	res, v := x.judge(ans, env.Roots)
	if x.prog.output == nil && (res.Status == connector.OK || res.Status == connector.Already) {
		// Without a mapping the output is what paging found.
		v = map[string]any{"items": items, "truncated": truncated}
	}
	return res, v
}

// pageRequest sends the request for one page.
func (x *exchange) pageRequest(ctx context.Context, env *expr.Env, next string, mark map[string]any) (*answer, error) {
	pg := x.prog.page
	if next != "" || pg.Param == "" && pg.SizeParam == "" {
		return x.request(ctx, env, next)
	}
	var extra []byte
	var err error
	if pg.SizeParam != "" && pg.Size > 0 {
		if extra, err = appendQuery(extra, pg.SizeParam, pg.Size); err != nil {
			return nil, err
		}
	}
	if pg.Param != "" {
		v := mark[map[string]string{"cursor": "cursor", "page": "number", "offset": "offset"}[pg.Kind]]
		if extra, err = appendQuery(extra, pg.Param, v); err != nil {
			return nil, err
		}
	}
	x.extra = string(extra)
	return x.request(ctx, env, "")
}

// turn reads the items of a page and sets the marks for the next one.
func (x *exchange) turn(ans *answer, mark map[string]any, next *string, before int) (items []any, more bool, err error) {
	pg := x.prog.page
	env := &expr.Env{Now: x.in.Now, Roots: map[string]any{
		"status": ans.status, "body": ans.body, "headers": ans.headers(), "inputs": x.in.Call.Inputs, "config": x.in.Config,
	}}
	v, err := pg.items.Eval(env)
	if err != nil {
		return nil, false, fmt.Errorf("the items of the page cannot be read: %w", err)
	}
	items, _ = v.([]any)
	if len(items) == 0 {
		return nil, false, nil // servers that page for ever end with an empty page
	}
	if holds(pg.until, env) {
		return items, false, nil
	}
	switch pg.Kind {
	case "page":
		mark["number"] = mark["number"].(int) + 1
	case "offset":
		mark["offset"] = pg.start + before + len(items)
	default:
		text, err := x.nextMark(ans, env)
		if err != nil || text == "" || text == *next || text == mark["cursor"] {
			return items, false, err // the same mark again would never end
		}
		if pg.Kind == "link" {
			*next = text
		} else {
			mark["cursor"] = text
		}
		return items, true, nil
	}
	return items, pg.Size == 0 || len(items) >= pg.Size, nil
}

func (x *exchange) nextMark(ans *answer, env *expr.Env) (string, error) {
	pg := x.prog.page
	if pg.next == nil {
		return linkNext(ans.header), nil
	}
	v, err := pg.next.Eval(env)
	if err != nil {
		return "", fmt.Errorf("the mark of the next page cannot be read: %w", err)
	}
	if v == false {
		return "", nil
	}
	return textOf(v)
}

// linkNext finds <…>; rel="next" in the Link headers (RFC 8288).
func linkNext(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			start := strings.IndexByte(line, '<')
			if start < 0 {
				break
			}
			end := strings.IndexByte(line[start:], '>')
			if end < 0 {
				break
			}
			target := line[start+1 : start+end]
			rest := line[start+end+1:]
			params := rest
			if cut := strings.Index(rest, ",<"); cut >= 0 {
				params = rest[:cut]
			} else if cut := strings.Index(rest, ", <"); cut >= 0 {
				params = rest[:cut]
			}
			for p := range strings.SplitSeq(params, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `" ,`), "next") {
					return target
				}
			}
			line = rest[len(params):]
		}
	}
	return ""
}
