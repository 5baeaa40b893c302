package event

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFactsAreFoundWithoutKnowingTheProduct(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, want string }{
		{`Failed password for invalid user ann from 192.0.2.7 port 4022 ssh2`, `action=failed severity=2 src_ip=192.0.2.7 src_port=4022 user=ann`},
		{`<34>Jan  2 03:04:05 fw1 vpn: User 'bob' logged in from 192.0.2.7`, `device=fw1 host=fw1 process=vpn severity=4 src_ip=192.0.2.7 time=2026-01-02T03:04:05Z user=bob`},
		{`Deny tcp src inside:192.0.2.7/4022 dst outside:198.51.100.9/443 by access-group "x"`, `action=denied dst_ip=198.51.100.9 dst_port=443 severity=2 src_ip=192.0.2.7 src_port=4022`},
		{`blocked connection 192.0.2.7:4022 -> 198.51.100.9:443`, `action=blocked dst_ip=198.51.100.9 dst_port=443 severity=2 src_ip=192.0.2.7 src_port=4022`},
		{`vendor=ACME severity=high src_host=pc1 source_ip=192.0.2.7 dst_ip=198.51.100.9 user=ann action=drop attack="SYN Flood" sig_id=77`, `action=drop dst_ip=198.51.100.9 rule=SYN Flood rule_id=77 severity=4 src_host=pc1 src_ip=192.0.2.7 user=ann`},
		{`CEF:0|ACME|Wall|1|77|Port scan|9|src=192.0.2.7 dst=198.51.100.9 suser=ann dhost=srv1 rt=1767323045000 act=blocked`, `action=blocked dst_host=srv1 dst_ip=198.51.100.9 product=ACME Wall rule=Port scan rule_id=77 severity=5 src_ip=192.0.2.7 time=2026-01-02T03:04:05Z user=ann`},
		{`192.0.2.7 - ann [02/Jan/2026:04:04:05 +0100] "GET /etc/../passwd HTTP/1.1" 404 12 "-" "x"`, `method=GET severity=4 src_ip=192.0.2.7 status=404 time=2026-01-02T03:04:05Z url=/etc/../passwd user=ann`},
		{`{"event": {"severity": "critical"}, "source": {"ip": "192.0.2.7", "port": 22}, "destination": {"ip": "2001:db8::1"}, "user": {"name": "ann"}, "host": {"name": "pc1"}, "@timestamp": "2026-01-02T03:04:05Z"}`, `device=pc1 dst_ip=2001:db8::1 host=pc1 severity=5 src_ip=192.0.2.7 src_port=22 time=2026-01-02T03:04:05Z user=ann`},
		{`date=2026-01-02 time=04:04:05 tz="+0100" level=warning msg="disk full" devname=fw1`, `device=fw1 host=fw1 severity=3 time=2026-01-02T03:04:05Z`},
		{`key md5 78:d6:41:ca:78:37:80:88:1d:15:0a:68:91:d1:4e:ad accepted`, `action=accepted`},
		{`[error] [client 192.0.2.7:4022] AH01630: client denied by server configuration`, `action=denied rule_id=AH01630 severity=3 src_ip=192.0.2.7 src_port=4022`},
		{`%%01SNMP/4/SNMP_IP_LOCK(l): locked (SourceIP=192.0.2.7)`, `action=locked category=SNMP rule_id=SNMP_IP_LOCK severity=3 src_ip=192.0.2.7`},
		{`user=- src=0.0.0.0 srcname=N/A x=y nothing here`, ``},
	} {
		e, err := Read([]byte(c.raw), now)
		if err != nil {
			t.Errorf("%s: %v", c.raw, err)
			continue
		}
		var got []string
		for name, v := range Found(e, now) {
			if !slices.Contains([]string{"title", "message", "text", "ips", "users"}, name) {
				got = append(got, fmt.Sprintf("%s=%v", name, v))
			}
		}
		slices.Sort(got)
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.raw, all, c.want)
		}
	}
}
