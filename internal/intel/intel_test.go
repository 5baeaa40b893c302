package intel

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/observable"
)

var noon = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)

func thing(t testing.TB, typ, value string) observable.Observable {
	t.Helper()
	o, err := observable.Parse(observable.Type(typ), value)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func add(t testing.TB, m *Matcher, typ, value string, op Opinion) {
	t.Helper()
	if op.At.IsZero() {
		op.At = noon
	}
	if op.Source == "" {
		op.Source = "feed"
	}
	if _, _, err := m.Add("", thing(t, typ, value), op, nil, ID(len(m.known.all)+1)); err != nil {
		t.Fatal(err)
	}
}

func TestOneVerdictOutOfSeveralOpinions(t *testing.T) {
	t.Parallel()
	over := noon.Add(-time.Hour)
	tests := []struct {
		name     string
		opinions []Opinion
		want     Verdict
		source   string
	}{
		{"nobody says anything", nil, Unknown, ""},
		{"one says", []Opinion{{Source: "a", Verdict: Suspicious}}, Suspicious, "a"},
		{"a person beats the most reliable source", []Opinion{{Source: "a", Verdict: Malicious, Reliability: "A", Confidence: 100}, {Source: "ana", Manual: true, Verdict: Harmless}}, Harmless, "ana"},
		{"the more reliable source wins", []Opinion{{Source: "a", Verdict: Harmless, Reliability: "A"}, {Source: "b", Verdict: Malicious, Reliability: "D"}}, Harmless, "a"},
		{"between equals the worse verdict wins", []Opinion{{Source: "a", Verdict: Harmless, Reliability: "B", Confidence: 99}, {Source: "b", Verdict: Malicious, Reliability: "B", Confidence: 10}}, Malicious, "b"},
		{"between persons the worse verdict wins", []Opinion{{Source: "ana", Manual: true, Verdict: Harmless}, {Source: "lee", Manual: true, Verdict: Suspicious}}, Suspicious, "lee"},
		{"no reliability is a middling one", []Opinion{{Source: "a", Verdict: Harmless, Reliability: "B"}, {Source: "b", Verdict: Malicious}, {Source: "c", Verdict: Malicious, Reliability: "D"}}, Harmless, "a"},
		{"who does not know has no say", []Opinion{{Source: "a", Verdict: Unknown, Reliability: "A"}, {Source: "b", Verdict: Malicious, Reliability: "F"}}, Malicious, "b"},
		{"a person who does not know has no say either", []Opinion{{Source: "ana", Manual: true, Verdict: Unknown}, {Source: "b", Verdict: Suspicious}}, Suspicious, "b"},
		{"what is over has no say", []Opinion{{Source: "a", Verdict: Malicious, Reliability: "A", Expires: over}, {Source: "b", Verdict: Harmless, Reliability: "E"}}, Harmless, "b"},
		{"the surer of two equal ones decides", []Opinion{{Source: "a", Verdict: Malicious, Confidence: 50}, {Source: "b", Verdict: Malicious, Confidence: 90}}, Malicious, "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := Indicator{Opinions: tt.opinions}
			if s := i.Sum(noon); s.Verdict != tt.want || s.Source != tt.source {
				t.Errorf("%s by %q, want %s by %q", s.Verdict, s.Source, tt.want, tt.source)
			}
		})
	}
}

func TestTheOrderOfOpinionsDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		opinions := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Opinion {
			return Opinion{
				Source: rapid.StringMatching("[a-f]").Draw(t, "source"), Manual: rapid.Bool().Draw(t, "manual"),
				Reliability: rapid.SampledFrom([]Reliability{"", "A", "C", "F"}).Draw(t, "reliability"),
				Verdict:     rapid.SampledFrom([]Verdict{Malicious, Suspicious, Harmless, Unknown}).Draw(t, "verdict"),
				Confidence:  rapid.IntRange(0, 2).Draw(t, "confidence"), At: noon,
			}
		}), 0, 6, func(o Opinion) string { return o.Source }).Draw(t, "opinions")
		one, other := Indicator{Opinions: opinions}, Indicator{Opinions: rapid.Permutation(opinions).Draw(t, "order")}
		if d := cmp.Diff(one.Sum(noon), other.Sum(noon)); d != "" {
			t.Error(d)
		}
	})
}

