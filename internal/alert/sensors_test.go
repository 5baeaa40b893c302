package alert_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"riposte/internal/alert"
	"riposte/internal/expr"
)

// lines are the lines of a file of real events.
func lines(t testing.TB, file string) [][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, alert.MaxEventBytes)
	for sc.Scan() {
		out = append(out, append([]byte(nil), sc.Bytes()...))
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// told is what a record says, in the order in which the facts below stand.
func told(a alert.Alert) string {
	o := a.Object()
	return fmt.Sprintf("%d|%s|%s|host=%v|user=%v|%v->%v|%s", a.Severity, a.Title, a.Time.Format("2006-01-02T15:04:05Z"), o["host"], o["user"], o["src_ip"], o["dst_ip"], strings.Join(a.Techniques, ","))
}

func TestRealEventsOfSensorsAndEndpointsSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	for _, c := range []struct {
		mapping, file string
		line          int
		want          string
	}{
		{"suricata-eve", "suricata-eve-alert", 3, "3|ET SCAN Nessus User Agent|2015-03-17T08:14:59Z|host=<nil>|user=<nil>|54.235.163.229->192.168.0.2|"},
		{"suricata-eve", "secops-suricata-eve", 2, "4|ET ATTACK_RESPONSE Win32/LeftHook Stealer Browser Extension Config Inbound|2023-09-18T06:13:41Z|host=<nil>|user=<nil>|5.1.1.3->5.1.1.4|"},
		{"wazuh", "wazuh-alerts-json", 1, "3|First time this IDS alert is generated: SURICATA HTTP Host header invalid on user-0|2020-03-04T13:55:05Z|host=user-0|user=<nil>|192.168.10.18->192.168.10.21|"},
		{"zeek", "zeek-notice", 3, "2|SSL::Invalid_Server_Cert: SSL certificate validation failed with (self signed certificate)|2018-03-24T17:15:20Z|host=<nil>|user=<nil>|10.164.94.120->10.47.27.80|"},
		{"zeek", "zeek-weird", 1, "2|Weird traffic: above_hole_data_without_any_acks from 10.47.1.156 to 104.225.97.101|2018-03-24T17:27:50Z|host=<nil>|user=<nil>|10.47.1.156->104.225.97.101|"},
		{"zeek", "zeek-dns", 2, "1|DNS query for arena1.wrccdc.cpp.edu by 10.47.2.155|2018-03-24T17:18:40Z|host=<nil>|user=<nil>|10.47.2.155->10.0.0.100|"},
		{"zeek", "zeek-ntlm", 2, "1|NTLM from 10.164.94.120 to 10.47.3.151|2018-03-24T17:15:51Z|host=CottonCandy4.factory.oompa.loompa|user=<nil>|10.164.94.120->10.47.3.151|"},
		{"falco", "falco-alert", 2, "1|Test rule in test-host|2001-01-01T01:10:00Z|host=test-host|user=<nil>|<nil>-><nil>|"},
		{"windows-event", "windows-security", 2, "1|Logon: MORDORDC$ on MORDORDC.mordor.local|2020-06-10T02:51:03Z|host=MORDORDC.mordor.local|user=MORDORDC$|172.18.38.5-><nil>|"},
		{"windows-event", "windows-system", 2, "3|Service installed: OTR on WORKSTATION6.theshire.local|2020-08-06T06:27:31Z|host=WORKSTATION6.theshire.local|user=pgustavo|<nil>-><nil>|T1543.003"},
		{"windows-event", "sigma-windows-builtin", 1, "2|Logon with explicit credentials: testuser on swachchhanda|2026-07-17T14:18:34Z|host=swachchhanda|user=testuser|<nil>-><nil>|T1078"},
		{"windows-event", "sigma-windows-process-access", 1, "4|Process accessed: WerFaultSecure.exe to lsass.exe on swachchhanda|2025-11-27T07:57:32Z|host=swachchhanda|user=swachchhanda\\xodih|<nil>-><nil>|T1003.001"},
		{"windows-event", "sigma-windows-sysmon", 1, "3|Sysmon configuration changed on ar-win-dc.attackrange.local|2025-10-24T23:33:08Z|host=ar-win-dc.attackrange.local|user=<nil>|<nil>-><nil>|T1562.001"},
		{"windows-event", "windows-sysmon", 1, "1|Registry value set: HKLM\\SOFTWARE\\Microsoft\\SystemCertificates\\AuthRoot\\AutoUpdate\\PinRulesLastError on DC01.pandalab.com|2023-07-19T09:02:18Z|host=DC01.pandalab.com|user=NT AUTHORITY\\NETWORK SERVICE|<nil>-><nil>|"},
		{"sysmon-linux", "linux-attack", 2, "1|Network connection: wdavdaemon to 104.46.127.225 on UBUNTU5|2022-05-11T18:10:20Z|host=UBUNTU5|user=root|192.168.2.5->104.46.127.225|"},
		{"azure-vm-connection", "linux-attack", 10, "1|java on UBUNTU5 connected to 192.168.2.6, port 1389|2022-05-11T18:09:38Z|host=UBUNTU5|user=<nil>|192.168.2.5->192.168.2.6|"},
		{"osquery", "panther-osquery-differential", 4, "2|osquery osx-attacks_Keyboard_Event_Taps: added /Users/johnny/Desktop/Siri.app/Contents/MacOS/Siri on test-host|"},
		{"crowdstrike-event-streams", "panther-crowdstrike-eventstreams", 3, "1|Known Malware: msedge.exe|2024-12-03T19:54:30Z|host=<nil>|user=Administrator|<nil>-><nil>|T1204"},
		{"crowdstrike-event-streams", "panther-crowdstrike-eventstreams", 1, "1|CreateAPIClient by tester@panther.com (Crowdstrike API Client)|2024-07-08T14:01:54Z|host=<nil>|user=tester@panther.com|11.1.111.11-><nil>|"},
		{"crowdstrike-fdr", "panther-crowdstrike-fdrevent", 3, "2|Suspicious Activity: echo on hostname.lan|2021-03-24T18:19:49Z|host=hostname.lan|user=username|1.2.3.4-><nil>|"},
		{"sentinelone-threat", "sentinelone-threat", 14, "4|Trojan: test.txt on so-agent-win12|2020-07-19T14:58:59Z|host=so-agent-win12|user=<nil>|<nil>-><nil>|"},
		{"sentinelone-activity", "panther-sentinelone-activity", 1, "5|Alert created for sshd from Custom Rule: test-rule in Group Default Group in Site Default site of Account Account1, detected on BobsPC.|2022-12-07T17:36:05Z|host=BobsPC|user=<nil>|<nil>-><nil>|"},
		{"cortex-xdr", "cortex-xdr-alert", 1, "4|Behavioral Threat on hostname|2024-01-29T15:01:39Z|host=hostname|user=<nil>|<nil>->8.8.8.8|T1012"},
		{"fireeye-hx", "fireeye-hx-alert", 1, "3|Exploit.PDF-JS.MF on agent 11111|2022-03-26T15:24:48Z|host=11111|user=Administrator|<nil>-><nil>|"},
		{"trend-vision-one", "secops-trend-micro", 2, "5|High-Risk Cloud Application: app.example.com|2026-02-03T15:00:00Z|host=<nil>|user=<nil>|<nil>-><nil>|"},
		{"mandiant-validation", "secops-mandiant-security-validation", 1, "1|Validation blocked: Cloud Validation - Generic Cloud Product Feature Specific Name|2026-06-11T14:22:26Z|host=dummyuser1-ab-cdefg-user|user=<nil>|5.5.5.2-><nil>|"},
		{"ocsf", "panther-ocsf-networkactivity", 2, "1|OCSF.NetworkActivity from 10.0.0.1 to 100.100.100.100|2026-12-05T12:00:00Z|host=<nil>|user=<nil>|10.0.0.1->100.100.100.100|"},
	} {
		all := lines(t, filepath.Join(dir, c.file+".jsonl"))
		a, _, err := shipped(t, c.mapping).Show("any", all[c.line-1], now)
		if err != nil {
			t.Errorf("%s:%d: %v", c.file, c.line, err)
		} else if got := told(a); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:%d:\n got %s\nwant %s", c.file, c.line, got, c.want)
		}
	}
}

