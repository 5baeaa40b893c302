package event

import (
	"strings"
	"unicode/utf8"
)

// maxPairs bounds the pairs of one event.
const maxPairs = 1000

// pairs finds pairs of keys and values in a text, and what share of the text
// they are. A key that repeats keeps its first value: devices put the fact
// first, and what they quote after it.
func pairs(s string) (kv map[string]any, share float64) {
	if len(s) == 0 {
		return map[string]any{}, 0
	}
	p := pairReader{out: map[string]any{}}
	switch {
	case separated(s, '|', '='):
		p.split(s, "|", '=')
	case separated(s, '\t', '='):
		p.split(s, "\t", '=')
	case strings.Count(s, "\n") >= 2 && separated(s, '\n', '='):
		p.split(s, "\n", '=')
	case spacedKeys(s, '='):
		p.split(s, ",", '=')
	case strings.Count(s, `:"`)+strings.Count(s, `: "`) >= 3:
		p.colons(s)
	default:
		p.equals(s)
	}
	if len(p.out) < 3 {
		p.colons(s)
	}
	p.brackets(s)
	return p.out, min(float64(p.used)/float64(len(s)), 1)
}

type pairReader struct {
	out  map[string]any
	used int // bytes that belong to pairs
}

func (p *pairReader) set(key, value string, size int) {
	p.used += size
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if key == "" || value == "" || len(p.out) >= maxPairs {
		return
	}
	if _, ok := p.out[key]; !ok {
		p.out[key] = value
	}
}

// separated tells whether a character stands before at least two keys and hardly
// anywhere else.
func separated(s string, sep, sign byte) bool {
	all, keys := 0, 0
	for i := 0; i+1 < len(s); i++ {
		if s[i] != sep {
			continue
		}
		all++
		j := i + 1
		for j < len(s) && (keyByte(s[j]) || s[j] == ' ') {
			j++
		}
		if j > i+1 && j < len(s) && s[j] == sign {
			keys++
		}
	}
	return keys >= 2 && keys*2 >= all
}

// spacedKeys tells whether pairs stand between commas and some keys are several
// words, as Cisco's servers write them.
func spacedKeys(s string, sign byte) bool {
	parts := strings.Split(s, ",")
	if len(parts) < 3 {
		return false
	}
	good, spaced := 0, 0
	for _, part := range parts {
		key, _, ok := strings.Cut(part, string(rune(sign)))
		key = strings.TrimSpace(key)
		if !ok || key == "" || len(key) > 60 {
			continue
		}
		good++
		if strings.Count(key, " ") >= 1 && !strings.ContainsAny(key, `":`) {
			spaced++
		}
	}
	return good*3 >= len(parts)*2 && spaced >= 1
}

// split reads pairs between separators.
func (p *pairReader) split(s, sep string, sign byte) {
	first := true
	for part := range strings.SplitSeq(s, sep) {
		key, value, ok := strings.Cut(part, string(rune(sign)))
		if first && ok { // words of the sentence before it
			first = false
			if at := strings.LastIndexAny(key, ":] "); at >= 0 && strings.ContainsAny(key[:at+1], ":]") {
				key = key[strings.LastIndexAny(key, ":]")+1:]
			}
		}
		if ok && len(strings.TrimSpace(key)) <= 60 {
			p.set(strings.TrimSuffix(strings.TrimSpace(key), `\`), unquoted(value), len(part)+1)
		}
	}
}

// unquoted takes the quotes from around a value.
func unquoted(s string) string {
	s = strings.TrimSpace(s)
	if end, inner, ok := quoted(s, 0); ok && end == len(s) {
		return inner
	}
	return s
}

// quoted reads a value in quotes of any kind; end is where it ends.
func quoted(s string, at int) (end int, inner string, ok bool) {
	if at >= len(s) {
		return 0, "", false
	}
	open, size := utf8.DecodeRuneInString(s[at:])
	var closing string
	switch open {
	case '"':
		closing = `"`
	case '\'':
		closing = `'`
	case '“', '”':
		closing = "”"
	default:
		return 0, "", false
	}
	start := at + size
	for i := start; i < len(s); i++ {
		if s[i] == '\\' && open != '\'' && i+1 < len(s) && s[i+1] == '"' {
			if i+2 < len(s) && blankByte(s[i+2]) && strings.IndexByte(s[i+2:], '"') < 0 {
				return i + 2, s[start:i], true // a path that ends in a backslash, not an escape
			}
			i++
			continue
		}
		if strings.HasPrefix(s[i:], closing) {
			inner = s[start:i]
			if open == '"' {
				inner = strings.ReplaceAll(inner, `\"`, `"`)
			}
			return i + len(closing), inner, true
		}
	}
	return 0, "", false
}

// wordy are keys whose value is a sentence also where it has no quotes.
var wordy = map[string]bool{"msg": true, "message": true, "reason": true, "desc": true, "description": true, "subject": true, "logdesc": true, "note": true, "detail": true, "details": true, "text": true, "error": true}

// equals reads key=value in a text: the value is in quotes, or goes to the next
// blank, comma or semicolon.
func (p *pairReader) equals(s string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			continue
		}
		from := keyStart(s, i, 0)
		if at := strings.LastIndexAny(s[from:i], "[]"); at >= 0 {
			from += at + 1
		}
		for from < i && (s[from] == '-' || s[from] == '.') {
			from++
		}
		if from == i || i+1 < len(s) && s[i+1] == '=' || from > 0 && strings.IndexByte(`/\?&%:`, s[from-1]) >= 0 && !(s[from-1] == ':') {
			continue
		}
		key := s[from:i]
		end, value, ok := quoted(s, i+1)
		if !ok {
			end = bareEnd(s, i+1)
			if wordy[strings.ToLower(key)] {
				end = sentenceEnd(s, i+1)
			}
			value = strings.TrimRight(s[i+1:end], ",;)")
		}
		p.set(key, value, end-from+1)
		i = max(i, end-1)
	}
}

// bareEnd is where a value without quotes ends. Brackets keep blanks together.
func bareEnd(s string, at int) int {
	closing := byte(0)
	if at < len(s) {
		switch s[at] {
		case '<':
			closing = '>'
		case '{':
			closing = '}'
		case '[':
			closing = ']'
		}
	}
	if closing != 0 {
		if end := strings.IndexByte(s[at:], closing); end > 0 && end < 2000 {
			return at + end + 1
		}
	}
	for ; at < len(s); at++ {
		switch s[at] {
		case ' ', '\t', '\n', '\r', ';', '|':
			return at
		case ',':
			if at+1 >= len(s) || blankByte(s[at+1]) || nextIsKey(s, at+1) {
				return at
			}
		}
	}
	return at
}

// nextIsKey tells whether a key and its sign follow.
func nextIsKey(s string, at int) bool {
	start := at
	for at < len(s) && keyByte(s[at]) {
		at++
	}
	return at > start && at < len(s) && s[at] == '='
}

// sentenceEnd is where the next key begins.
func sentenceEnd(s string, at int) int {
	for i := at; i < len(s); i++ {
		if s[i] == '\n' {
			return i
		}
		if blankByte(s[i]) && nextIsKey(s, i+1) {
			return i
		}
	}
	return len(s)
}

// colons reads Key: value where quotes, commas, semicolons, line ends or two
// blanks say where a value ends.
func (p *pairReader) colons(s string) {
	before := p.used
	var soft []string // keys whose value has no quotes
	defer func() {
		if len(soft) == 1 { // a sentence with a colon
			delete(p.out, soft[0])
			p.used = before
		}
	}()
	for i := 0; i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		from := colonKey(s, i)
		if from < 0 {
			continue
		}
		if severityWord(s[from:i]) {
			continue
		}
		at := i + 1
		for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
			at++
		}
		end, value, ok := quoted(s, at)
		if !ok {
			if at == i+1 {
				continue // a time, a port, a URL
			}
			if end = softEnd(s, at); end < 0 {
				continue
			}
			value = s[at:end]
			if _, known := p.out[s[from:i]]; !known && strings.TrimSpace(value) != "" {
				soft = append(soft, s[from:i])
			}
		}
		p.set(s[from:i], value, end-from+1)
		i = max(i, end-1)
	}
}

