package app_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/auth"
	"riposte/internal/ingest"
)

// network reads addresses for a configuration.
func network(t *testing.T, texts ...string) (list auth.Networks) {
	t.Helper()
	for _, text := range texts {
		var n auth.Network
		if err := n.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

// secretFile writes a secret to a file.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func signature(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// listOf lists the alerts of a source.
func (s *server) listOf(source string) (list []map[string]any) {
	s.t.Helper()
	var page struct{ Items []map[string]any }
	s.send(http.MethodGet, "/api/alerts?limit=200&source="+source, nil, &page)
	return page.Items
}

// alert gives one alert as a whole.
func (s *server) alert(id any) (a map[string]any) {
	s.t.Helper()
	s.send(http.MethodGet, fmt.Sprintf("/api/alerts/%v", id), nil, &a)
	return a
}

func TestASignedDeliveryComesInOnceAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	const secret = "a key for tests"
	dir := t.TempDir()
	change := func(c *app.Config) {
		c.Sources = map[string]app.SourceConfig{"signed": {Type: "webhook", Mapping: app.MappingNames{"generic-json"}, KeyFile: secretFile(t, secret)}}
	}
	s, password := serve(t, dir, "", change)
	const body = `{"id": 1, "title": "Signed"}`
	send := func(at time.Time, body, sum string) int {
		stamp := strconv.FormatInt(at.Unix(), 10)
		if sum == "" {
			sum = signature(secret, stamp+"."+body)
		}
		res, _ := s.ask(http.MethodPost, "/api/ingest/signed", body, "X-Riposte-Timestamp", stamp, "X-Riposte-Signature", sum)
		return res.StatusCode
	}
	now := time.Now()
	for _, c := range []struct {
		name string
		got  int
		want int
	}{
		{"a good one", send(now, body, ""), http.StatusAccepted},
		{"the same again", send(now, body, ""), http.StatusConflict},
		{"the same event signed anew", send(now.Add(time.Second), body, ""), http.StatusAccepted},
		{"an old one", send(now.Add(-10*time.Minute), body, ""), http.StatusUnauthorized},
		{"one of the future", send(now.Add(10*time.Minute), body, ""), http.StatusUnauthorized},
		{"another body", send(now, `{"id": 2}`, signature(secret, "x")), http.StatusUnauthorized},
		{"no signature", send(now, body, " "), http.StatusUnauthorized},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
	if res, _ := s.ask(http.MethodPost, "/api/ingest/signed", body, "Authorization", "Bearer "+secret); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the key as a token: %s", res.Status)
	}
	s.stop()
	s, _ = serve(t, dir, password, change)
	if got := send(now, body, ""); got != http.StatusConflict {
		t.Errorf("the same again after a restart: %d", got)
	}
	if list := s.listOf("signed"); len(list) != 1 {
		t.Errorf("%d alerts came of it", len(list))
	}
}

func TestAnAddressIsLetInAlsoThroughATrustedProxy(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		c.Proxies = network(t, "127.0.0.0/8")
		generic := app.MappingNames{"generic-json"}
		c.Sources = map[string]app.SourceConfig{
			"near":  {Type: "webhook", Mapping: generic, From: network(t, "127.0.0.1")},
			"far":   {Type: "webhook", Mapping: generic, From: network(t, "198.51.100.0/24")},
			"three": {Type: "webhook", Mapping: generic, From: network(t, "198.51.100.0/24"), TokenHash: auth.HashSecret("sender"), KeyFile: secretFile(t, "a key for tests"), Signature: "body", SignatureHeader: "X-Sum"},
		}
	})
	const body = `{"id": 1, "title": "From afar"}`
	forwarded := []string{"X-Forwarded-For", "203.0.113.1, 198.51.100.7"}
	for _, c := range []struct {
		name, source string
		headers      []string
		want         int
	}{
		{"by itself", "near", nil, http.StatusAccepted},
		{"for somebody who is not named", "near", forwarded, http.StatusUnauthorized},
		{"for somebody who is", "far", forwarded, http.StatusAccepted},
		{"by itself, not named", "far", nil, http.StatusUnauthorized},
		{"all three", "three", append([]string{"X-Sum", signature("a key for tests", body)}, forwarded...), http.StatusAccepted},
		{"without the address", "three", []string{"X-Sum", signature("a key for tests", body)}, http.StatusUnauthorized},
		{"without the signature", "three", forwarded, http.StatusUnauthorized},
		{"without the token", "three", append([]string{"X-Sum", signature("a key for tests", body), "Authorization", ""}, forwarded...), http.StatusUnauthorized},
	} {
		if res, raw := s.ask(http.MethodPost, "/api/ingest/"+c.source, body, c.headers...); res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d\n%s", c.name, res.Status, c.want, raw)
		}
	}
}