func TestWhatIsFoundForAThing(t *testing.T) {
	t.Parallel()
	var m Matcher
	add(t, &m, "ip", "203.0.113.9", Opinion{Verdict: Malicious})
	add(t, &m, "cidr", "198.51.100.0/24", Opinion{Verdict: Suspicious})
	add(t, &m, "cidr", "198.51.100.128/25", Opinion{Verdict: Malicious})
	add(t, &m, "cidr", "2001:db8::/32", Opinion{Verdict: Malicious})
	add(t, &m, "domain", "evil.example", Opinion{Verdict: Malicious})
	add(t, &m, "domain", "ok.evil.example", Opinion{Verdict: Harmless})
	add(t, &m, "url", "https://host.example/a", Opinion{Verdict: Malicious})
	add(t, &m, "md5", "d41d8cd98f00b204e9800998ecf8427e", Opinion{Verdict: Harmless})
	add(t, &m, "ip", "203.0.113.77", Opinion{Verdict: Malicious, At: noon.Add(-2 * time.Hour), Expires: noon.Add(-time.Hour)})
	tests := []struct {
		name, typ, value string
		want             Verdict
	}{
		{"the address itself", "ip", "203.0.113.9", Malicious},
		{"the address in disguise", "ip", "203[.]0[.]113[.]9", Malicious},
		{"its neighbour is unknown", "ip", "203.0.113.10", Unknown},
		{"an address by its network", "ip", "198.51.100.7", Suspicious},
		{"an address by its smallest network", "ip", "198.51.100.200", Malicious},
		{"a network by the one around it", "cidr", "198.51.100.0/26", Suspicious},
		{"a larger network is unknown", "cidr", "198.51.0.0/16", Unknown},
		{"IPv6 by its network", "ip", "2001:db8::1", Malicious},
		{"other IPv6 is unknown", "ip", "2001:db9::1", Unknown},
		{"the domain itself, in large letters", "domain", "EVIL.example.", Malicious},
		{"a name below the domain", "domain", "a.b.evil.example", Malicious},
		{"a name below a better known one", "domain", "www.ok.evil.example", Harmless},
		{"a name that only ends alike", "domain", "notevil.example", Unknown},
		{"a domain above the known one", "domain", "example.example", Unknown},
		{"the URL itself", "url", "hxxps://host[.]example/a", Malicious},
		{"another URL of the host", "url", "https://host.example/b", Unknown},
		{"a URL of an evil domain", "url", "https://x.evil.example/", Malicious},
		{"a URL of an evil network", "url", "http://198.51.100.200:8080/x", Malicious},
		{"an address at an evil domain", "email", "me@mail.evil.example", Malicious},
		{"a hash by the word for all hashes", "hash", "D41D8CD98F00B204E9800998ECF8427E", Harmless},
		{"an opinion that is over is none", "ip", "203.0.113.77", Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, ok := m.Lookup("", thing(t, tt.typ, tt.value), noon)
			if got := i.Sum(noon).Verdict; got != tt.want || ok != (tt.want != Unknown) {
				t.Errorf("%s, %v", got, ok)
			}
			if _, ok := m.Lookup("other", thing(t, tt.typ, tt.value), noon); ok {
				t.Error("another tenant sees it")
			}
		})
	}
}

