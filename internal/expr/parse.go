package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// unwrap takes the braces from a text that is one ${{ … }} as a whole. skip is
// where the expression begins in the text.
func unwrap(text string) (source string, skip int) {
	lead := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	body := strings.TrimSpace(text)
	if strings.HasPrefix(body, open) {
		if end, ok := findEnd(body, len(open)); ok && end+len(shut) == len(body) {
			return body[len(open):end], lead + len(open)
		}
	}
	return text, 0
}

// parse turns a source into a tree, with the library's own parser.
func parse(source string) (tree ast.Node, err error) {
	// A fault in the library must not take the process along.
	defer func() {
		if recover() != nil {
			tree, err = nil, failf(0, "the expression cannot be read")
		}
	}()
	if strings.TrimSpace(source) == "" {
		return nil, failf(0, "the expression is empty")
	}
	if len(source) > maxSource {
		return nil, failf(0, "the expression is too long: over %d KB", maxSource>>10)
	}
	if err := checkNesting(source); err != nil {
		return nil, err
	}
	// Not conf.CreateNew: it copies the table of the library's functions, which
	// the parser has no use for, and costs more than the parsing itself.
	parsed, err := parser.ParseWithConfig(source, &conf.Config{MaxNodes: MaxNodes})
	if err != nil {
		return nil, parseFailure(err)
	}
	if parsed.Node == nil {
		return nil, failf(0, "the expression is empty")
	}
	return parsed.Node, nil
}

// checkNesting refuses what would take the parser, which recurses, too deep. The
// parser's own limit counts nodes, and brackets make none.
func checkNesting(source string) error {
	tokens, err := lexer.Lex(file.NewSource(source))
	if err != nil {
		return parseFailure(err)
	}
	depth, right, run := 0, 0, 0
	for _, t := range tokens {
		unary := false
		switch {
		case t.Is(lexer.Bracket, "(", "[", "{"):
			depth++
		case t.Is(lexer.Bracket, ")", "]", "}"):
			depth--
		case t.Is(lexer.Operator, "?", "**", "^", "let", "if", "else"):
			right++
		case t.Is(lexer.Operator, "!", "not", "-", "+"):
			unary = true
		}
		if unary {
			run++
		} else {
			run = 0
		}
		if depth > maxNesting || run > maxNesting || right > 4*maxNesting {
			return failf(place(t.From), "the expression is nested too deeply").hinted("at most %d levels are allowed", maxNesting)
		}
	}
	return nil
}

// parseFailure puts an error of the library into our words.
func parseFailure(err error) error {
	var e *file.Error
	if !errors.As(err, &e) {
		return failf(0, "%v", err)
	}
	f := failf(place(max(0, e.From)), "%s", e.Message)
	var kind, value string
	switch {
	case strings.HasPrefix(e.Message, "unexpected token EOF"), e.Message == "unexpected end of expression":
		f.message, f.at = "the expression ends too early", f.at+1
	case scanToken(e.Message, &kind, &value):
		f.message = "unexpected " + quote(value)
		switch value {
		case "=":
			f.hint = `did you mean "=="?`
		case ":":
			f.hint = `where an element is asked for, an object is put in brackets: map(list, ({"a": #}))`
		}
	case e.Message == "literal not terminated":
		f.message = "a text has no closing quote"
	case strings.HasPrefix(e.Message, "invalid ") && strings.Contains(e.Message, " literal: "):
		f.message = "the number is too large, or not well written"
	case e.Message == "invalid char escape":
		f.hint = `write \\ for a backslash, or put the text in backquotes`
	case strings.Contains(e.Message, "exceeds maximum allowed nodes"):
		f.message = fmt.Sprintf("the expression is too long: over %d parts", MaxNodes)
	case strings.Contains(e.Message, "and coalesce expressions"):
		var op string
		_, _ = fmt.Sscanf(e.Message, "Operator (%s", &op)
		op = strings.TrimSuffix(op, ")")
		f.message = fmt.Sprintf("?? and %s cannot be mixed", op)
		f.hint = fmt.Sprintf("write (a ?? b) %s c, or a ?? (b %s c)", op, op)
	case strings.HasPrefix(e.Message, "unrecognized character"):
		f.message = "unexpected " + strings.TrimPrefix(e.Message, "unrecognized character: ")
	}
	return f
}

// scanToken reads `unexpected token Operator("=")`.
func scanToken(message string, kind, value *string) bool {
	rest, ok := strings.CutPrefix(message, "unexpected token ")
	if !ok {
		return false
	}
	*kind, rest, ok = strings.Cut(rest, "(")
	if !ok {
		return false
	}
	n, err := fmt.Sscanf(rest, "%q", value)
	return n == 1 && err == nil
}