// colonKey is where the key before a colon begins, -1 where none is: up to four
// words after the beginning, a separator or a bracket.
func colonKey(s string, colon int) int {
	from, words := colon, 1
	for from > 0 {
		c := s[from-1]
		if c == ' ' {
			if from > 1 && s[from-2] == ' ' {
				break // two blanks
			}
			if words++; words > 4 {
				return -1
			}
		} else if c == ',' || c == ';' || c == '\n' || c == '[' || c == '\t' || c == '(' {
			break
		} else if !keyByte(c) && c != '/' && c < 0x80 {
			return -1
		}
		from--
	}
	for from < colon && s[from] == ' ' {
		from++
	}
	if from == colon || colon-from > 40 || s[from] >= '0' && s[from] <= '9' {
		return -1
	}
	return from
}

// softEnd is where a value without quotes ends, -1 where nothing tells.
func softEnd(s string, at int) int {
	for i := at; i < len(s); i++ {
		switch s[i] {
		case '\n', '\t', ';':
			return i
		case ',':
			if i+1 < len(s) && s[i+1] == ' ' {
				return i
			}
		case ' ':
			if i+1 < len(s) && s[i+1] == ' ' {
				return i
			}
		}
	}
	if at < len(s) && len(s)-at <= 200 {
		return len(s)
	}
	return -1
}

// brackets reads [key "value"], as ModSecurity writes.
func (p *pairReader) brackets(s string) {
	for {
		at := strings.IndexByte(s, '[')
		if at < 0 {
			return
		}
		s = s[at+1:]
		end := 0
		for end < len(s) && keyByte(s[end]) && s[end] != ']' {
			end++
		}
		if end == 0 || end+1 >= len(s) || s[end] != ' ' || s[end+1] != '"' {
			continue
		}
		if after, value, ok := quoted(s, end+1); ok {
			p.set(s[:end], value, after+1)
			s = s[after:]
		}
	}
}

// columns reads a row of at least six columns, some in quotes; nil for what is
// none: a sentence has blanks after its commas.
func columns(s string) []any {
	if strings.Count(s, ",") < 5 || strings.Count(s, "\n") > 0 {
		return nil
	}
	var out []any
	spaced := 0
	for at := 0; at <= len(s); {
		end, value, ok := quoted(s, at)
		if !ok || s[at] != '"' {
			if end = strings.IndexByte(s[at:], ','); end < 0 {
				end = len(s)
			} else {
				end += at
			}
			value = strings.TrimSpace(s[at:end])
			if at > 0 && at < len(s) && s[at] == ' ' {
				spaced++
			}
		}
		out = append(out, value)
		if end < len(s) && s[end] != ',' {
			return nil
		}
		at = end + 1
	}
	if first, _ := out[0].(string); spaced*3 > len(out) || len(out) < 6 || strings.Count(first, " ") > 3 {
		return nil
	}
	return out
}