// truth reads what is known about the lines of a file.
func truth(t *testing.T, dir, file string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, raw := range lines(t, filepath.Join(dir, "truth", file+".jsonl")) {
		v := map[string]any{}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func TestRecordsAgreeWithWhatIsKnownOfTheEvents(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	level := func(n int) int {
		switch {
		case n >= 15:
			return 5
		case n >= 12:
			return 4
		case n >= 7:
			return 3
		case n >= 4:
			return 2
		}
		return 1
	}
	for _, c := range []struct {
		mapping, file string
		agrees        func(a alert.Alert, known map[string]any) bool
	}{
		{"suricata-eve", "suricata-eve-alert", func(a alert.Alert, k map[string]any) bool {
			return a.Title == strings.Join(strings.Fields(k["signature"].(string)), " ") && a.Fields["rule_id"] == fmt.Sprint(int(k["signature_id"].(float64))) && a.Description == k["category"]
		}},
		{"wazuh", "wazuh-alerts-json", func(a alert.Alert, k map[string]any) bool {
			return a.Fields["rule_id"] == k["rule"] && a.Severity == level(int(k["level"].(float64)))
		}},
		{"zeek", "zeek-notice", func(a alert.Alert, k map[string]any) bool {
			return a.Fields["rule"] == k["note"] && strings.HasPrefix(a.Title, k["note"].(string)+": ")
		}},
	} {
		m, all := shipped(t, c.mapping), lines(t, filepath.Join(dir, c.file+".jsonl"))
		for _, k := range truth(t, dir, c.file) {
			n := int(k["line"].(float64))
			if a, ok, err := m.Read("any", all[n-1], now); err != nil || !ok || !c.agrees(a, k) {
				t.Errorf("%s:%d: %v %v: %+v, but known is %v", c.file, n, ok, err, a, k)
			}
		}
	}
}

// sensors are the mappings of this file and the corpora that they read.
var sensors = map[string][]string{
	"suricata-eve": {"suricata-eve-alert", "secops-suricata-eve"}, "wazuh": {"wazuh-alerts-json"},
	"zeek":  {"zeek-notice", "zeek-weird", "zeek-dns", "zeek-ssh", "zeek-ssl", "zeek-smtp", "zeek-rdp", "zeek-kerberos", "zeek-ntlm", "zeek-dce_rpc"},
	"falco": {"falco-alert"}, "osquery": {"panther-osquery-differential"}, "sysmon-linux": {"linux-attack"},
	"windows-event": {
		"windows-security", "windows-sysmon", "windows-powershell", "windows-system", "sigma-windows-builtin", "sigma-windows-file", "sigma-windows-image-load", "sigma-windows-process-access",
		"sigma-windows-process-creation", "sigma-windows-registry", "sigma-windows-sysmon", "sigma-2025-exploits", "sigma-2025-malware", "sigma-2026-exploits",
	},
	"crowdstrike-event-streams": {"panther-crowdstrike-eventstreams"}, "crowdstrike-fdr": {"panther-crowdstrike-fdrevent"}, "sentinelone-activity": {"panther-sentinelone-activity"},
	"cortex-xdr": {"cortex-xdr-alert"}, "fireeye-hx": {"fireeye-hx-alert"}, "cybereason": {"cybereason-malop"}, "trend-vision-one": {"secops-trend-micro"},
	"mandiant-validation": {"secops-mandiant-security-validation"}, "ocsf": {"panther-ocsf-networkactivity"},
}

// every is the set of all mappings that are shipped.
func every(t testing.TB) *alert.Mappings {
	t.Helper()
	files, err := filepath.Glob("../../content/sources/*.source.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*alert.Mapping
	for _, f := range files {
		all = append(all, shipped(t, strings.TrimSuffix(filepath.Base(f), ".source.yaml")))
	}
	return alert.NewMappings(all)
}

func TestEventsOfSensorsAreDetectedAsTheirs(t *testing.T) {
	t.Parallel()
	dir, set := corpora(t), every(t)
	for mapping, files := range sensors {
		for _, f := range files {
			for i, raw := range lines(t, filepath.Join(dir, f+".jsonl")) {
				if mapping == "sysmon-linux" && i >= 8 {
					continue // rows of VMConnection
				}
				a, ok, err := set.Read("any", raw, now)
				if err != nil || ok && a.Mapping != mapping {
					t.Errorf("%s:%d is read by %s, %v, not by %s", f, i+1, a.Mapping, err, mapping)
				}
			}
		}
	}
}

func TestEventsThatAreNoAlertsAreLeftOut(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	for file, want := range map[string]int{"zeek-notice": 79, "zeek-weird": 20, "zeek-dns": 0, "zeek-ssh": 0, "zeek-ssl": 0, "zeek-kerberos": 0} {
		m, alerts := shipped(t, "zeek"), 0
		for _, raw := range lines(t, filepath.Join(dir, file+".jsonl")) {
			if _, ok, err := m.Read("any", raw, now); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if ok {
				alerts++
			}
		}
		if alerts != want {
			t.Errorf("%s has %d alerts, want %d", file, alerts, want)
		}
	}
}

// mutate drops fields of a value and changes their types, as a product's next
// version or a broken relay does.
func mutate(r *rand.Rand, v any, depth int) any {
	odd := []any{nil, "", "-", 7, -1.5, true, []any{}, map[string]any{}, "text", []any{nil, map[string]any{"x": []any{1}}}, "2031-01-01T00:00:00Z", 1e300}
	if r.IntN(12) == 0 {
		return odd[r.IntN(len(odd))]
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if r.IntN(10) > 0 || depth == 0 && r.IntN(3) > 0 {
				out[k] = mutate(r, e, depth+1)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, mutate(r, e, depth+1))
		}
		return out
	case string, int, float64:
		if r.IntN(15) == 0 {
			return []any{v, v}
		}
	}
	return v
}

func TestNoChangeOfAnEventLosesIt(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	r := rand.New(rand.NewPCG(1, 2))
	all := []string{"generic-json", "ecs"}
	for m := range sensors {
		all = append(all, m)
	}
	slices.Sort(all)
	for _, mapping := range all {
		m, files := shipped(t, mapping), sensors[mapping]
		if len(files) == 0 {
			files = []string{"cortex-xdr-alert", "wazuh-alerts-json", "panther-upwind-detections", "sentinelone-threat"}
		}
		for _, f := range files {
			events := lines(t, filepath.Join(dir, f+".jsonl"))
			for range 120 {
				event, err := expr.DecodeJSON(events[r.IntN(len(events))])
				if err != nil {
					t.Fatal(err)
				}
				changed, ok := mutate(r, event, 0).(map[string]any)
				if !ok || len(changed) == 0 {
					continue
				}
				raw, err := expr.EncodeJSON(changed)
				if err != nil {
					t.Fatal(err)
				}
				a, _, err := m.Show("any", raw, now)
				if err != nil {
					if !strings.Contains(err.Error(), "no event of the product") {
						t.Errorf("%s: %v\n%s", mapping, err, raw)
					}
					continue
				}
				if a.Title == "" || a.Severity < 0 || a.Severity > 5 || a.IdentityKey == "" || a.Time.IsZero() || a.Time.After(now.Add(alert.MaxAhead)) {
					t.Errorf("%s: %+v\n%s", mapping, a, raw)
				}
				if _, err := json.Marshal(a.Object()); err != nil {
					t.Errorf("%s: %v", mapping, err)
				}
			}
		}
	}
}