func TestATokenComesByEveryWayThatIsConfigured(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		c.Sources = map[string]app.SourceConfig{"any": {
			Type: "webhook", Mapping: app.MappingNames{"generic-json"}, TokenHash: auth.HashSecret("sender"), TokenHeader: "X-Api-Key", TokenParameter: "key",
		}}
	})
	for _, c := range []struct {
		name, query string
		headers     []string
		want        int
	}{
		{"bearer", "", nil, http.StatusAccepted},
		{"basic", "", []string{"Authorization", "Basic YW55Ym9keTpzZW5kZXI="}, http.StatusAccepted},
		{"a header", "", []string{"Authorization", "", "X-Api-Key", "sender"}, http.StatusAccepted},
		{"the address", "?key=sender", []string{"Authorization", ""}, http.StatusAccepted},
		{"another header", "", []string{"Authorization", "", "X-Token", "sender"}, http.StatusUnauthorized},
		{"another parameter", "?token=sender", []string{"Authorization", ""}, http.StatusUnauthorized},
		{"another token", "?key=other", []string{"Authorization", "Basic YW55Ym9keTpvdGhlcg=="}, http.StatusUnauthorized},
		{"none", "", []string{"Authorization", ""}, http.StatusUnauthorized},
	} {
		if res, raw := s.ask(http.MethodPost, "/api/ingest/any"+c.query, `{"id": 1}`, c.headers...); res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d\n%s", c.name, res.Status, c.want, raw)
		}
	}
}

// presetEvents are what each product sends, in short.
var presetEvents = map[string]struct {
	body, title string
	alerts      int
}{
	"splunk": {`{"result": {"host": "ws1", "severity": "high"}, "sid": "rt_1", "results_link": "https://splunk.example.org/1", "search_name": "Guessing", "owner": "admin", "app": "search"}`, "Guessing: ws1", 1},
	"elastic": {`{"alerts": [{"kibana.alert.uuid": "u1", "kibana.alert.rule.name": "Guessing", "kibana.alert.severity": "high", "@timestamp": "2026-01-02T03:04:05Z"},
		{"kibana.alert.uuid": "u2", "kibana.alert.rule.name": "Guessing", "kibana.alert.severity": "low", "@timestamp": "2026-01-02T03:04:05Z"}]}`, "Guessing", 2},
	"wazuh": {`{"timestamp": "2026-01-02T03:04:05.000+0000", "rule": {"level": 10, "description": "Guessing", "id": "5720", "groups": ["sshd"]}, "agent": {"id": "001", "name": "ws1"},
		"manager": {"name": "m"}, "id": "1767323045.1", "full_log": "Failed password", "decoder": {"name": "sshd"}, "location": "/var/log/auth.log"}`, "Guessing", 1},
	"sentinel": {`{"eventUniqueId": "e", "objectSchemaType": "Incident", "objectEventType": "Create", "workspaceId": "w", "object": {"id": "/subscriptions/s/providers/Microsoft.SecurityInsights/Incidents/i",
		"name": "i", "type": "Microsoft.SecurityInsights/Incidents", "properties": {"title": "Guessing", "severity": "High", "incidentNumber": 7, "status": "New"}}}`, "Guessing", 1},
	"github": {`{"action": "created", "alert": {"number": 3, "secret_type": "aws_key", "secret_type_display_name": "AWS key"}, "repository": {"full_name": "o/r"}, "sender": {"login": "ann"}}`, "AWS key", 1},
}

func TestEveryPresetTakesWhatItsProductSends(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		for name := range presetEvents {
			one := app.SourceConfig{Type: "webhook", Preset: name, TokenHash: auth.HashSecret("sender")}
			if name == "github" {
				one.TokenHash, one.KeyFile = "", secretFile(t, "a key for tests")
			}
			c.Sources[name] = one
		}
	})
	for name, e := range presetEvents {
		path, headers := "/api/ingest/"+name, []string(nil)
		switch name {
		case "splunk":
			path, headers = path+"?token=sender", []string{"Authorization", ""}
		case "github":
			headers = []string{"X-Hub-Signature-256", signature("a key for tests", e.body), "X-GitHub-Event", "secret_scanning_alert", "X-GitHub-Delivery", "d1"}
		}
		res, raw := s.ask(http.MethodPost, path, e.body, headers...)
		var a ingest.Answer
		if err := json.Unmarshal(raw, &a); err != nil || res.StatusCode != http.StatusAccepted || a.Accepted != e.alerts {
			t.Errorf("%s: %s\n%s", name, res.Status, raw)
			continue
		}
		list := s.listOf(name)
		if len(list) != e.alerts || !strings.Contains(fmt.Sprint(list[0]["title"]), e.title) {
			t.Errorf("%s: %v", name, list)
		}
	}
	github := s.alert(s.listOf("github")[0]["id"])
	if f, _ := github["fields"].(map[string]any); f["github_event"] != "secret_scanning_alert" || f["github_delivery"] != "d1" {
		t.Errorf("the record keeps %v", github["fields"])
	}
	ping := `{"zen": "Keep it logically awesome.", "hook_id": 1}`
	res, raw := s.ask(http.MethodPost, "/api/ingest/github", ping, "X-Hub-Signature-256", signature("a key for tests", ping), "X-GitHub-Event", "ping")
	if res.StatusCode != http.StatusOK || !strings.Contains(string(raw), `"ping":true`) || len(s.listOf("github")) != 1 {
		t.Errorf("ping: %s\n%s", res.Status, raw)
	}
	if res, _ := s.ask(http.MethodPost, "/api/ingest/github", ping, "X-GitHub-Event", "ping"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("ping of a stranger: %s", res.Status)
	}
}

