package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

var now = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// shown is an event in one line: format, header and payload.
func shown(e Event) string {
	h, _ := json.Marshal(e.Syslog)
	v, _ := json.Marshal(e.Value)
	return string(e.Format) + " " + string(h) + " " + string(v)
}

func TestHeadersAreReadHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"RFC 5424":              {`<165>1 2026-01-02T03:04:05.5Z fw1 app 77 ID47 [a@1 x="1 \" \]"][b y="2"] hello`, `{"app":"app","facility":"local4","host":"fw1","level":"notice","msgid":"ID47","pid":"77","sd":{"a@1":{"x":"1 \" ]"},"b":{"y":"2"}},"severity":5,"time":"2026-01-02T03:04:05.5Z"}`},
		"RFC 5424, nothing":     {`<165>1 - - - - - - hello`, `{"facility":"local4","level":"notice","severity":5}`},
		"RFC 5424, no PRI":      {`1 2026-01-02T03:04:05Z fw1 app 77 - - hello`, `{"app":"app","host":"fw1","pid":"77","time":"2026-01-02T03:04:05Z"}`},
		"RFC 5424, no version":  {`<165> 2026-01-02T03:04:05+02:00 fw1 app - - - hello`, `{"app":"app","facility":"local4","host":"fw1","level":"notice","severity":5,"time":"2026-01-02T01:04:05Z"}`},
		"RFC 3164":              {`<34>Oct 11 22:14:15 fw1 su[7]: hello`, `{"app":"su","facility":"auth","host":"fw1","level":"critical","pid":"7","severity":2,"time":"2025-10-11T22:14:15Z"}`},
		"a length before it":    {`33 <34>Oct 11 22:14:15 fw1 su: hello`, `{"app":"su","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2025-10-11T22:14:15Z"}`},
		"no PRI":                {`Feb  1 22:14:15 fw1 su: hello`, `{"app":"su","host":"fw1","time":"2025-02-01T22:14:15Z"}`},
		"no host":               {`<34>Feb  1 22:14:15 su[7]: hello`, `{"app":"su","facility":"auth","level":"critical","pid":"7","severity":2,"time":"2025-02-01T22:14:15Z"}`},
		"a year":                {`<34>Feb  1 2019 22:14:15 fw1 su: hello`, `{"app":"su","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2019-02-01T22:14:15Z"}`},
		"an ISO time":           {`<34>2026-01-02T03:04:05.000123-0300 fw1 su: hello`, `{"app":"su","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2026-01-02T06:04:05.000123Z"}`},
		"Cisco's sequence":      {`<189>45: *Mar  1 00:00:59.123 UTC: hello`, `{"facility":"local7","level":"notice","severity":5,"time":"2025-03-01T00:00:59.123Z"}`},
		"Cisco's host":          {`<166>Jan 02 2026 03:04:05 fw1 : hello`, `{"facility":"local4","host":"fw1","level":"informational","severity":6,"time":"2026-01-02T03:04:05Z"}`},
		"behind a relay":        {`<13>Jan  2 03:04:05 relay1 Jan  2 03:04:06 fw1 su: hello`, `{"app":"su","facility":"user","host":"fw1","level":"notice","relay":"relay1","severity":5,"time":"2026-01-02T03:04:06Z"}`},
		"a byte order mark":     {"\xef\xbb\xbf<34>1 2026-01-02T03:04:05Z fw1 app - - - \xef\xbb\xbfhello", `{"app":"app","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2026-01-02T03:04:05Z"}`},
		"a web server's":        {`[Tue Sep 30 14:25:44.8 2014] hello`, `{"time":"2014-09-30T14:25:44.8Z"}`},
		"of a day there is not": {`<34>May 00 22:14:15 fw1 su: hello`, `{"app":"su","facility":"auth","host":"fw1","level":"critical","severity":2}`},
		"cut after the PRI":     {`<34>hello`, `{"facility":"auth","level":"critical","severity":2}`},
		"a PRI out of range":    {`<999>hello`, `null`},
	} {
		e, err := Read([]byte(c.raw), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h, _ := json.Marshal(e.Syslog)
		if diff := cmp.Diff(c.want, string(h)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if message, _ := e.Value["message"].(string); !strings.HasSuffix(message, "hello") || c.want != "null" && message != "hello" {
			t.Errorf("%s: the message is %q", name, message)
		}
	}
}

func TestPayloadsAreReadByTheirFormat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"JSON":                {`{"a": 1}`, `json null {"a":1}`},
		"JSON in syslog":      {`<34>Oct 11 22:14:15 fw1 app: {"a": 1}`, `json {"app":"app","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2025-10-11T22:14:15Z"} {"a":1}`},
		"JSON after a name":   {`<34>Oct 11 22:14:15 fw1 sensor {"a": 1}`, `json {"app":"sensor","facility":"auth","host":"fw1","level":"critical","severity":2,"time":"2025-10-11T22:14:15Z"} {"a":1}`},
		"JSON in a column":    {`2026-01-02T03:04:05Z,"{""a"": ""b""}"`, `json {"time":"2026-01-02T03:04:05Z"} {"a":"b"}`},
		"a list of one":       {`[{"a": 1}]`, `json null {"a":1}`},
		"CEF":                 {`CEF:0|V|P \| Q|1.0|42|Name \\ x|7|src=10.0.0.1 msg=a \= b\nc cs1=x y cs1Label=Rule Name request=http://h/?a=b&c=d`, `cef null {"cef_version":"0","class_id":"42","device_version":"1.0","ext":{"Rule Name":"x y","cs1":"x y","cs1Label":"Rule Name","msg":"a = b\nc","request":"http://h/?a=b\u0026c=d","src":"10.0.0.1"},"name":"Name \\ x","product":"P | Q","severity":"7","vendor":"V"}`},
		"LEEF 1":              {"LEEF:1.0|V|P|1|login|src=10.0.0.1\tusrName=ann lee\tsev=5", `leef null {"device_version":"1","event_id":"login","ext":{"sev":"5","src":"10.0.0.1","usrName":"ann lee"},"leef_version":"1.0","product":"P","vendor":"V"}`},
		"LEEF 2":              {`LEEF:2.0|V|P|1|login|^|src=10.0.0.1^usrName=ann`, `leef null {"device_version":"1","event_id":"login","ext":{"src":"10.0.0.1","usrName":"ann"},"leef_version":"2.0","product":"P","vendor":"V"}`},
		"LEEF 2, hex":         {`LEEF:2.0|V|P|1|login|0x7c|src=10.0.0.1|usrName=ann`, `leef null {"device_version":"1","event_id":"login","ext":{"src":"10.0.0.1","usrName":"ann"},"leef_version":"2.0","product":"P","vendor":"V"}`},
		"LEEF, blanks":        {`LEEF:1.0|V|P|1|login|src=10.0.0.1 usrName=ann lee sev=5`, `leef null {"device_version":"1","event_id":"login","ext":{"sev":"5","src":"10.0.0.1","usrName":"ann lee"},"leef_version":"1.0","product":"P","vendor":"V"}`},
		"pairs":               {`date=2026-01-02 devname="fw 1" msg="say \"hi\"" user=ann`, `kv null {"kv":{"date":"2026-01-02","devname":"fw 1","msg":"say \"hi\"","user":"ann"},"message":"date=2026-01-02 devname=\"fw 1\" msg=\"say \\\"hi\\\"\" user=ann"}`},
		"pairs between bars":  {`time=1|product=End Point|action=Drop`, `kv null {"kv":{"action":"Drop","product":"End Point","time":"1"},"message":"time=1|product=End Point|action=Drop"}`},
		"pairs between marks": {`Event Type: Attempt, Event Name: none, Device Name: D 1`, `kv null {"kv":{"Device Name":"D 1","Event Name":"none","Event Type":"Attempt"},"message":"Event Type: Attempt, Event Name: none, Device Name: D 1"}`},
		"pairs in brackets":   {`denied [id "960015"] [msg "Missing an Accept"]`, `text null {"kv":{"id":"960015","msg":"Missing an Accept"},"message":"denied [id \"960015\"] [msg \"Missing an Accept\"]"}`},
		"a sentence":          {`login failed for ann from 10.0.0.1 port=22`, `text null {"kv":{"port":"22"},"message":"login failed for ann from 10.0.0.1 port=22"}`},
		"columns":             {`5,,"a,b",em0,match,block,in,4`, `csv null {"columns":["5","","a,b","em0","match","block","in","4"],"kv":{},"message":"5,,\"a,b\",em0,match,block,in,4"}`},
		"XML":                 {`<?xml version="1.0" encoding="ISO-8859-1"?><log level="1"><msg>a &amp; b</msg><x>1</x><x>2</x></log>`, `xml null {"log":{"#attributes":{"level":"1"},"msg":"a \u0026 b","x":["1","2"]}}`},
		"a Windows event":     {`<Event xmlns="http://x"><System><Provider Name="P"/><EventID Qualifiers="0">4625</EventID><TimeCreated SystemTime="2026-01-02T03:04:05Z"/><Computer>pc1</Computer></System><EventData><Data Name="TargetUserName">ann</Data><Data Name="IpAddress"></Data></EventData></Event>`, `xml null {"Event":{"#attributes":{"xmlns":"http://x"},"EventData":{"IpAddress":null,"TargetUserName":"ann"},"System":{"Computer":"pc1","EventID":4625,"Provider":{"#attributes":{"Name":"P"}},"TimeCreated":{"#attributes":{"SystemTime":"2026-01-02T03:04:05Z"}}}}}`},
		"line ends written":   {`a\nLogName=Security\nEventCode=4625\nUser=C:\\new`, `kv null {"kv":{"EventCode":"4625","LogName":"Security","User":"C:\\\\new"},"message":"a\nLogName=Security\nEventCode=4625\nUser=C:\\\\new"}`},
		"UTF-16":              {"\xff\xfe{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", `json null {"a":1}`},
		"Latin-1":             {"caf\xe9 closed", `text null {"kv":{},"message":"café closed"}`},
		"NUL bytes":           {"<34>a\x00b\x00", `text {"facility":"auth","level":"critical","severity":2} {"kv":{},"message":"a b"}`},
	} {
		e, err := Read([]byte(c.raw), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, shown(e)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBrokenEventsAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"nothing":           {" \n", "event is empty"},
		"cut JSON":          {`{"a": {"b": 1`, "event is not JSON: JSON: the value ends too early"},
		"cut JSON inside":   {`<34>Oct 11 22:14:15 fw1 app: {"a": `, "event is not JSON: JSON: the value ends too early"},
		"deep JSON":         {strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), "nested too deeply"},
		"deep lists":        {strings.Repeat(`[`, 100_000), "nested too deeply"},
		"many objects":      {`[{"a": 1}, {"a": 2}]`, "event is a list of 2; expected one JSON object: send the events one a line"},
		"cut CEF":           {`CEF:0|V|P|1`, "CEF header has 3 of 6 parts"},
		"cut LEEF":          {`LEEF:1.0|V|P`, "LEEF header has 2 of 4 parts"},
		"cut XML":           {`<?xml version="1.0"?><a><b>`, "event is not XML: line 1: unexpected EOF"},
		"deep XML":          {strings.Repeat("<a>", 10_000) + "</a>", "event is XML with more than"},
		"too large":         {strings.Repeat("x", MaxBytes+1), "the most is 4194304"},
		"entities declared": {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;`, "event is not XML"},
	} {
		if _, err := Read([]byte(c.raw), now); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestATimeWithoutAYearIsNearAndNotAhead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		now        string
		line, want string
	}{
		{"2026-01-01T00:00:05Z", "Dec 31 23:59:59 h x: y", "2025-12-31T23:59:59Z"},
		{"2025-12-31T23:59:59Z", "Jan  1 00:00:05 h x: y", "2026-01-01T00:00:05Z"},
		{"2026-07-01T00:00:00Z", "Jul  2 00:00:00 h x: y", "2026-07-02T00:00:00Z"},
		{"2026-11-24T00:00:00Z", "Jan  2 00:00:00 h x: y", "2026-01-02T00:00:00Z"},
		{"2025-03-01T00:00:00Z", "Feb 29 10:00:00 h x: y", "2024-02-29T10:00:00Z"},
		{"2024-03-01T00:00:00Z", "Feb 29 10:00:00 h x: y", "2024-02-29T10:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Read([]byte(c.line), at)
		if err != nil || e.Syslog["time"] != c.want {
			t.Errorf("%s at %s is %v, %v, want %s", c.line, c.now, e.Syslog["time"], err, c.want)
		}
	}
}
