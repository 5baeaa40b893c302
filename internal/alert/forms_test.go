package alert_test

import (
	"strings"
	"testing"
)

// The events here are written by hand, in the forms that the vendors' pages and
// shippers' documentation show: for these forms there are no real events.
func TestTheOtherFormsOfKnownEventsAreRead(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	set := every(t)
	for name, c := range map[string]struct{ mapping, event, want string }{
		"EVE in Filebeat's module": {"suricata-eve", `{"@timestamp": "2026-01-02T03:04:05Z", "ecs": {"version": "8"}, "source": {"ip": "192.0.2.1", "port": 5}, "destination": {"ip": "192.0.2.2"},
			"suricata": {"eve": {"event_type": "alert", "flow_id": 7, "alert": {"signature": "ET X", "signature_id": 9, "severity": 1, "metadata": {"mitre_technique_id": ["T1071"], "signature_severity": ["Critical"]}}}}}`,
			"5|ET X|2026-01-02T03:04:05Z|host=<nil>|user=<nil>|192.0.2.1->192.0.2.2|T1071"},
		"EVE under _source": {"suricata-eve", `{"_index": "i", "_source": {"timestamp": "2026-01-02T03:04:05Z", "event_type": "alert", "flow_id": 7, "src_ip": "192.0.2.1", "dest_ip": "192.0.2.2", "alert": {"signature": "ET X", "severity": 2}}}`,
			"3|ET X|2026-01-02T03:04:05Z|host=<nil>|user=<nil>|192.0.2.1->192.0.2.2|"},
		"Wazuh, a Windows channel": {"wazuh", `{"timestamp": "2026-01-02T03:04:05.000+0000", "rule": {"level": 12, "description": "Mimikatz run.", "id": "92000", "mitre": {"id": ["T1003"], "tactic": ["Credential Access"]}, "groups": ["sysmon"]},
			"agent": {"id": "003", "name": "ws3", "ip": "10.0.0.3"}, "manager": {"name": "m"}, "id": "1.2",
			"data": {"win": {"system": {"computer": "ws3.example.com", "eventID": "1"}, "eventdata": {"image": "C:\\\\m.exe", "user": "EX\\\\ann", "commandLine": "m.exe", "hashes": "SHA256=` + hash + `"}}}}`,
			`4|Mimikatz run on ws3.example.com|2026-01-02T03:04:05Z|host=ws3.example.com|user=EX\\ann|<nil>-><nil>|T1003`},
		"Wazuh, a file that changed": {"wazuh", `{"_source": {"@timestamp": "2026-01-02T03:04:05Z", "rule": {"level": 7, "description": "Integrity checksum changed.", "id": "550", "groups": ["ossec", "syscheck"]},
			"agent": {"id": "001", "name": "web1"}, "id": "3.4", "syscheck": {"path": "/etc/passwd", "sha256_after": "` + hash + `", "event": "modified"}}}`,
			"3|Integrity checksum changed on web1|2026-01-02T03:04:05Z|host=web1|user=<nil>|<nil>-><nil>|"},
		"OSSEC": {"wazuh", `{"rule": {"level": 10, "comment": "Multiple failed logins", "sidid": 5720, "group": "authentication_failures"}, "TimeStamp": 1767323045000, "location": "/var/log/auth.log", "full_log": "x", "hostname": "gw", "srcip": "192.0.2.1", "dstuser": "root"}`,
			"3|Multiple failed logins on gw|2026-01-02T03:04:05Z|host=gw|user=root|192.0.2.1-><nil>|"},
		"Zeek with flat names": {"zeek", `{"ts": 1767323045.5, "uid": "C1", "id.orig_h": "192.0.2.1", "id.resp_h": "192.0.2.2", "note": "SSH::Password_Guessing", "msg": "192.0.2.1 guesses", "src": "192.0.2.1"}`,
			"4|SSH::Password_Guessing: 192.0.2.1 guesses|2026-01-02T03:04:05Z|host=<nil>|user=<nil>|192.0.2.1->192.0.2.2|T1110.001"},
		"Winlogbeat": {"windows-event", `{"@timestamp": "2026-01-02T03:04:05Z", "host": {"name": "dc1"}, "event": {"code": "4720"}, "message": "A user account was created.\nmore", "winlog": {"event_id": 4720, "channel": "Security", "computer_name": "dc1.example.com",
			"provider_name": "Microsoft-Windows-Security-Auditing", "record_id": 5, "event_data": {"TargetUserName": "eve", "SubjectUserName": "ann"}}}`,
			"3|User account created: eve on dc1.example.com|2026-01-02T03:04:05Z|host=dc1.example.com|user=eve|<nil>-><nil>|T1136.001"},
		"evtx with a list of Data": {"windows-event", `{"Event": {"System": {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}}, "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 4625}, "Level": 0, "Channel": "Security", "Computer": "dc1", "EventRecordID": 9,
			"TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05Z"}}}, "EventData": {"Data": [{"#attributes": {"Name": "TargetUserName"}, "#text": "bob"}, {"#attributes": {"Name": "IpAddress"}, "#text": "192.0.2.1"}]}}}`,
			"2|Failed logon: bob on dc1|2026-01-02T03:04:05Z|host=dc1|user=bob|192.0.2.1-><nil>|T1110"},
		"Wazuh's agent alone": {"windows-event", `{"win": {"system": {"providerName": "Microsoft-Windows-Eventlog", "eventID": "1102", "channel": "Security", "computer": "dc1", "systemTime": "2026-01-02T03:04:05.1Z", "eventRecordID": "7", "level": "4", "message": "The audit log was cleared."},
			"logFileCleared": {"subjectUserName": "eve"}}}`, "4|Security audit log cleared on dc1|2026-01-02T03:04:05Z|host=dc1|user=<nil>|<nil>-><nil>|T1070.001"},
		"a group that grew": {"windows-event", `{"EventID": 4732, "Channel": "Security", "Hostname": "dc1", "@timestamp": "2026-01-02T03:04:05Z", "TargetUserName": "Administrators", "MemberName": "CN=eve", "SubjectUserName": "ann", "RecordNumber": 1}`,
			"3|Member added to local group: Administrators on dc1|2026-01-02T03:04:05Z|host=dc1|user=Administrators|<nil>-><nil>|T1098"},
		"a rule of Sysmon": {"windows-event", `{"EventID": 13, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "ws1", "UtcTime": "2026-01-02 03:04:05.000", "RuleName": "technique_id=T1547.001,technique_name=Run Keys", "Image": "C:\\x.exe", "TargetObject": "HKLM\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\x"}`,
			`2|Registry value set: HKLM\Software\Microsoft\Windows\CurrentVersion\Run\x on ws1|2026-01-02T03:04:05Z|host=ws1|user=<nil>|<nil>-><nil>|T1547.001`},
		"Falco in Kubernetes": {"falco", `{"uuid": "u", "output": "x", "priority": "Critical", "rule": "Terminal shell in container", "time": "2026-01-02T03:04:05Z", "tags": ["container", "T1059"], "hostname": "node1", "source": "syscall",
			"output_fields": {"k8s.pod.name": "web-1", "user.name": "root", "proc.name": "bash", "fd.cip": "192.0.2.1", "fd.sip": "192.0.2.2"}}`,
			"4|Terminal shell in container in web-1|2026-01-02T03:04:05Z|host=node1|user=root|192.0.2.1->192.0.2.2|T1059"},
		"osquery, a snapshot": {"osquery", `{"snapshot": [{"path": "/tmp/x", "pid": "5"}], "action": "snapshot", "name": "pack_attack_processes", "hostIdentifier": "ws1", "unixTime": 1767323045}`,
			"2|osquery attack_processes: snapshot /tmp/x on ws1|2026-01-02T03:04:05Z|host=ws1|user=<nil>|<nil>-><nil>|"},
		"OCSF, a detection finding": {"ocsf", `{"class_uid": 2004, "category_uid": 2, "activity_id": 1, "severity_id": 6, "time": 1767323045000, "metadata": {"version": "1.1.0", "uid": "m", "product": {"name": "P"}}, "message": "m",
			"finding_info": {"title": "Beacon seen", "uid": "f1", "attacks": [{"technique": {"uid": "T1071.001"}, "tactic": {"uid": "TA0011"}}]}, "device": {"hostname": "ws1"}, "actor": {"user": {"name": "ann"}},
			"evidences": [{"src_endpoint": {"ip": "192.0.2.1"}, "dst_endpoint": {"ip": "192.0.2.2"}}], "observables": [{"name": "x", "type_id": 8, "value": "` + hash + `"}]}`,
			"5|Beacon seen|2026-01-02T03:04:05Z|host=ws1|user=ann|192.0.2.1->192.0.2.2|T1071.001"},
		"Security Lake": {"ocsf", `{"class_uid": 6003, "class_name": "API Activity", "category_uid": 6, "severity_id": 1, "time": 1767323045000, "metadata": {"version": "1.0.0", "uid": "m"}, "activity_name": "Create", "api": {"operation": "CreateUser"},
			"actor": {"user": {"name": "ann"}}, "src_endpoint": {"ip": "192.0.2.1"}, "cloud": {"region": "eu-west-1"}}`,
			"1|API Activity: CreateUser by ann from 192.0.2.1|2026-01-02T03:04:05Z|host=<nil>|user=ann|192.0.2.1-><nil>|"},
		"CrowdStrike's alerts API": {"crowdstrike-alert", `{"composite_id": "c:ind:1", "severity": 70, "severity_name": "High", "display_name": "CredentialDumping", "filename": "m.exe", "filepath": "\\x\\m.exe", "cmdline": "m.exe", "timestamp": "2026-01-02T03:04:05Z", "technique_id": "T1003",
			"device": {"hostname": "ws1", "local_ip": "10.0.0.1"}, "user_name": "ann", "sha256": "` + hash + `", "pattern_id": 5, "falcon_host_link": "https://falcon.example.com/a"}`,
			"4|CredentialDumping: m.exe on ws1|2026-01-02T03:04:05Z|host=ws1|user=ann|<nil>-><nil>|T1003"},
		"CrowdStrike's detects API": {"crowdstrike-alert", `{"detection_id": "ldt:1:2", "max_severity": 90, "max_severity_displayname": "Critical", "created_timestamp": "2026-01-02T03:04:05Z", "device": {"hostname": "ws1"},
			"behaviors": [{"scenario": "ransomware", "technique_id": "T1486", "user_name": "ann", "filename": "r.exe", "cmdline": "r.exe", "sha256": "` + hash + `"}]}`,
			"5|ransomware: r.exe on ws1|2026-01-02T03:04:05Z|host=ws1|user=ann|<nil>-><nil>|T1486"},
		"a threat of SentinelOne 2.1": {"sentinelone-threat", `{"id": "1", "agentRealtimeInfo": {"agentComputerName": "ws1"}, "threatInfo": {"threatId": "1", "threatName": "x.exe", "classification": "Ransomware", "confidenceLevel": "malicious", "identifiedAt": "2026-01-02T03:04:05Z", "sha256": "` + hash + `", "processUser": "ann"},
			"indicators": [{"tactics": [{"name": "Impact", "techniques": [{"name": "T1486", "link": "https://attack.mitre.org/techniques/T1486/"}]}]}]}`,
			"5|Ransomware: x.exe on ws1|2026-01-02T03:04:05Z|host=ws1|user=ann|<nil>-><nil>|T1486"},
		"an incident of Cortex XDR": {"cortex-xdr", `{"incident_id": "5", "description": "Two alerts", "severity": "high", "creation_time": 1767323045000, "hosts": ["ws1:abc"], "users": ["ann"], "alert_count": 2, "xdr_url": "https://x.example.com/i/5", "mitre_techniques_ids_and_names": ["T1059 - Command"]}`,
			"4|Incident 5: Two alerts on ws1|2026-01-02T03:04:05Z|host=ws1|user=ann|<nil>-><nil>|T1059"},
		"a MalOp of the inbox": {"cybereason", `{"guid": "11.2", "displayName": "bad.exe", "malopDetectionType": "CNC", "detectionEngines": ["EDR"], "creationTime": 1767323045000, "severity": "High", "machines": [{"displayName": "ws1"}], "users": [{"displayName": "ann"}]}`,
			"4|MalOp: bad.exe|2026-01-02T03:04:05Z|host=ws1|user=ann|<nil>-><nil>|"},
		"a workbench alert": {"trend-vision-one", `{"id": "WB-1", "workbenchLink": "https://w.example.com/1", "model": "Suspicious login", "severity": "medium", "createdDateTime": "2026-01-02T03:04:05Z", "impactScope": {"entities": [{"entityType": "host", "entityValue": {"name": "ws1"}}]},
			"matchedRules": [{"matchedFilters": [{"mitreTechniqueIds": ["T1078"]}]}], "indicators": [{"type": "ip", "field": "src", "value": "192.0.2.1"}]}`,
			"3|Suspicious login: ws1|2026-01-02T03:04:05Z|host=ws1|user=<nil>|<nil>-><nil>|T1078"},
		"ECS of a Beat": {"ecs", `{"@timestamp": "2026-01-02T03:04:05Z", "ecs": {"version": "8.0"}, "event": {"kind": "alert", "module": "m", "severity": 73, "id": "e1"}, "rule": {"name": "Odd login"}, "host": {"name": "ws1"}, "user": {"name": "ann"},
			"source": {"ip": "192.0.2.1"}, "destination": {"ip": "192.0.2.2"}, "threat": {"technique": {"id": ["T1110"]}}}`,
			"4|Odd login|2026-01-02T03:04:05Z|host=ws1|user=ann|192.0.2.1->192.0.2.2|T1110"},
		"a product nobody knows": {"generic-json", `{"notification": {"alertTitle": "x", "id": 5}, "AlertName": "Suspicious PowerShell", "Risk-Score": 87, "when": {"createdAt": 1767323045}, "asset": {"hostName": "ws1", "ipAddress": "10.0.0.9"},
			"initiator": {"userName": "ann", "clientIP": "192.0.2.1"}, "remote": {"dstIp": "192.0.2.2"}, "labels": ["attack.t1059.001"]}`,
			"4|Suspicious PowerShell|2026-01-02T03:04:05Z|host=ws1|user=ann|192.0.2.1->192.0.2.2|T1059.001"},
	} {
		a, _, err := set.Read("any", []byte(c.event), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := told(a); a.Mapping != c.mapping || got != c.want {
			t.Errorf("%s is read by %s:\n got %s\nwant %s", name, a.Mapping, got, c.want)
		}
		if a.Fields["unread"] != nil {
			t.Errorf("%s: %v", name, a.Fields["unread"])
		}
	}
}

func TestAnUpdateOfAnAlertIsTheSameAlert(t *testing.T) {
	t.Parallel()
	set := every(t)
	for name, pair := range map[string][2]string{
		"a finding that is closed": {
			`{"class_uid": 2004, "category_uid": 2, "activity_id": 1, "severity_id": 4, "metadata": {"uid": "m1"}, "time": 1767323045000, "finding_info": {"title": "T", "uid": "f"}}`,
			`{"class_uid": 2004, "category_uid": 2, "activity_id": 3, "severity_id": 4, "metadata": {"uid": "m2"}, "time": 1767323099000, "finding_info": {"title": "T", "uid": "f"}}`,
		},
		"a threat that is dealt with": {
			`{"threatInfo": {"threatId": "1", "threatName": "x", "incidentStatus": "unresolved"}}`, `{"threatInfo": {"threatId": "1", "threatName": "x", "incidentStatus": "resolved"}}`,
		},
		"a detection of CrowdStrike": {
			`{"composite_id": "c", "severity": 50, "status": "new"}`, `{"composite_id": "c", "severity": 50, "status": "closed"}`,
		},
		"an alert of Wazuh by two roads": {
			`{"id": "1.5", "rule": {"id": "1", "level": 3}, "agent": {"id": "1"}, "manager": {"name": "m"}}`,
			`{"_source": {"id": "1.5", "rule": {"id": "1", "level": 3}, "agent": {"id": "1"}, "manager": {"name": "m"}, "@timestamp": "2026-01-02T03:04:05Z"}}`,
		},
	} {
		a, _, err := set.Read("any", []byte(pair[0]), now)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := set.Read("any", []byte(pair[1]), now)
		if err != nil || a.IdentityKey != b.IdentityKey || a.Mapping != b.Mapping {
			t.Errorf("%s: %s and %s are two alerts, %v", name, a.Title, b.Title, err)
		}
	}
}
