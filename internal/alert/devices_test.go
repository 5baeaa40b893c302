package alert_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"riposte/internal/alert"
	"riposte/internal/event"
)

// shippedSet is all mappings of the product.
func shippedSet(t testing.TB) *alert.Mappings {
	t.Helper()
	files, err := filepath.Glob("../../content/sources/*.source.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	var all []*alert.Mapping
	for _, f := range files {
		all = append(all, shipped(t, strings.TrimSuffix(filepath.Base(f), ".source.yaml")))
	}
	return alert.NewMappings(all)
}

// deviceFiles says which mapping reads the real lines of each file, and what
// share of them at least; the rest are lines of other programs.
var deviceFiles = map[string]struct {
	mapping string
	share   float64
}{
	"syslog-cef": {"cef", 1}, "wazuh-fireeye": {"cef", 1}, "wazuh-panda-paps": {"leef", 1},
	"wazuh-cisco-asa": {"cisco-asa", 1}, "wazuh-cisco-ftd": {"cisco-asa", 1}, "wazuh-pix": {"cisco-asa", 1}, "wazuh-cisco-ios": {"cisco-ios", 1},
	"wazuh-fortigate": {"fortinet", 1}, "wazuh-fortimail": {"fortinet", 1}, "wazuh-fortiddos": {"fortinet", 1}, "wazuh-fortiauth": {"fortinet", 1},
	"wazuh-paloalto": {"paloalto", 1}, "wazuh-checkpoint-smart1": {"checkpoint", 1}, "wazuh-sophos-fw": {"sophos-firewall", 1}, "wazuh-sophos": {"sophos-endpoint", 1},
	"wazuh-sonicwall": {"sonicwall", 1}, "wazuh-f5-big-ip": {"f5-bigip", 0.85}, "wazuh-junos": {"juniper", 1}, "wazuh-netscreen": {"juniper", 1},
	"wazuh-huawei-usg": {"huawei", 1}, "secops-huawei-vrp": {"huawei", 1}, "wazuh-iptables": {"iptables", 1}, "wazuh-pfsense": {"pfsense", 1}, "wazuh-eset": {"eset", 1},
	"wazuh-sshd": {"linux-auth", 1}, "wazuh-sudo": {"linux-auth", 1}, "wazuh-su": {"linux-auth", 1}, "wazuh-pam": {"linux-auth", 1}, "wazuh-doas": {"linux-auth", 1}, "wazuh-dropbear": {"linux-auth", 1},
	"wazuh-apache": {"web-error", 1}, "wazuh-modsecurity": {"web-error", 1}, "wazuh-nginx": {"web-error", 0.8}, "wazuh-web-appsec": {"web-access", 0.8},
	"wazuh-dovecot": {"mail-server", 1}, "wazuh-exim": {"mail-server", 1}, "wazuh-postfix": {"mail-server", 1}, "wazuh-opensmtpd": {"mail-server", 1},
	"wazuh-auditd": {"auditd", 1}, "wazuh-audit-scp": {"auditd", 1}, "wazuh-apparmor": {"auditd", 1}, "wazuh-openldap": {"openldap", 1},
	"wazuh-sysmon": {"windows-event", 0.6}, "wazuh-win-event-channel": {"windows-event", 1}, "secops-manage-engine-pam360": {"manageengine-pam360", 0.4},
}

func TestRealLinesOfDevicesAreReadByTheirMapping(t *testing.T) {
	t.Parallel()
	dir, set := corpora(t), shippedSet(t)
	lines, times, severities, titles := 0, 0, 0, 0
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".log")
		by := map[string]int{}
		n := events(t, file, func(n int, raw []byte) {
			seen := set.Show(name, raw, now)
			if seen.Err != nil {
				t.Errorf("%s:%d: %v", name, n, seen.Err)
				return
			}
			by[seen.Mapping.ID]++
			lines++
			times += one(!seen.Alert.Time.Equal(now))
			severities += one(seen.Alert.Severity > 0)
			titles += one(len(seen.Alert.Title) > 3 && !strings.HasPrefix(seen.Alert.Title, "Alert without"))
		})
		if want, ok := deviceFiles[name]; ok && float64(by[want.mapping]) < want.share*float64(n) {
			t.Errorf("%s: %v, want %s for %.0f %%", name, by, want.mapping, 100*want.share)
		}
	}
	t.Logf("%d lines: %d with a time of their own, %d with a severity, %d with a title", lines, times, severities, titles)
	if float64(severities) < 0.9*float64(lines) || float64(titles) < 0.9*float64(lines) || float64(times) < 0.7*float64(lines) {
		t.Error("too few lines have a time, a severity or a title")
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestMappingsOfDevicesTakeNoEventOfAnotherProduct asks every mapping about every
// real event: of those that are equally specific only one may want it.
func TestMappingsOfDevicesTakeNoEventOfAnotherProduct(t *testing.T) {
	t.Parallel()
	dir, set := corpora(t), shippedSet(t)
	devices := map[string]bool{}
	for _, d := range deviceFiles {
		devices[d.mapping] = d.mapping != "windows-event" && d.mapping != "wazuh-integration"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file) != ".jsonl" && filepath.Ext(file) != ".log" {
			continue
		}
		events(t, file, func(n int, raw []byte) {
			e, err := event.Read(raw, now)
			if err != nil {
				return
			}
			first := set.Detect(e)
			for _, m := range set.All() {
				if m != first && devices[m.ID] && !m.Generic() && m.Specificity >= first.Specificity && m.Detects(e) {
					t.Errorf("%s:%d: %s and %s both want it", filepath.Base(file), n, first.ID, m.ID)
				}
			}
			if devices[first.ID] && filepath.Ext(file) == ".jsonl" && first.ID != "eset" {
				t.Errorf("%s:%d: %s wants a JSON event of another product", filepath.Base(file), n, first.ID)
			}
		})
	}
}

