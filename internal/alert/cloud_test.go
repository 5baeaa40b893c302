package alert_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"riposte/internal/alert"
	"riposte/internal/event"
	"riposte/internal/expr"
	"riposte/internal/observable"
)

// facts say what stands where in the events of one file, as read from the
// events themselves: every value at such a place must come back in the record.
// A path names fields with dots, [] means every element of a list.
type facts struct {
	file, mapping string
	not           map[int]string // lines that another mapping reads, "" for none
	time          []string       // the first that is there and is a time is the event's
	source        []string       // addresses that something came from
	user          []string       // who did it, or whom it is about
	about         []string       // entities of any kind: resources, hosts, mailboxes
	seen          []string       // observables of any type and role
	technique     []string
	named         string   // a text in which techniques stand
	severity      []string // the first that is there says it, by severities
	severities    map[string]int
}

var plainSeverity = map[string]int{"informational": 1, "info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}

// cloudFacts is the table for cloud, identity and SaaS products.
var cloudFacts = []facts{
	{file: "azure-sentinel-incident", mapping: "microsoft-sentinel", time: []string{"properties.createdTimeUtc"}, severity: []string{"properties.severity"}, severities: plainSeverity},
	{file: "microsoft-defender-incident", mapping: "microsoft-defender-incident", time: []string{"alerts[].firstActivity"}, user: []string{"alerts[].entities[].userPrincipalName"}, about: []string{"alerts[].entities[].mailboxAddress"}, severity: []string{"severity"}, severities: plainSeverity},
	{file: "microsoft-defender-atp-alert", mapping: "microsoft-defender-endpoint", not: map[int]string{2: ""}, time: []string{"firstEventTime"}, user: []string{"evidence[].userPrincipalName"}, about: []string{"computerDnsName"}, technique: []string{"mitreTechniques[]"}, severity: []string{"severity"}, severities: plainSeverity},
	{file: "panther-microsoftgraph-securityalertv2", mapping: "microsoft-graph-alert-v2", time: []string{"firstActivityDateTime"}, source: []string{"evidence[].ipAddress"}, user: []string{"evidence[].userAccount.userPrincipalName"}, severity: []string{"severity"}, severities: plainSeverity},
	{file: "panther-aws-guardduty", mapping: "aws-guardduty", named: "description", time: []string{"service.eventFirstSeen"}, severity: []string{"severity"}, severities: map[string]int{"8": 4, "9": 5}},
	{file: "panther-aws-securityfindingformat", mapping: "aws-security-hub", time: []string{"CreatedAt"}, source: []string{"Action.AwsApiCallAction.RemoteIpDetails.IpAddressV4"}, about: []string{"Resources[].Id"}, severity: []string{"Severity.Label"}, severities: plainSeverity},
	{file: "panther-aws-cloudtrail", mapping: "aws-cloudtrail", time: []string{"eventTime", "eventtime", "p_event_time"}, source: []string{"sourceIPAddress"}, user: []string{"userIdentity.userName"}, about: []string{"resources[].arn", "resources[].ARN"}},
	{file: "panther-aws-wafwebacl", mapping: "aws-waf", time: []string{"timestamp"}, source: []string{"httpRequest.clientIp"}, about: []string{"webaclId"}, severity: []string{"action"}, severities: map[string]int{"BLOCK": 2, "ALLOW": 1}},
	{file: "panther-aws-vpcdns", mapping: "aws-vpc-dns", time: []string{"query_timestamp"}, source: []string{"srcaddr"}, about: []string{"srcids.instance"}},
	{file: "panther-aws-vpcflow", mapping: "aws-vpc-flow", source: []string{"srcAddr"}, seen: []string{"dstAddr"}},
	{file: "panther-aws-s3serveraccess", mapping: "aws-s3-access", time: []string{"time"}, source: []string{"remoteip"}, user: []string{"requester"}},
	{file: "panther-amazon-eks-audit", mapping: "kubernetes-audit", time: []string{"requestReceivedTimestamp"}, source: []string{"sourceIPs[]"}, user: []string{"user.username"}},
	{file: "secops-aws-eks", mapping: "kubernetes-log", time: []string{"attributes.time"}, about: []string{"resource_attributes.k8s.node.name"}},
	{file: "panther-aws-bedrockmodelinvocation", mapping: "aws-bedrock", time: []string{"timestamp"}, user: []string{"identity.arn"}, about: []string{"modelId"}},
	{file: "google-scc-finding", mapping: "google-scc", time: []string{"finding.eventTime"}, source: []string{"finding.sourceProperties.properties.attempts[].sourceIp"}, user: []string{"finding.sourceProperties.properties.principalEmail", "finding.sourceProperties.properties.attempts[].username"},
		about: []string{"finding.resourceName"}, technique: []string{"finding.sourceProperties.contextUris.mitreUri.url"}, severity: []string{"finding.severity", "finding.sourceProperties.SeverityLevel", "finding.sourceProperties.detectionPriority"}, severities: plainSeverity},
	{file: "panther-gcp-auditlog", mapping: "gcp-audit", not: map[int]string{27: ""}, time: []string{"timestamp", "protoPayload.requestMetadata.requestAttributes.time", "protoPayload.timestamp"}, source: []string{"protoPayload.requestMetadata.callerIp", "protoPayload.requestMetadata.callerIP"}, user: []string{"protoPayload.authenticationInfo.principalEmail"}, about: []string{"protoPayload.resourceName"}},
	{file: "panther-gcp-httploadbalancer", mapping: "gcp-load-balancer", time: []string{"timestamp"}, source: []string{"httpRequest.remoteIp"}},
	{file: "panther-gsuite-activityevent", mapping: "google-workspace", time: []string{"id.time", "p_event_time"}, source: []string{"ipAddress", "parameters.message_info.connection_info.client_ip"}, user: []string{"actor.email", "parameters.affected_email_address"}},
	{file: "panther-okta-systemlog", mapping: "okta-system-log", time: []string{"published", "p_event_time"}, source: []string{"client.ipAddress"}},
	{file: "panther-auth0-events", mapping: "auth0", time: []string{"data.date"}, source: []string{"data.ip", "data.details.request.ip"}, user: []string{"data.details.request.auth.user.email", "data.user_name"}},
	{file: "panther-duo-administrator", mapping: "duo-administrator", time: []string{"isotimestamp"}, user: []string{"username"}},
	{file: "panther-duo-authentication", mapping: "duo-authentication", source: []string{"access_device.ip"}, user: []string{"user.name"}, seen: []string{"auth_device.ip"}, severity: []string{"result"}, severities: map[string]int{"fraud": 4, "denied": 2}},
	{file: "panther-onelogin-events", mapping: "onelogin", time: []string{"p_event_time"}, source: []string{"ipaddr"}, user: []string{"actor_user_name", "user_name"}},
	{file: "panther-onepassword-itemusage", mapping: "onepassword", time: []string{"timestamp"}, source: []string{"client.ip_address"}, user: []string{"user.email"}, about: []string{"item_uuid"}},
	{file: "panther-onepassword-signinattempt", mapping: "onepassword", time: []string{"timestamp"}, source: []string{"client.ip_address"}, user: []string{"target_user.email"}, severity: []string{"category"}, severities: map[string]int{"success": 1, "credentials_failed": 2}},
	{file: "panther-pushsecurity-activity", mapping: "push-security", time: []string{"new.loginTimestamp"}, source: []string{"new.sourceIpAddress"}, user: []string{"new.email"}},
	{file: "panther-pushsecurity-entities", mapping: "push-security", time: []string{"timestamp", "new.creationTimestamp"}, user: []string{"new.email"}, about: []string{"new.appType"}},
	{file: "panther-azure-audit", mapping: "entra-id-signin", not: map[int]string{1: "entra-id-audit", 2: "entra-id-audit", 11: "entra-id-audit", 12: "entra-id-audit"}, time: []string{"properties.createdDateTime", "properties.activityDateTime", "time"}, source: []string{"callerIpAddress", "calleripaddress", "properties.ipAddress", "properties.initiatedBy.user.ipAddress"}, user: []string{"properties.userPrincipalName", "properties.initiatedBy.user.userPrincipalName"}},
	{file: "panther-azure-monitoractivity", mapping: "azure-activity", time: []string{"time"}, source: []string{"callerIpAddress", "identity.claims.ipaddr"}, user: []string{"identity.claims.name"}, about: []string{"resourceId"}},
	{file: "panther-microsoft365-audit-azureactivedirectory", mapping: "microsoft-365-audit", time: []string{"CreationTime"}, user: []string{"UserId", "ObjectId"}},
	{file: "panther-microsoft365-audit-exchange", mapping: "microsoft-365-audit", time: []string{"creationtime"}, source: []string{"clientip"}, user: []string{"userid"}},
	{file: "panther-microsoft365-audit-sharepoint", mapping: "microsoft-365-audit", time: []string{"CreationTime"}, source: []string{"ClientIP"}, user: []string{"UserId", "TargetUserOrGroupName"}, about: []string{"SiteUrl", "SourceRelativeUrl"}},
	{file: "panther-microsoftintune-auditlogs", mapping: "intune-audit", user: []string{"identity"}, about: []string{"properties.TargetDisplayNames[]"}},
	{file: "panther-github-audit", mapping: "github-audit", time: []string{"at_sign_timestamp", "created_at"}, user: []string{"actor", "user"}, about: []string{"repo", "repository"}},
	{file: "panther-github-webhook", mapping: "github-webhook", user: []string{"sender.login"}, about: []string{"repository.full_name"}},
	{file: "panther-slack-auditlogs", mapping: "slack-audit", time: []string{"date_create", "p_event_time"}, source: []string{"context.ip_address"}, user: []string{"actor.user.email"}},
	{file: "panther-zoom-operation", mapping: "zoom-operation", time: []string{"time"}, user: []string{"operator"}},
	{file: "panther-zendesk-audit", mapping: "zendesk-audit", time: []string{"created_at"}, source: []string{"ip_address"}, user: []string{"actor_name"}, about: []string{"source_label"}},
	{file: "panther-box-event", mapping: "box-event", source: []string{"ip_address"}, user: []string{"created_by.login"}, about: []string{"source.item_name"}},
	{file: "panther-dropbox-teamevent", mapping: "dropbox-team", time: []string{"timestamp"}, source: []string{"origin.geo_location.ip_address"}, user: []string{"actor.user.email", "participants[].user.email"}, about: []string{"assets[].path.contextual"}},
	{file: "panther-asana-audit", mapping: "asana-audit", time: []string{"created_at"}, source: []string{"context.client_ip_address"}, user: []string{"actor.email"}, about: []string{"resource.email"}},
	{file: "panther-notion-auditlogs", mapping: "notion-audit", time: []string{"event.timestamp"}, source: []string{"event.ip_address"}, user: []string{"event.actor.person.email", "event.details.member.person.email"}},
	{file: "panther-salesforce-login", mapping: "salesforce-events", time: []string{"TIMESTAMP_DERIVED"}, source: []string{"SOURCE_IP", "CLIENT_IP"}, user: []string{"USER_NAME"}},
	{file: "panther-salesforce-bulkapiresulteventstore", mapping: "salesforce-events", time: []string{"TIMESTAMP"}, source: []string{"SOURCE_IP"}, user: []string{"USER_NAME"}, about: []string{"ENTITY_NAME"}},
	{file: "panther-snowflake-loginhistory", mapping: "snowflake-login", time: []string{"EVENT_TIMESTAMP"}, source: []string{"CLIENT_IP"}, user: []string{"USER_NAME"}},
	{file: "panther-snowflake-queryhistory", mapping: "snowflake-query", time: []string{"p_event_time"}, user: []string{"USER_NAME"}},
	{file: "panther-databricks-audit", mapping: "databricks-audit", time: []string{"timestamp"}, source: []string{"sourceIPAddress"}, user: []string{"userIdentity.email", "requestParams.targetUserName"}},
	{file: "panther-mongodb-organizationevent", mapping: "mongodb-atlas", time: []string{"created"}, source: []string{"remoteAddress"}, user: []string{"username", "targetUsername"}},
	{file: "panther-docusign-connect", mapping: "docusign-connect", time: []string{"generatedDateTime"}, about: []string{"data.envelopeId"}, seen: []string{"data.senderEmail", "data.email"}},
	{file: "panther-cloudflare-firewall", mapping: "cloudflare-firewall", time: []string{"Datetime"}, source: []string{"ClientIP"}, about: []string{"ClientRequestHost"}},
	{file: "panther-cloudflare-httprequest", mapping: "cloudflare-http", time: []string{"EdgeStartTimestamp"}, source: []string{"ClientIP"}, about: []string{"ClientRequestHost"}},
	{file: "panther-netskope-audit", mapping: "netskope-audit", time: []string{"timestamp"}, user: []string{"user"}},
	{file: "panther-zscaler-zia-adminauditlog", mapping: "zscaler-zia-audit", time: []string{"event.time"}, source: []string{"event.clientip"}, user: []string{"event.adminid"}},
	{file: "panther-tailscale-audit", mapping: "tailscale-audit", time: []string{"time"}, user: []string{"event.actor.loginName"}, about: []string{"event.target.name"}},
	{file: "panther-gravitational-teleportaudit", mapping: "teleport-audit", time: []string{"time"}, source: []string{"src_addr"}, user: []string{"user", "identity.user", "login"}, about: []string{"path", "server_hostname"}, seen: []string{"dst_addr"}},
	{file: "panther-snyk-groupaudit", mapping: "snyk-audit", time: []string{"created"}, user: []string{"content.email"}},
	{file: "panther-tines-audit", mapping: "tines-audit", time: []string{"created_at"}, source: []string{"request_ip"}, user: []string{"user_email"}},
	{file: "panther-sublime-audit", mapping: "sublime-audit", time: []string{"created_at"}, source: []string{"data.request.ip"}, user: []string{"created_by.email_address"}},
	{file: "panther-openai-audit", mapping: "openai-audit", time: []string{"effective_at"}, source: []string{"actor.session.ip_address"}, user: []string{"actor.session.user.email", "actor.api_key.user.email"}},
	{file: "panther-anthropic-activity", mapping: "anthropic-activity", time: []string{"created_at"}, source: []string{"actor.ip_address"}, user: []string{"actor.email_address", "deleted_user_email"}},
	{file: "panther-tracebit-alert", mapping: "tracebit", time: []string{"timestamp"}, source: []string{"event.request.ip"}, about: []string{"canary.provider_id"}, severity: []string{"severity"}, severities: plainSeverity},
	{file: "panther-upwind-detections", mapping: "upwind", time: []string{"first_seen_time"}, about: []string{"resource.name"}, technique: []string{"mitre_attacks[].technique_id"}, severity: []string{"severity"}, severities: plainSeverity},
	{file: "panther-socradar-incidents", mapping: "socradar", time: []string{"date"}, user: []string{"content.username"}, about: []string{"content.computer_name"}, seen: []string{"content.phishing_domain", "content.ip_address"}, severity: []string{"alarm_risk_level"}, severities: plainSeverity},
	{file: "panther-appomni-alerts", mapping: "appomni", time: []string{"timestamp"}, technique: []string{"rule.threat.technique.id[]"}, severity: []string{"event.severity"}, severities: map[string]int{"2": 3}},
	{file: "panther-axonius-activity", mapping: "axonius-activity", time: []string{"time"}, source: []string{"event.params.ip"}, user: []string{"event.user", "event.params.user_name"}},
	{file: "panther-carbonblack-audit", mapping: "carbonblack-audit", time: []string{"eventTime"}, source: []string{"clientIp"}, user: []string{"loginName"}},
	{file: "panther-ciscoumbrella-dns", mapping: "cisco-umbrella-dns", time: []string{"timestamp"}, source: []string{"internalIp"}},
	{file: "panther-panther-audit", mapping: "panther-audit", time: []string{"timestamp", "p_event_time"}, source: []string{"sourceIP"}, user: []string{"actor.attributes.email"}},
	{file: "panther-standard-mixed", mapping: "panther-query", not: map[int]string{25: "", 27: ""}, time: []string{"recent_last_event", "recent_policy_last_event", "recent_enrollment_last_event"}, user: []string{"admin_email"}, about: []string{"device_id"}},
	{file: "panther-wiz-audit", mapping: "wiz-audit", time: []string{"timestamp"}, source: []string{"sourceIP", "sourceip"}, user: []string{"user.name"}},
	{file: "panther-orca-alert", mapping: "orca", time: []string{"state.created_at"}, about: []string{"asset_unique_id"}, technique: []string{"data.mitre_techniques[]"}, severity: []string{"state.risk_level"}, severities: plainSeverity},
	{file: "orca-security-alert", mapping: "orca", not: map[int]string{1: "", 3: "", 4: "", 5: ""}, time: []string{"alert.state.created_at", "data.create_time"}, about: []string{"data.asset_unique_id"}, severity: []string{"alert.state.severity"}, severities: map[string]int{"hazardous": 3}},
	{file: "abnormal-security-threat", mapping: "abnormal-security"},
	{file: "darktrace-alert", mapping: "darktrace", time: []string{"time"}},
	{file: "insightidr-alert", mapping: "rapid7-insightidr", time: []string{"alerted_at", "evidences[].evented_at"}, user: []string{"actors[].display_name"}, technique: []string{"rule.mitre_tcodes[]"}, severity: []string{"priority"}, severities: plainSeverity},
	{file: "proofpoint-tap-event", mapping: "proofpoint-tap", time: []string{"clickTime", "threatsInfoMap[].threatTime"}, source: []string{"senderIP", "clickIP"}, about: []string{"recipient", "toAddresses[]"}, seen: []string{"fromAddress[]", "sender"}},
	{file: "panther-proofpoint-event", mapping: "proofpoint-on-demand", time: []string{"messageTime"}, source: []string{"senderIP"}, about: []string{"recipient[]"}, seen: []string{"sender"}},
	{file: "secops-jamf", mapping: "jamf-protect", time: []string{"time"}, source: []string{"host.ips[]"}, about: []string{"host.hostname", "process.executable.path"}, seen: []string{"process.executable.sha256"}, severity: []string{"match.severity"}, severities: map[string]int{"0": 1, "1": 2, "2": 3, "3": 4}},
	{file: "secops-hashicorp-boundary", mapping: "hashicorp-boundary"},
}

// everyMapping is the set of the mappings that are shipped.
func everyMapping(t testing.TB) *alert.Mappings {
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

// detects names the mapping that reads an event, nil where only a generic one
// would.
func detects(t testing.TB, all *alert.Mappings, raw []byte) *alert.Mapping {
	t.Helper()
	e, err := event.Read(raw, now)
	if err != nil {
		t.Fatal(err)
	}
	m := all.Detect(e)
	if m == nil || strings.HasPrefix(m.ID, "generic-") {
		return nil
	}
	return m
}

func TestCloudEventsAreReadAsTheirFieldsSay(t *testing.T) {
	t.Parallel()
	dir, all := corpora(t), everyMapping(t)
	total := 0
	for _, f := range cloudFacts {
		total += events(t, filepath.Join(dir, f.file+".jsonl"), func(n int, raw []byte) {
			want, other := f.not[n]
			if !other {
				want = f.mapping
			}
			place := fmt.Sprintf("%s:%d", f.file, n)
			object, err := expr.DecodeJSON(raw)
			if err != nil {
				t.Fatalf("%s: %v", place, err)
			}
			m := detects(t, all, raw)
			if m == nil {
				if want != "" {
					t.Errorf("%s: no mapping fits, want %s", place, want)
				}
				return
			}
			if m.ID != want {
				t.Errorf("%s: %s fits, want %q", place, m.ID, want)
				return
			}
			a, ok, err := m.Read("any", raw, now)
			if err != nil || !ok {
				t.Errorf("%s: %v, %v", place, ok, err)
				return
			}
			f.check(t, place, object, a)
		})
	}
	t.Logf("%d events of %d files", total, len(cloudFacts))
}

// check compares a record with what stands in its event.
func (f facts) check(t *testing.T, place string, event any, a alert.Alert) {
	t.Helper()
	if want, ok := f.when(event); ok && !a.Time.Equal(want) {
		t.Errorf("%s: time is %v, want %v", place, a.Time, want)
	}
	kinds := func(v string, kinds ...string) bool {
		return slices.ContainsFunc(a.Entities, func(e alert.Entity) bool {
			return (len(kinds) == 0 || slices.Contains(kinds, e.Kind)) && (e.Value == v || strings.HasSuffix(e.Value, v))
		})
	}
	for _, v := range at(event, f.source...) {
		ip, err := observable.Parse("ip", v)
		if err == nil && !strings.HasPrefix(ip.Value, "0") && !slices.Contains(a.Observables, alert.Observable{Type: "ip", Value: ip.Value, Role: "source"}) {
			t.Errorf("%s: %s is not among the sources %v", place, v, a.Observables)
		}
	}
	for _, v := range at(event, f.seen...) {
		if !slices.ContainsFunc(a.Observables, func(o alert.Observable) bool { return strings.EqualFold(o.Value, v) }) {
			t.Errorf("%s: %s is not among the observables %v", place, v, a.Observables)
		}
	}
	for _, v := range at(event, f.user...) {
		if !kinds(v, "user", "mailbox") {
			t.Errorf("%s: user %s is not among %v", place, v, a.Entities)
		}
	}
	for _, v := range at(event, f.about...) {
		if !kinds(v) {
			t.Errorf("%s: %s is not among %v", place, v, a.Entities)
		}
	}
	for _, id := range alert.Techniques(toList(at(event, f.technique...))) {
		if !slices.Contains(a.Techniques, id) {
			t.Errorf("%s: technique %s is not among %v", place, id, a.Techniques)
		}
	}
	if f.named != "" && strings.HasPrefix(a.Title, "Potential") {
		for _, id := range alert.Techniques(toList(at(event, f.named))) {
			if !slices.Contains(a.Techniques, id) {
				t.Errorf("%s: technique %s is not among %v", place, id, a.Techniques)
			}
		}
	}
	for _, path := range f.severity {
		if v := at(event, path); len(v) > 0 {
			if want, ok := f.severities[strings.ToLower(v[0])]; ok && a.Severity != want {
				t.Errorf("%s: severity is %d, want %d for %s", place, a.Severity, want, v[0])
			} else if want, ok := f.severities[v[0]]; ok && a.Severity != want {
				t.Errorf("%s: severity is %d, want %d for %s", place, a.Severity, want, v[0])
			}
			break
		}
	}
}

// when is the first of the places that holds a time.
func (f facts) when(event any) (time.Time, bool) {
	for _, path := range f.time {
		for _, v := range at(event, path) {
			if t, err := alert.Time(v); err == nil && t.Year() > 1970 {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// at lists the texts and numbers at some places of an event. A name may hold
// dots itself: a place such as k8s.node.name is then one name.
func at(event any, paths ...string) []string {
	var out []string
	for _, path := range paths {
		for _, v := range walk(event, path) {
			out = append(out, alert.Texts(v)...)
		}
	}
	return out
}

func walk(v any, path string) []any {
	if path == "" {
		return []any{v}
	}
	if rest, ok := strings.CutPrefix(path, "[]"); ok {
		var out []any
		list, _ := v.([]any)
		for _, e := range list {
			out = append(out, walk(e, strings.TrimPrefix(rest, "."))...)
		}
		return out
	}
	object, _ := v.(map[string]any)
	if x, ok := object[path]; ok {
		return []any{x}
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return nil
	}
	x, ok := object[path[:end]]
	if !ok {
		return nil
	}
	return walk(x, strings.TrimPrefix(path[end:], "."))
}

func toList(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}
