package expr_test

import (
	"strings"
	"testing"

	"riposte/internal/expr"
)

// playbookExpressions are those of the playbooks in the language's description:
// 94, of which these differ.
var playbookExpressions = []string{
	`indicator.type == "ip" and indicator.verdict == "malicious"`,
	`inputs.ip`,
	`steps.look_up.output.malicious >= 5`,
	`output.rule_id`,
	`alert.category == "phishing"`,
	`alert.fields.message_id`,
	`alert.fields.reporter`,
	`inputs.message_id`,
	`steps.mail.output.headers`,
	`steps.mail.output.urls | uniq()`,
	`{"url": url, "bad": (steps.url_report.output?.malicious ?? 0) >= 2}`,
	`url`,
	`steps.mail.output.attachments`,
	`{"sha256": file.sha256, "bad": (steps.detonate.output?.score ?? 0) >= 70}`,
	`file.ref`,
	`any(steps.urls.output, .bad) or any(steps.files.output, .bad) ? "malicious" :
    (steps.auth.output?.passed ?? false) and len(steps.mail.output.urls) == 0 ? "harmless" : "suspicious"`,
	`vars.verdict == "suspicious"`,
	`steps.judge.answer`,
	`vars.verdict`,
	`steps.mail.output.from`,
	`steps.mail.output.subject`,
	`ago("7d")`,
	`steps.same.output.messages | map(.id)`,
	`len(steps.same.output.messages)`,
	`output.batch`,
	`(steps.urls.output | filter(.bad) | map(.url))`,
	`bad_url`,
	`inputs.reporter`,
	`error.message`,
	`steps.urls.output | filter(.bad) | map(.url)`,
	`alert.source == "edr" and alert.severity >= 3`,
	`inputs.host`,
	`inputs.sha256`,
	`ago("14d")`,
	`(steps.file.output?.malicious ?? 0) < 3 and len(steps.others.output.hosts) <= 1`,
	`steps.second_look.answer == "ignore"`,
	`steps.second_look.by`,
	`case?.id ?? run.id`,
	`steps.asset.output?.critical ?? false ? 2 : 1`,
	`steps.asset.output?.owner ?? "owner unknown"`,
	`steps.isolate.status == "denied"`,
	`steps.isolate.by`,
	`inputs.user != nil`,
	`inputs.user`,
	`steps.others.output.hosts | filter(# != inputs.host)`,
	`other`,
	`steps.memory.output?.ref`,
	`steps.package.output?.ref`,
	`steps.isolate.status == "succeeded"`,
	`indicator.verdict == "malicious" and indicator.confidence >= 80`,
	`indicator.type`,
	`indicator.value`,
	`inputs.type`,
	`inputs.value`,
	`steps.allow.output.listed or (inputs.type == "ip" and in_cidr(inputs.value, "10.0.0.0/8"))`,
	`ago("1d")`,
	`steps.seen.output?.count ?? 0`,
	`(steps.seen.output?.count ?? 0) > 500`,
	`steps.seen.output.count`,
	`steps.sure.answer == "leave"`,
	`available("firewall")`,
	`vars.reason`,
	`output.id`,
}

// playbookScope types what those playbooks declare: their step ids, their
// inputs, and nothing of what their connectors answer.
func playbookScope() *expr.Scope {
	text := expr.Text()
	step := expr.Object(map[string]expr.Type{
		"status": text, "output": expr.Any(), "answer": expr.Any(), "by": text.Nullable(), "attempts": expr.Int(),
		"error": expr.Object(map[string]expr.Type{"message": text, "code": text}, false).Nullable(),
	}, false)
	steps := map[string]expr.Type{}
	for id := range strings.FieldsSeq("look_up mail urls url_report files detonate auth judge same file others second_look asset isolate memory package allow seen sure") {
		steps[id] = step
	}
	inputs := map[string]expr.Type{}
	for name := range strings.FieldsSeq("ip message_id reporter host sha256 type value") {
		inputs[name] = text
	}
	inputs["user"] = text.Nullable()
	s := expr.NewScope().
		With("steps", expr.Object(steps, false)).
		With("inputs", expr.Object(inputs, false)).
		With("vars", expr.Object(map[string]expr.Type{"verdict": text, "reason": text}, false)).
		With("error", expr.Object(map[string]expr.Type{"message": text, "code": text}, false)).
		With("run", expr.Object(map[string]expr.Type{"id": text}, false)).
		With("case", expr.Object(map[string]expr.Type{"id": text}, true).Nullable())
	for name := range strings.FieldsSeq("alert indicator output url file bad_url other") {
		s = s.With(name, expr.Any())
	}
	return s
}

func TestExpressionsOfThePlaybooksCompile(t *testing.T) {
	t.Parallel()
	for _, src := range playbookExpressions {
		if _, err := expr.Compile(src, playbookScope(), expr.Any()); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestExpressionsOfThePlaybooksGiveWhatTheirTestsExpect(t *testing.T) {
	t.Parallel()
	output := func(v any) map[string]any { return map[string]any{"status": "succeeded", "output": v} }
	env := &expr.Env{
		Now: eventTime,
		Roots: map[string]any{
			"inputs": map[string]any{"host": "ws-7", "type": "ip", "value": "10.1.2.3", "user": nil},
			"case":   nil, "run": map[string]any{"id": "R-1"},
			"steps": map[string]any{
				"urls":  output([]any{map[string]any{"url": "https://evil.example/a", "bad": true}}),
				"files": output([]any{}), "auth": output(map[string]any{"passed": false}),
				"mail":  output(map[string]any{"urls": []any{"a", "a", "b"}}),
				"asset": output(nil), "others": output(map[string]any{"hosts": []any{"ws-7", "ws-8"}}),
				"file": output(map[string]any{"malicious": 40}), "allow": output(map[string]any{"listed": false}),
				"seen": output(nil),
			},
		},
	}
	for src, want := range map[string]string{
		playbookExpressions[15]:                                                                      "malicious",
		`steps.mail.output.urls | uniq()`:                                                            `["a","b"]`,
		`steps.urls.output | filter(.bad) | map(.url)`:                                               `["https://evil.example/a"]`,
		`case?.id ?? run.id`:                                                                         "R-1",
		`steps.asset.output?.critical ?? false ? 2 : 1`:                                              "1",
		`steps.asset.output?.owner ?? "owner unknown"`:                                               "owner unknown",
		`steps.others.output.hosts | filter(# != inputs.host)`:                                       `["ws-8"]`,
		`inputs.user != nil`:                                                                         "false",
		`(steps.seen.output?.count ?? 0) > 500`:                                                      "false",
		`(steps.file.output?.malicious ?? 0) < 3 and len(steps.others.output.hosts) <= 1`:            "false",
		`steps.allow.output.listed or (inputs.type == "ip" and in_cidr(inputs.value, "10.0.0.0/8"))`: "true",
	} {
		v, err := expr.CompileValue("${{ "+src+" }}", playbookScope(), nil)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		got, err := v.Text(env)
		if err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", src, got, err, want)
		}
	}
}