// party is a principal or a target of the mapping that is the truth.
type party struct {
	IP       []string `json:"ip"`
	Hostname string   `json:"hostname"`
	User     struct {
		UserID          string `json:"userid"`
		UserDisplayName string `json:"userDisplayName"`
	} `json:"user"`
}

func TestAddressesAndPeopleOfTheTruthAreFound(t *testing.T) {
	t.Parallel()
	dir, set := corpora(t), shippedSet(t)
	truths, err := filepath.Glob(filepath.Join(dir, "truth", "secops-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found, all := map[string]int{}, map[string]int{}
	for _, truth := range truths {
		name := strings.TrimSuffix(filepath.Base(truth), ".jsonl")
		lines := map[int][]byte{}
		file := filepath.Join(dir, name+".log")
		if _, err := os.Stat(file); err != nil {
			continue // read by the mappings of JSON products
		}
		events(t, file, func(n int, raw []byte) { lines[n] = raw })
		events(t, truth, func(_ int, raw []byte) {
			var want struct {
				Line int `json:"line"`
				UDM  struct {
					Principal, Target party
				} `json:"expected_udm"`
			}
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			a := set.Show(name, lines[want.Line], now).Alert
			var said []string
			for _, e := range a.Entities {
				said = append(said, strings.ToLower(e.Value))
			}
			for _, o := range a.Observables {
				said = append(said, strings.ToLower(o.Value))
			}
			for _, p := range []party{want.UDM.Principal, want.UDM.Target} {
				for kind, values := range map[string][]string{"ip": p.IP, "host": {p.Hostname}, "user": {p.User.UserID, p.User.UserDisplayName}} {
					for _, v := range values {
						if v == "" {
							continue
						}
						all[kind]++
						if slices.Contains(said, strings.ToLower(v)) {
							found[kind]++
						} else {
							t.Logf("%s:%d: %s %s is not found", name, want.Line, kind, v)
						}
					}
				}
			}
		})
	}
	for kind, least := range map[string]float64{"ip": 0.95, "host": 0.85, "user": 0.85} {
		share := float64(found[kind]) / float64(max(all[kind], 1))
		t.Logf("%s: %d of %d", kind, found[kind], all[kind])
		if share < least {
			t.Errorf("%s: %.0f %% are found, want %.0f %%", kind, 100*share, 100*least)
		}
	}
}

// TestSeverityFollowsTheLevelOfWazuh compares with the levels that Wazuh's rules
// give the same lines: those it calls bad must be worse than those it ignores.
func TestSeverityFollowsTheLevelOfWazuh(t *testing.T) {
	t.Parallel()
	dir, set := corpora(t), shippedSet(t)
	truths, err := filepath.Glob(filepath.Join(dir, "truth", "wazuh-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sum, n := map[string]int{}, map[string]int{}
	for _, truth := range truths {
		file := filepath.Join(dir, strings.TrimSuffix(filepath.Base(truth), ".jsonl")+".log")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		lines := map[int][]byte{}
		events(t, file, func(n int, raw []byte) { lines[n] = raw })
		events(t, truth, func(_ int, raw []byte) {
			var want struct {
				Line  int `json:"line"`
				Level int `json:"wazuh_level"`
			}
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			band := "none"
			switch {
			case want.Level >= 10:
				band = "high"
			case want.Level >= 5:
				band = "middle"
			case want.Level >= 3:
				band = "low"
			}
			sum[band] += set.Show("x", lines[want.Line], now).Alert.Severity
			n[band]++
		})
	}
	mean := func(band string) float64 { return float64(sum[band]) / float64(max(n[band], 1)) }
	t.Logf("mean severity: %.2f of %d that Wazuh ignores, %.2f of %d low, %.2f of %d middle, %.2f of %d high",
		mean("none"), n["none"], mean("low"), n["low"], mean("middle"), n["middle"], mean("high"), n["high"])
	if mean("high") <= mean("middle") || mean("middle") <= mean("none") {
		t.Error("what Wazuh calls worse is not worse here")
	}
}

func TestAnEventThatFitsNoneOfTheNamedMappingsNamesTheOneThatReadsIt(t *testing.T) {
	t.Parallel()
	set := shippedSet(t)
	only, err := set.Only("sonicwall", "fortinet")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = only.Read("x", []byte(`%ASA-4-106023: Deny tcp src a:192.0.2.1/1 dst b:192.0.2.2/2`), now)
	want := "event is no fortinet and no sonicwall: it looks like cisco-asa (Cisco ASA, FTD, PIX and FWSM); make the source's mapping cisco-asa, or auto"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := set.Only("sonic"); err == nil || !strings.Contains(err.Error(), "there is no mapping sonic") {
		t.Errorf("a mapping that is not there: %v", err)
	}
}

func BenchmarkAuto(b *testing.B) {
	set := shippedSet(b)
	raw := []byte(`{"timestamp":"2026-01-02T03:04:05.000000+0000","flow_id":1,"event_type":"alert","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"TCP","alert":{"signature":"S","signature_id":7,"severity":2}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := set.Read("x", raw, now); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
