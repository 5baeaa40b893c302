package event

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"riposte/internal/fault"
)

// seeds are lines in every format, whole and cut.
var seeds = []string{
	`{"a": [1, {"b": null}]}`, `[{"a": 1}]`, `{"a": `, "\xff\xfe{\x00}\x00", "\xef\xbb\xbf{}", "caf\xe9", "<34>\x00",
	`<165>1 2026-01-02T03:04:05.5Z fw1 app 77 ID47 [a@1 x="1 \" \]"][b y="2"] hello`, `<34>Oct 11 22:14:15 fw1 su[7]: user ann from 10.0.0.1 port 22`,
	`33 <34>Oct 11 22:14:15 fw1 su: x`, `<189>45: *Mar  1 00:00:59.123 UTC: %SYS-5-CONFIG: x`, `1 1710408413123 h a b c=d`, `[Tue Sep 30 14:25:44.8 2014] x`, `<13>May 00 2`,
	`CEF:0|V|P \| Q|1.0|42|Name \\ x|7|src=10.0.0.1 msg=a \= b\nc cs1=x cs1Label=Rule`, `CEF:0|V`, `CEF: 1|||||||=`,
	"LEEF:1.0|V|P|1|login|src=10.0.0.1\tusrName=ann", `LEEF:2.0|V|P|1|login|0x7c|a=b|c=d`, `LEEF:2.0|V|P|1|login|`,
	`date=2026-01-02 time=03:04:05 devname="fw 1" msg="say \"hi\"" srcip=10.0.0.1:22`, `time=1|product=End Point|action=Drop`, `a="`, `=`, `[id "1"] [msg "x`, `Event Type: A, Event Name: b c, X: "`,
	`5,,"a,b",em0,match,block,in,4`, `"`, `<?xml version="1.0"?><log level="1"><x>1</x><x>2</x></log>`, `<Event xmlns="x"><System><EventID>1</EventID></System><EventData><Data Name="A">b</Data></EventData></Event>`, `<a><b>`,
	`2026-01-02T03:04:05Z,"{""a"": ""b""}"`, `a\nB=c\nD=e`, `10.0.0.1 - ann [02/Jan/2026:03:04:05 +0100] "GET /a?b=../ HTTP/1.1" 404 12 "-" "-"`,
	`type=SYSCALL msg=audit(1624643172.076:11843): arch=c000003e success=yes exe="/usr/bin/ps"`, `%ASA-4-106023: Deny tcp src inside:1.2.3.4/1 dst out:[::1]:2 by x`,
}

func FuzzRead(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Read(raw, now)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("%v is not of the kind invalid", err)
			}
			return
		}
		if e.Value == nil || e.Format == "" || !utf8.ValidString(e.Text) {
			t.Fatalf("%+v", e)
		}
		for _, v := range []any{e.Value, e.Syslog, Found(e, now)} {
			if _, err := json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzDecoders(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, rest := readHeader(s, now)
		if len(rest) > len(s) {
			t.Fatalf("a header of %q left more than there was: %q", s, rest)
		}
		_ = h.object()
		for name, read := range map[string]func(string) (map[string]any, error){"CEF": readCEF, "LEEF": readLEEF, "XML": readXML} {
			if v, err := read(s); err == nil && v == nil || err != nil && !errors.Is(err, fault.Invalid) {
				t.Fatalf("%s of %q: %v, %v", name, s, v, err)
			}
		}
		if kv, share := pairs(s); kv == nil || share < 0 || share > 1 {
			t.Fatalf("pairs of %q: %v, %v", s, kv, share)
		}
		_ = columns(s)
		_ = unfold(s)
		if at, _, _ := readStamp(s, now); !at.IsZero() && (at.Year() < 1 || at.Year() > 9999) {
			t.Fatalf("the time of %q is %v", s, at)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, s := range append(seeds, `{"value": [{"a": 1}, {"b": 2}]}`, `{"hits": {"hits": [{"_source": {"a": 1}}]}}`, "{\"a\": 1}\n{\"b\": 2}\n", `[{"a": 1}, 2]`, "<Events>\n<Event>a</Event><Event>b</Event></Events>") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		items, how := Split(data, func([]byte) bool { return false })
		if how == "" {
			t.Fatal("nothing said how")
		}
		for _, item := range items {
			if len(item.Raw) == 0 {
				t.Fatalf("an empty event in %q", data)
			}
		}
	})
}

func BenchmarkReadJSON(b *testing.B) {
	raw := []byte(`{"timestamp":"2026-01-02T03:04:05.000000+0000","flow_id":1,"event_type":"alert","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","alert":{"signature":"S","severity":2}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(raw, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadSyslogPairs(b *testing.B) {
	raw := []byte(`<134>Jan  2 03:04:05 fw1 date=2026-01-02 time=03:04:05 devname="fw 1" logid=1 type=utm subtype=ips srcip=10.0.0.1 dstip=10.0.0.2 action=dropped attack="X.Y" msg="a b c"`)
	b.ReportAllocs()
	for b.Loop() {
		e, err := Read(raw, now)
		if err != nil {
			b.Fatal(err)
		}
		Found(e, now)
	}
}
