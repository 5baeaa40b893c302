package event

// keyName is what a key stands for: the lower the rank, the surer.
type keyName struct {
	fact string
	rank int
	key  string
}

// keyNames are the usual names of keys, in small letters and digits only. Those
// of a nested key are its parent's and its own together.
var keyNames = index([]struct {
	fact  string
	names []string
}{
	{"src_ip", []string{"src", "srcip", "sourceip", "sourceaddress", "sourceipaddress", "srcaddr", "srcaddress", "saddr", "sip", "sourceaddr", "identsrc",
		"idorigh", "attackerip", "attackeraddress", "clientip", "clientaddress", "clientipaddress", "clientaddr", "cip", "remoteip", "remoteipaddress", "remoteaddr", "remoteaddress", "rip",
		"rhost", "peerip", "peeraddress", "remip", "callerip", "calleripaddress", "principalip", "actoripaddress", "actorip", "ipaddress", "ipaddr", "userip", "originip", "httpclientip", "xforwardedfor",
		"viewerip", "client", "deviceipaddress", "nasipaddress", "ip", "ipv4", "hostip", "c6a2", "addr", "fromip", "loginip", "externalip", "internalip"}},
	{"dst_ip", []string{"dst", "dstip", "destinationip", "destip", "destinationaddress", "destinationipaddress", "destaddress", "dstaddr", "dstaddress", "daddr", "dip", "destination",
		"idresph", "targetip", "targetaddress", "serverip", "serveraddress", "sourceserverip", "lip", "locip", "localip", "localaddress", "c6a3", "toip", "victimip", "cnchost", "destinationhost"}},
	{"ip", []string{"dvc", "deviceaddress", "origin", "systemip", "fw", "nat", "assignip", "framedipaddress", "natsrcip", "natdstip", "translatedaddress", "sourcetranslatedaddress", "destinationtranslatedaddress", "agentip", "remotehost", "externaladdress"}},
	{"src_port", []string{"spt", "srcport", "sourceport", "sport", "clientport", "remoteport", "remport", "idorigp", "localport"}},
	{"dst_port", []string{"dpt", "dstport", "destinationport", "destport", "dport", "serverport", "targetport", "locport", "idrespp", "port"}},
	{"src_host", []string{"shost", "srchost", "sourcehost", "sourcehostname", "srcname", "srchostname", "clienthostname", "clienthost", "clientname", "workstationname", "workstation", "sourcename"}},
	{"dst_host", []string{"dhost", "dsthost", "destinationhostname", "desthost", "desthostname", "dstname", "targethost", "targethostname", "targetserver", "servername", "server"}},
	{"host", []string{"hostname", "hostfqdn", "computername", "computer", "machinename", "machine", "devicename", "endpointname", "dvchost", "identhostname", "hostnamename", "agentname", "devname",
		"devicehostname", "assetname", "assethostname", "vmname", "systemname", "computerdnsname", "dnshostname", "fqdn", "host", "device"}},
	{"device", []string{"reportingdevice", "observername", "sensor", "sensorname"}},
	{"user", []string{"suser", "srcuser", "sourceuser", "sourceusername", "username", "user", "usrname", "userprincipalname", "upn", "userid", "useridentity", "accountname", "account", "acct", "loginname", "login",
		"administrator", "admin", "actorname", "actor", "actoremail", "actorlogin", "actoralternateid", "principal", "principalemail", "requester", "initiatedby", "endpointuser", "subjectusername", "applicationuser", "performedby",
		"authuser", "remoteuser", "csusername", "callinguser", "ruser", "uname", "euser", "runas", "author", "useremail", "calluser", "xauthuser", "user1", "unauthuser", "userdisplayname", "dataowner", "deviceowner"}},
	{"target_user", []string{"duser", "dstuser", "destinationuser", "destinationusername", "targetuser", "targetusername", "targetaccount", "targetaccountname", "recipientuser", "samaccountname", "membername"}},
	{"process", []string{"processname", "process", "procname", "sproc", "dproc", "deviceprocessname", "sourceprocessname", "image", "exe", "comm", "processpath", "program", "executable", "newprocessname", "processimage", "parentimage", "imagepath", "app", "application", "service", "applicationname"}},
	{"command", []string{"commandline", "command", "cmdline", "cmd", "processcommandline", "scriptblocktext", "execcommand", "proctitle", "query", "sqlstatement"}},
	{"file", []string{"filepath", "fname", "filename", "targetfilename", "file", "path", "targetpath", "filefullpath", "oldfilepath", "childpath", "fullpath", "objectname"}},
	{"url", []string{"request", "requesturl", "url", "httpurl", "uri", "uripath", "fullurl", "urloriginal", "targeturl", "link", "clientrequesturi", "requesturi"}},
	{"domain", []string{"domainname", "dnsdomain", "destinationdnsdomain", "queryname", "dnsquery", "hostheader", "httphost", "sni", "tlssni", "clientrequesthost", "dstdomain", "urldomain", "qname", "rrname"}},
	{"mac", []string{"smac", "srcmac", "sourcemac", "mac", "macaddress", "sourcemacaddress", "clientmac", "dmac", "dstmac", "callingstationid", "devmac", "mastersrcmac"}},
	{"hash", []string{"sha256", "filehash", "hashsha256", "filehashsha256", "sha256hash", "filesha256", "sha1", "filesha1", "hashsha1", "trendmicrodsfilesha1", "md5", "filemd5", "hashmd5", "hash", "analyticscksum", "checksum", "trendmicrodsfilemd5", "hashes", "filehashmd5"}},
	{"sender", []string{"sender", "senderemail", "from", "mailfrom", "senderaddress", "fromaddress", "emailfrom", "envelopefrom"}},
	{"recipient", []string{"recipient", "recipients", "to", "mailto", "rcptto", "recipientaddress", "toaddress", "recipientemail", "emailto", "rcpt"}},
	{"rule_id", []string{"ruleid", "signatureid", "sigid", "sid", "eventid", "eventcode", "attackid", "virusid", "threatid", "alertid", "msgid", "messageid", "logid", "evecode", "detectionid", "policyid", "fwruleid", "ruleuid", "id", "errorcode", "typeid"}},
	{"rule", []string{"rulename", "signature", "signaturename", "attack", "attackname", "attacktype", "threatname", "virus", "virusname", "malwarename", "malware", "alertname", "detectionname", "sname", "eventname", "violations", "iocname",
		"threat", "policyname", "alerttype", "rule", "alert", "sigset", "logdesc", "attackinfo", "protectionname", "operation", "operationname", "detname", "actionvalue"}},
	{"action", []string{"act", "action", "deviceaction", "actiontaken", "ruleaction", "disposition", "verdict", "blocked", "requeststatus", "craction", "firewallmatchesactions"}},
	{"outcome", []string{"outcome", "eventoutcome", "result", "status", "auditstatus", "res", "success", "categoryoutcome", "authenticationstatus"}},
	{"category", []string{"category", "cat", "eventcategory", "devicecategory", "alertcategory", "catdesc", "subcategory", "eventtype", "type", "subtype", "logsubtype", "devicefacility", "module", "class", "threatcategory", "objecttype"}},
	{"protocol", []string{"proto", "protocol", "transport", "transportprotocol", "ipprotocol", "networkprotocol"}},
	{"id", []string{"externalid", "eventuid", "eventuuid", "uuid", "guid", "loguid", "incidentid", "alertuuid", "requestid", "uniqueid", "eventlogid", "sequencenumber", "sequencenum", "recordid", "eventrecordid", "transactionid", "insertid", "reqid", "rayid", "adminauditid"}},
	{"message", []string{"msg", "message", "eventmessage", "logmessage", "description", "desc", "summary", "details", "detail", "reason", "text", "rawmessage", "alertremarks", "additionalinfo", "subject", "note", "comment"}},
	{"status", []string{"httpstatus", "statuscode", "httpresponse", "responsecode", "httpstatuscode", "scstatus", "edgeresponsestatus"}},
	{"method", []string{"requestmethod", "httpmethod", "method", "csmethod", "clientrequestmethod", "reqmethod"}},
	{"severity", []string{"severity", "sev", "severityname", "severitylevel", "severitytext", "alertseverity", "eventseverity", "crlevel", "threatseverity", "threatlevel", "alertlevel", "risklevel", "risk", "level", "loglevel", "pri", "priority", "criticality", "urgency", "importance", "severityvalue", "apprisk", "securitylevel"}},
	{"time", []string{"rt", "eventtime", "eventtimestamp", "eventtimeiso", "timestamp", "devicereceipttime", "devtime", "deviceeventtime", "utctime", "systemtime", "occurred", "occured", "occurredat", "createdat", "creationtime", "starttime", "start", "time", "datetime", "logtime", "generatedtime", "ts", "startat", "begintime", "receivedtime", "alerttimestamp", "lastupdated", "eventdatetime", "timegenerated", "detecttime", "detectiontime", "t", "end", "endtime", "stamp", "logtimestamp"}},
	{"date", []string{"date", "logdate", "eventdate"}},
	{"product", []string{"product", "productname", "vendorproduct", "deviceproduct", "fwsubproduct"}},
	{"timezone", []string{"tz", "timezone"}},
})

func index(facts []struct {
	fact  string
	names []string
}) map[string]keyName {
	out := map[string]keyName{}
	for _, f := range facts {
		for rank, name := range f.names {
			if _, ok := out[name]; !ok {
				out[name] = keyName{f.fact, rank, name}
			}
		}
	}
	return out
}