func TestTheAllowListHoldsForWhatLiesBelow(t *testing.T) {
	t.Parallel()
	var m Matcher
	for _, a := range []Allowed{
		{Observable: thing(t, "cidr", "192.0.2.0/24"), List: "offices"},
		{Observable: thing(t, "domain", "example.org"), List: "own-domains"},
		{Observable: thing(t, "ip", "203.0.113.1"), List: "partners", Expires: noon.Add(time.Hour)},
	} {
		if err := m.Allow(a, noon); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		typ, value, list string
	}{
		{"ip", "192.0.2.7", "offices"},
		{"url", "http://192.0.2.7/login", "offices"},
		{"ip", "192.0.3.7", ""},
		{"domain", "www.example.org", "own-domains"},
		{"url", "https://shop.example.org/x", "own-domains"},
		{"email", "ana@example.org", "own-domains"},
		{"domain", "example.org.evil.example", ""},
		{"ip", "203.0.113.1", "partners"},
	}
	for _, tt := range tests {
		a, ok := m.Listed("", thing(t, tt.typ, tt.value), noon)
		if a.List != tt.list || ok != (tt.list != "") {
			t.Errorf("%s %s: %q, %v", tt.typ, tt.value, a.List, ok)
		}
	}
	if _, ok := m.Listed("", thing(t, "ip", "203.0.113.1"), noon.Add(time.Hour)); ok {
		t.Error("an entry that is over still holds")
	}
	if !m.Disallow("", thing(t, "cidr", "192.0.2.0/24")) || m.Disallow("", thing(t, "cidr", "192.0.2.0/24")) {
		t.Error("taking an entry off does not tell whether it was there")
	}
	if _, ok := m.Listed("", thing(t, "ip", "192.0.2.7"), noon); ok || len(m.AllowList("")) != 2 {
		t.Errorf("an entry taken off still holds, %d are left", len(m.AllowList("")))
	}
	if err := m.Allow(Allowed{Observable: thing(t, "ip", "192.0.2.7"), List: "x", Expires: noon}, noon); !errors.Is(err, fault.Invalid) {
		t.Errorf("an entry that is over is taken: %v", err)
	}
}