// freePort is a port that nobody listens on by UDP or TCP.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

func TestRealSendersOfSyslogAreHeard(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.issue("server", "localhost", false)
	ca.issue("sender", "relay.example.org", false)
	port, secure := freePort(t), freePort(t)
	at := fmt.Sprintf("127.0.0.1:%d", port)
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		c.Content = plainText(t)
		c.Sources = map[string]app.SourceConfig{"net": {
			Type: "syslog", Mapping: app.MappingNames{"plain-text"}, Listen: []string{"udp://" + at, "tcp://" + at, fmt.Sprintf("tls://127.0.0.1:%d", secure)},
			TLSCertificate: filepath.Join(ca.dir, "server.crt"), TLSKey: filepath.Join(ca.dir, "server.key"),
			TLSClientCA: filepath.Join(ca.dir, "ca.crt"), Certificate: []string{"relay.example.org"},
		}}
	})
	want := 0
	run := func(name string, args ...string) bool {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Logf("%s is not here; what it sends was not tried", name)
			return false
		}
		if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return true
	}
	for i, args := range [][]string{{"--udp", "--rfc5424"}, {"--tcp", "--rfc3164"}, {"--tcp", "--rfc5424", "--octet-count"}} {
		if run("logger", append(args, "--server", "127.0.0.1", "--port", strconv.Itoa(port), "--priority", "auth.warning", "--tag", "sshd", fmt.Sprintf("logger %d", i))...) {
			want++
		}
	}
	want += forward(t, ca, port, secure)
	if want == 0 {
		t.Skip("neither logger nor rsyslogd is here")
	}
	s.until(fmt.Sprintf("an alert of each of %d messages", want), func() bool { return len(s.listOf("net")) >= want })
	for _, one := range s.listOf("net") {
		a := s.alert(one["id"])
		title, _ := a["title"].(string)
		if f, _ := a["fields"].(map[string]any); a["error"] != nil || f["sender"] != "127.0.0.1" || !strings.Contains(title, "logger") && !strings.Contains(title, "rsyslog by way") {
			t.Errorf("%v came as %v", a["title"], a)
		}
	}
}

// plainText is a folder of content with a mapping that reads any text.
func plainText(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := os.Mkdir(filepath.Join(dir, "sources"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sources", "plain-text.source.yaml"), []byte(`mapping: plain-text
title: Any text
version: 1
alert:
  identity: ["${{ event.message }}", "${{ syslog.time }}"]
  title: "${{ event.message }}"
  severity: 1
`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// forward lets rsyslogd send one message by each way that it knows, and tells how
// many.
func forward(t *testing.T, ca *authority, port, secure int) int {
	t.Helper()
	path, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Log("rsyslogd is not here; what it sends was not tried")
		return 0
	}
	dir := t.TempDir()
	ways := []string{
		fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%d" protocol="udp" template="RSYSLOG_TraditionalForwardFormat")`, port),
		fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%d" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format")`, port),
		fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%d" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")`, port),
	}
	global := fmt.Sprintf("global(workDirectory=%q)\n", dir)
	if found, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_gtls.so"); len(found) > 0 {
		global = fmt.Sprintf("global(workDirectory=%q defaultNetstreamDriverCAFile=%q defaultNetstreamDriverCertFile=%q defaultNetstreamDriverKeyFile=%q)\n",
			dir, filepath.Join(ca.dir, "ca.crt"), filepath.Join(ca.dir, "sender.crt"), filepath.Join(ca.dir, "sender.key"))
		ways = append(ways, fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%d" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"
			streamDriver="gtls" streamDriverMode="1" streamDriverAuthMode="x509/certvalid")`, secure))
	} else {
		t.Log("rsyslogd has no TLS here; it was not tried with it")
	}
	conf := filepath.Join(dir, "rsyslog.conf")
	text := global + `module(load="imfile" pollingInterval="1")` + "\n"
	for i, way := range ways {
		in := filepath.Join(dir, fmt.Sprintf("%d.log", i))
		if err := os.WriteFile(in, []byte(fmt.Sprintf("rsyslog by way %d\n", i)), 0o600); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("input(type=\"imfile\" file=%q tag=\"app%d:\" ruleset=\"r%d\")\nruleset(name=\"r%d\") {\n%s\n}\n", in, i, i, i, way)
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("rsyslogd says:\n%s", out.String())
		}
	})
	return len(ways)
}
