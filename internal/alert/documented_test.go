package alert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
)

// TestEventsAsTheVendorsDocumentThemAreRead holds samples written by hand after
// the vendors' documentation: products and forms of which there were no real
// events to try. Each says in one line what must become of it.
func TestEventsAsTheVendorsDocumentThemAreRead(t *testing.T) {
	t.Parallel()
	all := everyMapping(t)
	for name, c := range map[string]struct{ raw, want string }{
		"Elastic, a document of the index": {
			`{"@timestamp": "2026-03-01T10:05:00.000Z", "kibana.alert.uuid": "u-1", "kibana.alert.rule.name": "Encoded PowerShell", "kibana.alert.rule.uuid": "r-1", "kibana.alert.severity": "high", "kibana.alert.risk_score": 73,
			 "kibana.alert.original_time": "2026-03-01T10:00:00.000Z", "kibana.alert.workflow_status": "open", "kibana.alert.url": "https://kibana.example/app/security/alerts/u-1",
			 "kibana.alert.rule.threat": [{"framework": "MITRE ATT&CK", "tactic": {"id": "TA0002"}, "technique": [{"id": "T1059", "subtechnique": [{"id": "T1059.001"}]}]}],
			 "host": {"name": "ws-1"}, "user": {"name": "ann"}, "source": {"ip": "203.0.113.9"}, "process": {"executable": "C:\\Windows\\powershell.exe", "hash": {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}, "event": {"category": ["process"]}}`,
			`elastic-security | Encoded PowerShell on ws-1 by ann | 4 | 2026-03-01T10:00:00Z | T1059,T1059.001 | host=ws-1 process=C:\Windows\powershell.exe user=ann | ip/source=203.0.113.9 sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 | https://kibana.example/app/security/alerts/u-1`,
		},
		"Elastic, a hit with everything flat and in lists": {
			`{"_index": ".internal.alerts-security.alerts-default-000001", "_id": "u-2", "_source": {"@timestamp": ["2026-03-01T10:05:00.000Z"], "kibana.alert.uuid": ["u-2"], "kibana.alert.rule.name": ["Beacon"], "kibana.alert.risk_score": [21], "host.name": ["ws-2"], "destination.ip": ["198.51.100.7"], "threat.technique.id": ["T1071"]}}`,
			`elastic-security | Beacon on ws-2 | 2 | 2026-03-01T10:05:00Z | T1071 | host=ws-2 | ip/destination=198.51.100.7 | `,
		},
		"Elastic, by the connector's template, with fields that the alert lacks": {
			`{"_id": "u-4", "@timestamp": "2026-03-01T10:00:00.000Z", "kibana.alert.rule.name": "Port scan", "kibana.alert.severity": "low", "kibana.alert.risk_score": "21", "host.name": "", "user.name": "", "source.ip": "203.0.113.9"}`,
			`elastic-security | Port scan | 2 | 2026-03-01T10:00:00Z |  |  | ip/source=203.0.113.9 | `,
		},
		"Elastic, nested all the way": {
			`{"@timestamp": "2026-03-01T10:05:00.000Z", "kibana": {"alert": {"uuid": "u-3", "severity": "critical", "rule": {"name": "Ransom note", "uuid": "r-3"}}}, "host": {"name": "srv-1"}}`,
			`elastic-security | Ransom note on srv-1 | 5 | 2026-03-01T10:05:00Z |  | host=srv-1 |  | `,
		},
		"Splunk, a notable event": {
			`{"event_id": "A1@@notable@@7c", "_time": "2026-03-01T10:00:00.000+00:00", "rule_name": "Brute Force Access Behavior Detected", "search_name": "Access - Brute Force - Rule", "urgency": "high", "severity": "medium", "security_domain": "access", "src": "203.0.113.9", "dest": "dc-1", "user": "ann", "annotations.mitre_attack": ["T1110", "T1078"], "status_label": "New"}`,
			`splunk-notable | Brute Force Access Behavior Detected: dc-1 | 4 | 2026-03-01T10:00:00Z | T1110,T1078 | host/target=dc-1 user=ann | ip/source=203.0.113.9 | `,
		},
		"Splunk, a notable event by an alert action": {
			`{"sid": "scheduler__x", "search_name": "Notables", "result": {"event_id": "A2", "rule_title": "Risk threshold exceeded", "urgency": "critical", "_time": "1772359200", "risk_object": "ann", "risk_object_type": "user"}, "results_link": "https://splunk.example/x"}`,
			`splunk-notable | Risk threshold exceeded: ann | 5 | 2026-03-01T10:00:00Z |  | user=ann |  | https://splunk.example/x`,
		},
		"Splunk, the webhook of an alert action": {
			`{"sid": "scheduler__admin__search__W2", "search_name": "Failed logins", "app": "search", "owner": "admin", "results_link": "https://splunk.example/@go?sid=W2", "result": {"_time": "1772359200", "host": "srv-1", "user": "ann", "src_ip": "203.0.113.9", "count": "8", "severity": "high"}}`,
			`splunk-alert | Failed logins: ann | 4 | 2026-03-01T10:00:00Z |  | host=srv-1 user=ann | ip/source=203.0.113.9 | https://splunk.example/@go?sid=W2`,
		},
		"Sentinel, an incident as an automation rule sends it": {
			`{"eventType": "Incident", "object": {"id": "/subscriptions/s/providers/Microsoft.SecurityInsights/Incidents/i-1", "name": "i-1", "type": "Microsoft.SecurityInsights/Incidents", "properties": {"title": "Rare sign-in", "severity": "High", "status": "New", "incidentNumber": 7, "incidentUrl": "https://portal.azure.com/x", "firstActivityTimeUtc": "2026-03-01T10:00:00Z", "additionalData": {"tactics": ["InitialAccess"], "techniques": ["T1078"]},
			 "relatedEntities": [{"kind": "Account", "properties": {"accountName": "ann", "upnSuffix": "example.com"}}, {"kind": "Ip", "properties": {"address": "203.0.113.9"}}, {"kind": "Host", "properties": {"hostName": "ws-1"}}]}}}`,
			`microsoft-sentinel | Rare sign-in | 4 | 2026-03-01T10:00:00Z | T1078 | host=ws-1 user=ann@example.com | ip=203.0.113.9 | https://portal.azure.com/x`,
		},
		"Sentinel, a row of SecurityIncident": {
			`{"TenantId": "t", "TimeGenerated": "2026-03-01T10:09:00Z", "IncidentName": "i-2", "IncidentNumber": 8, "Title": "Malware", "Severity": "Medium", "Status": "New", "FirstActivityTime": "2026-03-01T10:00:00Z", "IncidentUrl": "https://portal.azure.com/y", "AdditionalData": "{\"alertsCount\":1,\"techniques\":[\"T1204\"]}"}`,
			`microsoft-sentinel | Malware | 3 | 2026-03-01T10:00:00Z | T1204 |  |  | https://portal.azure.com/y`,
		},
		"Defender XDR, an incident of Graph": {
			`{"@odata.type": "#microsoft.graph.security.incident", "id": "29", "displayName": "Multi-stage incident", "incidentWebUrl": "https://security.microsoft.com/incidents/29", "severity": "high", "status": "active", "createdDateTime": "2026-03-01T10:00:00Z"}`,
			`microsoft-defender-incident | Multi-stage incident | 4 | 2026-03-01T10:00:00Z |  |  |  | https://security.microsoft.com/incidents/29`,
		},
		"Defender XDR, an alert of an incident": {
			`{"alertId": "da1", "incidentId": 5, "serviceSource": "MicrosoftDefenderForEndpoint", "title": "Suspicious process", "severity": "Medium", "category": "Execution", "firstActivity": "2026-03-01T10:00:00Z", "creationTime": "2026-03-01T10:02:00Z", "mitreTechniques": ["T1059.003"], "devices": [{"deviceDnsName": "ws-1"}], "entities": [{"entityType": "User", "accountName": "ann"}, {"entityType": "Ip", "ipAddress": "203.0.113.9"}]}`,
			`microsoft-defender-alert | Suspicious process: ws-1 | 3 | 2026-03-01T10:00:00Z | T1059.003 | host=ws-1 user=ann | ip=203.0.113.9 | https://security.microsoft.com/alerts/da1`,
		},
		"Graph, a legacy alert": {
			`{"id": "g1", "azureTenantId": "t", "title": "Atypical travel", "severity": "medium", "category": "unfamiliarLocation", "eventDateTime": "2026-03-01T10:00:00Z", "vendorInformation": {"provider": "IPC", "vendor": "Microsoft"}, "userStates": [{"userPrincipalName": "ann@example.com", "logonIp": "203.0.113.9"}]}`,
			`microsoft-graph-alert-legacy | Atypical travel by ann@example.com | 3 | 2026-03-01T10:00:00Z |  | user=ann@example.com | ip/source=203.0.113.9 | `,
		},
		"GuardDuty, by EventBridge": {
			`{"version": "0", "id": "e-1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "account": "111122223333", "time": "2026-03-01T10:06:00Z", "region": "us-east-1", "detail": {"schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "f-1", "type": "UnauthorizedAccess:EC2/SSHBruteForce", "severity": 5, "title": "SSH brute force against i-1.",
			 "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-1", "networkInterfaces": [{"publicIp": "198.51.100.7", "privateIpAddress": "10.0.0.5"}], "tags": [{"key": "Name", "value": "web-1"}]}},
			 "service": {"serviceName": "guardduty", "eventFirstSeen": "2026-03-01T10:00:00Z", "eventLastSeen": "2026-03-01T10:05:00Z", "count": 3, "action": {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {"connectionDirection": "INBOUND", "remoteIpDetails": {"ipAddressV4": "203.0.113.9"}}}}}}`,
			`aws-guardduty | SSH brute force against i-1. | 3 | 2026-03-01T10:00:00Z |  | cloud_resource/target=i-1 host=web-1 | ip/source=203.0.113.9 ip=10.0.0.5 ip=198.51.100.7 | https://console.aws.amazon.com/guardduty/home?region=us-east-1#/findings?search=id%3Df-1`,
		},
		"GuardDuty, by the API": {
			`{"AccountId": "111122223333", "Arn": "arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/f-2", "Id": "f-2", "Region": "us-east-1", "Type": "Backdoor:EC2/C&CActivity.B!DNS", "Severity": 8, "Title": "i-2 asks for a name of a control server.", "CreatedAt": "2026-03-01T10:02:00Z", "Resource": {"ResourceType": "Instance", "InstanceDetails": {"InstanceId": "i-2"}},
			 "Service": {"ServiceName": "guardduty", "EventFirstSeen": "2026-03-01T10:00:00Z", "Action": {"ActionType": "DNS_REQUEST", "DnsRequestAction": {"Domain": "evil.example"}}}}`,
			`aws-guardduty | i-2 asks for a name of a control server. | 4 | 2026-03-01T10:00:00Z |  | cloud_resource/target=i-2 host=i-2 | domain/destination=evil.example | https://console.aws.amazon.com/guardduty/home?region=us-east-1#/findings?search=id%3Df-2`,
		},
		"Security Hub, by EventBridge": {
			`{"version": "0", "id": "e-2", "detail-type": "Security Hub Findings - Imported", "source": "aws.securityhub", "account": "111122223333", "region": "us-east-1", "time": "2026-03-01T10:06:00Z", "detail": {"findings": [{"SchemaVersion": "2018-10-08", "Id": "arn:aws:securityhub:us-east-1:111122223333:x/finding/1", "ProductArn": "arn:aws:securityhub:us-east-1::product/aws/securityhub", "GeneratorId": "security-control/S3.1", "AwsAccountId": "111122223333", "Region": "us-east-1",
			 "Types": ["Software and Configuration Checks/Industry and Regulatory Standards"], "CreatedAt": "2026-03-01T10:00:00Z", "UpdatedAt": "2026-03-01T10:05:00Z", "Severity": {"Label": "CRITICAL", "Normalized": 90}, "Title": "S3 buckets should not be public", "Compliance": {"Status": "FAILED"}, "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::b-1"}]}]}}`,
			`aws-security-hub | S3 buckets should not be public | 5 | 2026-03-01T10:00:00Z |  | cloud_resource/target=arn:aws:s3:::b-1 |  | https://console.aws.amazon.com/securityhub/home?region=us-east-1#/findings?search=Id%3D%255Coperator%255C%253AEQUALS%255C%253Aarn:aws:securityhub:us-east-1:111122223333:x/finding/1`,
		},
		"CloudTrail, by EventBridge": {
			`{"id": "e-3", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "time": "2026-03-01T10:01:00Z", "detail": {"eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "userName": "ann", "arn": "arn:aws:iam::111122223333:user/ann"}, "eventTime": "2026-03-01T10:00:00Z", "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging", "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", "eventID": "ev-1"}}`,
			`aws-cloudtrail | StopLogging (cloudtrail) by ann | 4 | 2026-03-01T10:00:00Z |  | user/actor=ann | ip/source=203.0.113.9 | https://us-east-1.console.aws.amazon.com/cloudtrailv2/home?region=us-east-1#/events/ev-1`,
		},
		"Entra ID, a sign-in of Graph": {
			`{"id": "s-1", "createdDateTime": "2026-03-01T10:00:00Z", "userPrincipalName": "ann@example.com", "userId": "u", "appDisplayName": "Portal", "ipAddress": "203.0.113.9", "status": {"errorCode": 50126, "failureReason": "Invalid user name or password."}, "location": {"countryOrRegion": "DE"}, "riskLevelDuringSignIn": "none"}`,
			`entra-id-signin | Failed sign-in of ann@example.com to Portal from DE: Invalid user name or password. | 2 | 2026-03-01T10:00:00Z |  | cloud_resource/target=Portal user/actor=ann@example.com | ip/source=203.0.113.9 | https://entra.microsoft.com/#view/Microsoft_AAD_UsersAndTenants/UserProfileMenuBlade/~/SignIns/userId/u`,
		},
		"GitHub, a secret scanning alert by webhook": {
			`{"action": "created", "alert": {"number": 3, "secret_type": "aws_secret", "secret_type_display_name": "AWS secret", "html_url": "https://github.com/o/r/security/secret-scanning/3", "created_at": "2026-03-01T10:00:00Z"}, "repository": {"full_name": "o/r"}, "sender": {"login": "github"}}`,
			`github-webhook | GitHub secret scanning alert: AWS secret in o/r (created) | 4 | 2026-03-01T10:00:00Z |  | cloud_resource/target=o/r user/actor=github |  | https://github.com/o/r/security/secret-scanning/3`,
		},
		"Google Workspace, an activity with its events": {
			`{"kind": "admin#reports#activity", "id": {"time": "2026-03-01T10:00:00Z", "uniqueQualifier": "77", "applicationName": "login"}, "actor": {"email": "ann@example.com"}, "ipAddress": "203.0.113.9", "events": [{"type": "login", "name": "suspicious_login", "parameters": [{"name": "affected_email_address", "value": "ann@example.com"}]}]}`,
			`google-workspace | Google Workspace login: suspicious login by ann@example.com | 4 | 2026-03-01T10:00:00Z |  | user/actor=ann@example.com user/target=ann@example.com | ip/source=203.0.113.9 | https://admin.google.com/ac/reporting/audit/login`,
		},
		"Wiz, an issue by webhook": {
			`{"trigger": {"source": "ISSUES", "type": "Created"}, "issue": {"id": "w-1", "status": "OPEN", "severity": "CRITICAL", "created": "2026-03-01T10:00:00Z"}, "resource": {"id": "res-1", "name": "vm-1", "type": "virtualMachine", "cloudPlatform": "AWS", "subscriptionId": "111122223333"}, "control": {"id": "c-1", "name": "Exposed VM with a critical vulnerability"}}`,
			`wiz-issue | Exposed VM with a critical vulnerability: vm-1 | 5 | 2026-03-01T10:00:00Z |  | cloud_resource/target=vm-1 |  | https://app.wiz.io/issues#~(issue~'w-1)`,
		},
		"Abnormal Security, a threat": {
			`{"threatId": "t-1", "messages": [{"abxMessageId": 1, "attackType": "Phishing: Credential", "subject": "Your invoice", "fromAddress": "evil@bad.example", "toAddresses": ["ann@example.com"], "senderIpAddress": "203.0.113.9", "receivedTime": "2026-03-01T10:00:00Z", "remediationStatus": "Not Remediated", "abxPortalUrl": "https://portal.abnormalsecurity.com/x", "urls": ["http://bad.example/login"]}]}`,
			`abnormal-security | Phishing: Credential: Your invoice from evil@bad.example | 4 | 2026-03-01T10:00:00Z |  | mailbox/target=ann@example.com | email/sender=evil@bad.example ip/source=203.0.113.9 url=http://bad.example/login | https://portal.abnormalsecurity.com/x`,
		},
		"Okta, an event hook": {
			`{"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "eventId": "h-1", "eventTime": "2026-03-01T10:00:01Z", "data": {"events": [{"uuid": "o-1", "published": "2026-03-01T10:00:00Z", "eventType": "user.account.privilege.grant", "displayMessage": "Grant user privilege", "severity": "WARN", "actor": {"alternateId": "ann@example.com", "type": "User"}, "client": {"ipAddress": "203.0.113.9"}, "outcome": {"result": "SUCCESS"}, "target": [{"type": "User", "alternateId": "bob@example.com"}]}]}}`,
			`okta-system-log | Grant user privilege by ann@example.com on bob@example.com | 3 | 2026-03-01T10:00:00Z |  | user/actor=ann@example.com user/target=bob@example.com | ip/source=203.0.113.9 | `,
		},
		"Darktrace, a breach of a device": {
			`{"pbid": 5, "time": 1772359200000, "score": 0.72, "breachUrl": "https://dt.example/#modelbreach/5", "model": {"now": {"name": "Compromise::Beaconing", "category": "Suspicious", "description": "d"}}, "device": {"did": 9, "ip": "10.0.0.5", "hostname": "ws-1"}, "mitreTechniques": [{"technique": "Web Protocols", "techniqueID": "T1071.001"}]}`,
			`darktrace | Compromise: Beaconing on ws-1 | 4 | 2026-03-01T10:00:00Z | T1071.001 | host/source=ws-1 | ip/source=10.0.0.5 | https://dt.example/#modelbreach/5`,
		},
		"Defender for Cloud, an alert": {
			`{"id": "/subscriptions/s/providers/Microsoft.Security/locations/x/alerts/dc-1", "name": "dc-1", "type": "Microsoft.Security/Locations/alerts", "properties": {"systemAlertId": "dc-1", "alertDisplayName": "Suspicious process", "severity": "High", "startTimeUtc": "2026-03-01T10:00:00Z", "compromisedEntity": "vm-1", "techniques": ["T1059"], "alertUri": "https://portal.azure.com/z"}}`,
			`microsoft-defender-cloud | Suspicious process: vm-1 | 4 | 2026-03-01T10:00:00Z | T1059 | host/target=vm-1 |  | https://portal.azure.com/z`,
		},
		"Entra ID Protection, a risk detection": {
			`{"id": "rd-1", "riskEventType": "anonymizedIPAddress", "riskLevel": "medium", "riskState": "atRisk", "userPrincipalName": "ann@example.com", "ipAddress": "203.0.113.9", "activityDateTime": "2026-03-01T10:00:00Z", "detectedDateTime": "2026-03-01T10:01:00Z", "additionalInfo": "[{\"Key\":\"mitreTechniques\",\"Value\":\"T1090.003,T1078\"}]"}`,
			`entra-id-risk | Risk anonymizedIPAddress for ann@example.com | 3 | 2026-03-01T10:00:00Z | T1090.003,T1078 | user/target=ann@example.com | ip/source=203.0.113.9 | `,
		},
		"AWS, a request to a load balancer": {
			`{"type": "https", "timestamp": "2026-03-01T10:00:00Z", "elb": "app/x/1", "clientIp": "203.0.113.9", "targetIp": "10.0.0.5", "elbStatusCode": 200, "requestHttpMethod": "GET", "requestUrl": "https://shop.example/a"}`,
			`aws-load-balancer | Load balancer request GET https://shop.example/a from 203.0.113.9 | 1 | 2026-03-01T10:00:00Z |  | cloud_resource/target=app/x/1 | ip/destination=10.0.0.5 ip/source=203.0.113.9 url/destination=https://shop.example/a | `,
		},
		"Cloudflare, an audit log": {
			`{"ActionResult": true, "ActionType": "token_create", "ActorEmail": "ann@example.com", "ActorIP": "203.0.113.9", "ID": "ca-1", "ResourceType": "token", "When": "2026-03-01T10:00:00Z"}`,
			`cloudflare-audit | Cloudflare: token_create by ann@example.com on token | 3 | 2026-03-01T10:00:00Z |  | cloud_resource/target=token user/actor=ann@example.com | ip/source=203.0.113.9 | `,
		},
		"Atlassian, an audit event": {
			`{"id": "at-1", "type": "events", "attributes": {"time": "2026-03-01T10:00:00Z", "action": "user_login_as_user", "actor": {"id": "1", "name": "Ann", "email": "ann@example.com"}, "context": [{"id": "2", "type": "users", "attributes": {"name": "Bob", "email": "bob@example.com"}}], "location": {"ip": "203.0.113.9"}}}`,
			`atlassian-audit | Atlassian: user login as user by ann@example.com on bob@example.com | 3 | 2026-03-01T10:00:00Z |  | cloud_resource/target=bob@example.com user/actor=ann@example.com user/target=bob@example.com | ip/source=203.0.113.9 | `,
		},
		"GitLab, an audit event by streaming": {
			`{"id": "gl-1", "author_id": 1, "author_name": "ann", "entity_id": 2, "entity_type": "Project", "entity_path": "g/p", "event_type": "project_access_token_created", "ip_address": "203.0.113.9", "created_at": "2026-03-01T10:00:00Z", "details": {"custom_message": "Created project access token"}}`,
			`gitlab-audit | GitLab: Created project access token by ann on g/p | 3 | 2026-03-01T10:00:00Z |  | cloud_resource/target=g/p user/actor=ann | ip/source=203.0.113.9 | `,
		},
		"Bitwarden, an event": {
			`{"object": "event", "type": 1602, "actingUserId": "u-1", "date": "2026-03-01T10:00:00Z", "device": 9, "ipAddress": "203.0.113.9"}`,
			`bitwarden | Bitwarden: u-1 exported the organization vault | 4 | 2026-03-01T10:00:00Z |  | user/actor=u-1 | ip/source=203.0.113.9 | `,
		},
		"Thinkst Canary, an incident": {
			`{"AlertType": "CanaryIncident", "CanaryID": "c1", "CanaryName": "fs-backup", "CanaryIP": "10.0.0.9", "CanaryPort": 22, "Description": "SSH Login Attempt", "IncidentKey": "incident:ssh:1", "SourceIP": "10.0.0.5", "Timestamp": "2026-03-01 10:00:00 (UTC)"}`,
			`thinkst-canary | SSH Login Attempt on fs-backup from 10.0.0.5 | 4 | 2026-03-01T10:00:00Z |  | host/target=fs-backup | ip/destination=10.0.0.9 ip/source=10.0.0.5 | `,
		},
		"Lacework, an alert by webhook": {
			`{"event_title": "New external connection", "event_link": "https://acme.lacework.net/ui/1", "lacework_account": "ACME", "event_source": "Agent", "event_timestamp": "2026-03-01T10:00:00Z", "event_type": "NewExternalServerDns", "event_id": "77", "event_severity": "2"}`,
			`lacework | New external connection | 4 | 2026-03-01T10:00:00Z |  |  |  | https://acme.lacework.net/ui/1`,
		},
		"Sophos Central, an event": {
			`{"id": "so-1", "customer_id": "c", "severity": "high", "when": "2026-03-01T10:00:00.000Z", "type": "Event::Endpoint::Threat::Detected", "group": "MALWARE", "name": "Malware detected: EICAR", "location": "ws-1", "source": "ann", "endpoint_id": "e-1", "endpoint_type": "computer", "source_info": {"ip": "10.0.0.5"}}`,
			`sophos-central | Malware detected: EICAR on ws-1 | 4 | 2026-03-01T10:00:00Z |  | host=ws-1 user=ann | ip/source=10.0.0.5 | `,
		},
	} {
		m := detects(t, all, []byte(c.raw))
		if m == nil {
			t.Errorf("%s: no mapping fits", name)
			continue
		}
		a, ok, err := m.Read("any", []byte(c.raw), now)
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", name, ok, err)
			continue
		}
		if d := cmp.Diff(c.want, m.ID+" | "+summary(a)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// summary is a record in one line.
func summary(a alert.Alert) string {
	role := func(kind, role string) string { return strings.TrimSuffix(kind+"/"+role, "/") }
	var entities, seen []string
	for _, e := range a.Entities {
		entities = append(entities, role(e.Kind, e.Role)+"="+e.Value)
	}
	for _, o := range a.Observables {
		seen = append(seen, role(o.Type, o.Role)+"="+o.Value)
	}
	slices.Sort(entities)
	slices.Sort(seen)
	return fmt.Sprintf("%s | %d | %s | %s | %s | %s | %s", a.Title, a.Severity, a.Time.Format("2006-01-02T15:04:05Z"),
		strings.Join(a.Techniques, ","), strings.Join(entities, " "), strings.Join(seen, " "), a.Link)
}
