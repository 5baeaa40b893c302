package expr

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"riposte/internal/observable"
)

// ownFunction holds the functions that the library does not have.
func ownFunction(name string) (function, bool) {
	switch name {
	case "in_cidr":
		return function{params: []param{{KindText, KindNil}, {KindText, KindList}}, least: 2, out: gives(Bool()), call: inCIDR, literals: literalCIDR}, true
	case "hash":
		return function{params: []param{aText, aText}, least: 2, out: gives(Text()), call: hash, literals: literalHash}, true
	case "defang":
		return disguiser(observable.Defang), true
	case "refang":
		return disguiser(observable.Refang), true
	case "domain_of":
		return function{params: []param{aText}, least: 1, out: gives(Text().Nullable()), call: domainOf}, true
	case "extract":
		return function{params: []param{{KindText, KindNil}, aText}, least: 2, out: gives(Text().Nullable()), call: extract, literals: literalPattern, bind: boundPattern(extractWith)}, true
	case "extract_all":
		return function{params: []param{{KindText, KindNil}, aText}, least: 2, out: gives(List(Text())), call: extractAll, literals: literalPattern, bind: boundPattern(extractAllWith)}, true
	case "some":
		return function{params: []param{aThing}, least: 1, variadic: true, out: gives(Any()), call: some}, true
	case "number":
		return function{params: []param{aThing}, least: 1, out: gives(Number().Nullable()), call: toNumber}, true
	}
	return function{}, false
}

// inCIDR tells whether an address, or a whole network, lies in a network or in
// one of a list of networks. What is no address lies in none.
func inCIDR(m *machine, args []any) (any, error) {
	var nets []any
	switch n := args[1].(type) {
	case string:
		nets = []any{n}
	case []any:
		nets = n
	}
	if err := m.scan(slotBytes * len(nets)); err != nil {
		return nil, err
	}
	s, _ := args[0].(string)
	inner, isAddress := parseNet(s)
	for _, n := range nets {
		text, ok := n.(string)
		if !ok {
			return nil, failf(-1, "in_cidr needs networks as texts, but one is %s", describe(n))
		}
		outer, ok := parseNet(text)
		if !ok {
			return nil, notNet(text)
		}
		if isAddress && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr()) {
			return true, nil
		}
	}
	return false, nil
}

func notNet(s string) *failure {
	return failf(-1, "%s is no network", quote(s)).hinted("write it as 10.0.0.0/8 or 2001:db8::/32")
}

// parseNet reads a network, or an address as a network of one.
func parseNet(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked(), true
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), true
}

func literalCIDR(args []ast.Node) error {
	if len(args) < 2 {
		return nil
	}
	if s, ok := args[1].(*ast.StringNode); ok {
		if _, ok := parseNet(s.Value); !ok {
			return placed(notNet(s.Value), where(s))
		}
	}
	return nil
}

// hash gives a digest in hexadecimal.
func hash(m *machine, args []any) (any, error) {
	s, algorithm := args[0].(string), args[1].(string)
	// Hashing takes a few times longer than reading.
	if err := m.scan(4 * len(s)); err != nil {
		return nil, err
	}
	sum := digest([]byte(s), algorithm)
	if sum == nil {
		return nil, noHash(algorithm)
	}
	return hex.EncodeToString(sum), nil
}

func noHash(algorithm string) *failure {
	f := failf(-1, "unknown hash %s", quote(algorithm))
	f.hint = "write md5, sha1, sha256 or sha512"
	return f
}

func digest(b []byte, algorithm string) []byte {
	switch algorithm {
	case "md5":
		sum := md5.Sum(b)
		return sum[:]
	case "sha1":
		sum := sha1.Sum(b)
		return sum[:]
	case "sha256":
		sum := sha256.Sum256(b)
		return sum[:]
	case "sha512":
		sum := sha512.Sum512(b)
		return sum[:]
	}
	return nil
}

func literalHash(args []ast.Node) error {
	if len(args) < 2 {
		return nil
	}
	s, ok := args[1].(*ast.StringNode)
	if ok && !slices.Contains([]string{"md5", "sha1", "sha256", "sha512"}, s.Value) {
		return placed(noHash(s.Value), where(s))
	}
	return nil
}

// extract gives the first group of the first match of a pattern (RE2), or the
// whole match where the pattern has no group; nil where nothing matches.
func extract(m *machine, args []any) (any, error) {
	p, err := m.pattern(nil, args[1].(string))
	if err != nil {
		return nil, err
	}
	return extractWith(p, m, args)
}

func extractWith(p *pattern, m *machine, args []any) (any, error) {
	s, ok := args[0].(string)
	if !ok {
		return nil, nil
	}
	if err := m.scan(p.work(s)); err != nil {
		return nil, err
	}
	if from, to := group(p.re.FindStringSubmatchIndex(s)); from >= 0 {
		return s[from:to], nil
	}
	return nil, nil
}

// extractAll gives what extract gives, of every match, at most maxPicked.
func extractAll(m *machine, args []any) (any, error) {
	p, err := m.pattern(nil, args[1].(string))
	if err != nil {
		return nil, err
	}
	return extractAllWith(p, m, args)
}

func extractAllWith(p *pattern, m *machine, args []any) (any, error) {
	s, ok := args[0].(string)
	if !ok {
		return []any{}, nil
	}
	if err := m.scan(p.work(s)); err != nil {
		return nil, err
	}
	found := p.re.FindAllStringSubmatchIndex(s, maxPicked)
	out := make([]any, 0, len(found))
	for _, one := range found {
		if from, to := group(one); from >= 0 {
			out = append(out, s[from:to])
		}
	}
	return out, m.growList(len(out))
}

// group is the place of the first group of a match, or of all of it where the
// pattern has none; -1 where there is no match or the group took no part in it.
func group(found []int) (from, to int) {
	switch {
	case found == nil:
		return -1, -1
	case len(found) > 2:
		return found[2], found[3]
	}
	return found[0], found[1]
}

// boundPattern compiles a literal pattern once.
func boundPattern(with func(*pattern, *machine, []any) (any, error)) func([]ast.Node) func(*machine, []any) (any, error) {
	return func(args []ast.Node) func(*machine, []any) (any, error) {
		if len(args) < 2 {
			return nil
		}
		s, ok := args[1].(*ast.StringNode)
		if !ok {
			return nil
		}
		p, err := compilePattern(s.Value)
		if err != nil {
			return nil
		}
		return func(m *machine, args []any) (any, error) { return with(p, m, args) }
	}
}

func literalPattern(args []ast.Node) error {
	if len(args) < 2 {
		return nil
	}
	if s, ok := args[1].(*ast.StringNode); ok {
		_, err := compilePattern(s.Value)
		return placed(err, where(s))
	}
	return nil
}

// disguiser is defang or refang. Looking for what to disguise takes longer than
// reading.
func disguiser(f func(string) string) function {
	return function{params: []param{aText}, least: 1, out: gives(Text()), call: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		if err := m.scan(16 * len(s)); err != nil {
			return nil, err
		}
		if err := m.grow(8 * len(s)); err != nil {
			return nil, err
		}
		return f(s), nil
	}}
}

// domainOf gives the host name of a URL, an e-mail address or a name; nil where
// there is none.
func domainOf(m *machine, args []any) (any, error) {
	s := args[0].(string)
	if err := m.scan(16 * len(s)); err != nil {
		return nil, err
	}
	if d := observable.DomainOf(s); d != "" {
		return d, nil
	}
	return nil, nil
}