func do(t testing.TB, m *Matcher, action string, in map[string]any, at time.Time) Answer {
	t.Helper()
	a, err := m.Do(Call{Action: action, Inputs: in, By: "playbook:block-indicator", NewID: 9, At: at})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheBuiltInActions(t *testing.T) {
	t.Parallel()
	var m Matcher
	in := func(more ...any) map[string]any {
		all := map[string]any{"type": "url", "value": "hxxps://evil[.]example/a"}
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}
		return all
	}
	steps := []struct {
		name, action string
		in           map[string]any
		after        time.Duration
		want         map[string]any
		change       Change
	}{
		{"nothing is known", "lookup", in(), 0, map[string]any{"known": false, "id": nil, "verdict": "unknown", "confidence": 0, "tags": []any{}, "source": nil, "expires": nil}, Same},
		{"it is not allowed", "allow_list", in(), 0, map[string]any{"listed": false, "list": nil, "entry": nil}, Same},
		{"it is added as in the phishing playbook", "add_indicator", in("verdict", "malicious", "source", "phishing-triage", "expires", "30d"), 0, map[string]any{"id": "I-9", "added": true}, Added},
		{"and known", "lookup", in(), time.Hour, map[string]any{"known": true, "id": "I-9", "verdict": "malicious", "confidence": 75, "tags": []any{}, "source": "phishing-triage", "expires": "2026-02-13T12:00:00Z"}, Same},
		{"adding it again is no new one", "add_indicator", in("verdict", "malicious", "source", "phishing-triage", "expires", "2026-02-13T12:00:00Z"), time.Hour, map[string]any{"id": "I-9", "added": false}, Same},
		{"its verdict changes", "add_indicator", in("verdict", "suspicious", "source", "phishing-triage", "confidence", 40.0), time.Hour, map[string]any{"id": "I-9", "added": false}, Changed},
		{"it is tagged", "tag", in("tags", []any{"blocked", "mail", "blocked"}), time.Hour, map[string]any{"id": "I-9", "tags": []any{"blocked", "mail"}}, Changed},
		{"it is tagged again", "tag", in("tags", []any{"mail"}), time.Hour, map[string]any{"id": "I-9", "tags": []any{"blocked", "mail"}}, Same},
		{"a tag is taken off", "untag", in("tags", []any{"blocked"}), time.Hour, map[string]any{"id": "I-9", "tags": []any{"mail"}}, Changed},
		{"what stays is seen", "lookup", in(), time.Hour, map[string]any{"known": true, "id": "I-9", "verdict": "suspicious", "confidence": 40, "tags": []any{"mail"}, "source": "phishing-triage", "expires": nil}, Same},
		{"an unknown thing can be tagged", "tag", map[string]any{"type": "ip", "value": "192.0.2.7", "tags": []any{"seen"}}, 0, map[string]any{"id": "I-9", "tags": []any{"seen"}}, Added},
		{"and is still not known", "lookup", map[string]any{"type": "ip", "value": "192.0.2.7"}, 0, map[string]any{"known": false, "id": "I-9", "verdict": "unknown", "confidence": 0, "tags": []any{"seen"}, "source": nil, "expires": nil}, Same},
		{"without its tag it is gone", "untag", map[string]any{"type": "ip", "value": "192.0.2.7", "tags": []any{"seen"}}, 0, map[string]any{"id": "I-9", "tags": []any{}}, Dropped},
		{"untagging what is not there is no error", "untag", map[string]any{"type": "ip", "value": "192.0.2.8", "tags": []any{"seen"}}, 0, map[string]any{"id": "", "tags": []any{}}, Same},
	}
	for _, tt := range steps {
		a := do(t, &m, tt.action, tt.in, noon.Add(tt.after))
		if d := cmp.Diff(tt.want, a.Output); d != "" || a.Change != tt.change {
			t.Errorf("%s: %q, want %q\n%s", tt.name, a.Change, tt.change, d)
		}
	}
}

func TestTheActionsGiveWhatTheirManifestDeclares(t *testing.T) {
	t.Parallel()
	var m Matcher
	for id, in := range map[string]map[string]any{
		"lookup": {"type": "ip", "value": "192.0.2.7"}, "allow_list": {"type": "ip", "value": "192.0.2.7"},
		"add_indicator": {"type": "ip", "value": "192.0.2.7"}, "tag": {"type": "ip", "value": "192.0.2.7", "tags": []any{"a"}},
		"untag": {"type": "ip", "value": "192.0.2.7", "tags": []any{"a"}},
	} {
		a := manifestAction(t, id)
		if err := connector.ValidateInputs(a, in); err != nil {
			t.Error(err)
		}
		if where := (&connector.Validator{}).Output(a, do(t, &m, id, in, noon).Output); where != "" {
			t.Errorf("%s: %s", id, where)
		}
	}
}

func TestInputsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, action string
		in           map[string]any
		want         string
	}{
		{"no address", "lookup", map[string]any{"type": "ip", "value": "evil.example"}, "evil.example"},
		{"no type", "lookup", map[string]any{"value": "evil.example"}, "intel.lookup"},
		{"no verdict", "add_indicator", map[string]any{"type": "ip", "value": "192.0.2.7", "verdict": "evil"}, `"evil" is no verdict; expected malicious, suspicious, harmless or unknown`},
		{"no duration", "add_indicator", map[string]any{"type": "ip", "value": "192.0.2.7", "expires": "soon"}, "expected a length of time such as 30d"},
		{"an end that is over", "add_indicator", map[string]any{"type": "ip", "value": "192.0.2.7", "expires": "2020-01-01T00:00:00Z"}, "which is over"},
		{"too sure", "add_indicator", map[string]any{"type": "ip", "value": "192.0.2.7", "confidence": 101}, "expected 0 to 100"},
		{"no tags", "tag", map[string]any{"type": "ip", "value": "192.0.2.7", "tags": []any{}}, "no tags are given"},
		{"tags that are no texts", "tag", map[string]any{"type": "ip", "value": "192.0.2.7", "tags": []any{1}}, "tags must be texts"},
		{"no such action", "eat", map[string]any{"type": "ip", "value": "192.0.2.7"}, `intel has no action "eat"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m Matcher
			_, err := m.Do(Call{Action: tt.action, Inputs: tt.in, By: "x", NewID: 1, At: noon})
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if n := len(m.All("")); n != 0 {
				t.Errorf("%d indicators all the same", n)
			}
		})
	}
}

func TestIndicatorsExpireOnce(t *testing.T) {
	t.Parallel()
	var m Matcher
	add(t, &m, "ip", "203.0.113.9", Opinion{Verdict: Malicious, Expires: noon.Add(time.Hour)})
	add(t, &m, "ip", "203.0.113.10", Opinion{Verdict: Malicious, Source: "a", Expires: noon.Add(time.Hour)})
	add(t, &m, "ip", "203.0.113.10", Opinion{Verdict: Malicious, Source: "b"})
	if got := m.Expire(noon, noon.Add(59*time.Minute)); len(got) != 0 {
		t.Errorf("too early: %v", got)
	}
	if got := m.Expire(noon.Add(59*time.Minute), noon.Add(time.Hour)); len(got) != 1 || got[0].Value != "203.0.113.9" {
		t.Errorf("%v", got)
	}
	if got := m.Expire(noon.Add(time.Hour), noon.Add(2*time.Hour)); len(got) != 0 {
		t.Errorf("twice: %v", got)
	}
}

func TestAnOpinionCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	var m Matcher
	o := thing(t, "ip", "203.0.113.9")
	add(t, &m, "ip", "203.0.113.9", Opinion{Verdict: Malicious, Source: "a"})
	add(t, &m, "ip", "203.0.113.9", Opinion{Verdict: Harmless, Source: "b"})
	if _, _, err := m.Withdraw("", o, "c", noon); !errors.Is(err, fault.NotFound) {
		t.Error(err)
	}
	i, change, err := m.Withdraw("", o, "a", noon)
	if err != nil || change != Changed || i.Sum(noon).Verdict != Harmless {
		t.Errorf("%s %v %v", change, i.Sum(noon), err)
	}
	if _, change, _ = m.Withdraw("", o, "b", noon); change != Dropped || len(m.All("")) != 0 {
		t.Errorf("%s, %d left", change, len(m.All("")))
	}
}

func TestAStoredIndicatorIsTheSameAgain(t *testing.T) {
	t.Parallel()
	var m, again Matcher
	add(t, &m, "cidr", "198.51.100.0/24", Opinion{Verdict: Malicious})
	add(t, &m, "ip", "203.0.113.9", Opinion{Verdict: Malicious, Manual: true, Expires: noon.Add(time.Hour)})
	again.Load(m.All(""), nil)
	if d := cmp.Diff(m.All(""), again.All("")); d != "" {
		t.Error(d)
	}
	if _, ok := again.Lookup("", thing(t, "ip", "198.51.100.1"), noon); !ok {
		t.Error("the network is not found")
	}
}

func TestAnIndicatorAsPlaybooksSeeIt(t *testing.T) {
	t.Parallel()
	var m Matcher
	add(t, &m, "sha256", strings.Repeat("ab", 32), Opinion{Verdict: Malicious, Confidence: 90})
	o := m.All("")[0].Object(noon)
	for name, want := range map[string]any{"type": "sha256", "sha256": strings.Repeat("ab", 32), "hash": strings.Repeat("ab", 32), "verdict": "malicious", "confidence": 90, "id": "I-1"} {
		if o[name] != want {
			t.Errorf("%s is %v", name, o[name])
		}
	}
}
