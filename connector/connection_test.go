package connector

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/internal/fault"
)

func acme(t *testing.T) *Manifest {
	t.Helper()
	data, err := os.ReadFile("testdata/good/acme-edr.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse("acme-edr.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConfigIsCheckedAndParted(t *testing.T) {
	t.Parallel()
	m := acme(t)
	config, secrets, err := m.SplitConfig(map[string]any{"base_url": "https://edr.example.com", "token": "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"base_url": "https://edr.example.com", "site": "main"}, config); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"token": "s3cret"}, secrets); diff != "" {
		t.Error(diff)
	}
	if _, _, err := m.SplitConfig(map[string]any{"base_url": "https://edr.example.com"}, "token"); err != nil {
		t.Errorf("the stored token counts: %v", err)
	}
	for says, values := range map[string]map[string]any{
		`acme-edr: config lacks "base_url", "token"`:                {},
		`has no field "base_ulr" (did you mean "base_url"?)`:        {"base_ulr": "x", "base_url": "https://a.example", "token": "s3cret"},
		"base_url: is not an address such as https://example.com/a": {"base_url": "s3cret", "token": "s3cret"},
		"token: is a number, expected a text":                       {"base_url": "https://a.example", "token": 7},
	} {
		_, _, err := m.SplitConfig(values)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestConnectionsThatAreWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		says string
		conn Connection
	}{
		{"the name is", Connection{Name: "My EDR"}},
		{"proxy: expected an address", Connection{Name: "a", Proxy: "proxy.example.com:3128"}},
		{"ca: expected certificates in PEM", Connection{Name: "a", CA: "hello"}},
		{"ca: the PEM block", Connection{Name: "a", CA: "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"}},
		{`clearance.tlp: "white" is no marking`, Connection{Name: "a", Clearance: Clearance{TLP: "white"}}},
		{"a limit is below 0", Connection{Name: "a", MaxInFlight: -1}},
	}
	for _, tt := range tests {
		if err := tt.conn.Check(); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v, want %q", err, tt.says)
		}
	}
	good := Connection{Name: "edr-main_2", Proxy: "socks5://proxy.example.com", Clearance: Clearance{TLP: "amber+strict", PAP: "red"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestClearance(t *testing.T) {
	t.Parallel()
	tests := []struct {
		conn, data Clearance
		ok         bool
	}{
		{Clearance{}, Clearance{}, true},
		{Clearance{}, Clearance{TLP: "red"}, false},
		{Clearance{TLP: "red"}, Clearance{TLP: "red"}, true},
		{Clearance{TLP: "clear"}, Clearance{}, false},
		{Clearance{TLP: "amber"}, Clearance{TLP: "amber+strict"}, false},
		{Clearance{PAP: "green"}, Clearance{PAP: "amber"}, false},
		{Clearance{TLP: "RED"}, Clearance{TLP: "Red"}, true},
		{Clearance{TLP: "red"}, Clearance{TLP: "secret"}, false}, // not known: the most closed
	}
	for _, tt := range tests {
		ok, why := tt.conn.Covers(tt.data)
		if ok != tt.ok || ok != (why == "") {
			t.Errorf("%+v for %+v: %v %q", tt.conn, tt.data, ok, why)
		}
	}
}

func TestTheRedactorFindsASecretHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-zA-Z0-9+/&="'<\\ ü€!-]{6,30}`).Draw(t, "secret")
		before := rapid.StringMatching(`[a-z:]{0,7}`).Draw(t, "before")
		r := NewRedactor(secret)
		escaped, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string]string{
			"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "JSON": string(escaped[1 : len(escaped)-1]),
			"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64url": base64.URLEncoding.EncodeToString([]byte(secret)),
			"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		} {
			got := r.Text("x " + text + " y")
			if strings.Contains(got, text) || !strings.Contains(got, Redacted) {
				t.Fatalf("%s: %q", form, got)
			}
		}
		// As Basic sends it, behind a user name of any length: most letters go.
		basic := base64.StdEncoding.EncodeToString([]byte(before + secret))
		if got := r.Text(basic); !strings.Contains(got, Redacted) {
			t.Fatalf("behind %q: %q", before, got)
		}
	})
}

func TestRedactionKeepsJSONValid(t *testing.T) {
	t.Parallel()
	r := NewRedactor("12345", `quo"te`, "abc")
	for in, want := range map[string]string{
		`{"a":1234567,"b":"12345"}`: `{"a":"[secret]","b":"[secret]"}`,
		`{"12345":[true,null,1.5]}`: `{"[secret]":[true,null,1.5]}`,
		`{"a":"x quo\"te y"}`:       `{"a":"x [secret] y"}`,
		`{"a":"abc is too short"}`:  `{"a":"abc is too short"}`,
		`{"a":"nothing"}`:           `{"a":"nothing"}`,
	} {
		if got := string(r.JSON([]byte(in))); got != want {
			t.Errorf("%s gives %s, want %s", in, got, want)
		}
	}
	res := r.Result(Result{Message: "12345", Drift: "12345", External: "12345", Output: []byte(`"12345"`), Before: []byte(`12345`), Results: []Result{{Message: "12345"}}})
	if text := fmt.Sprintf("%+v %s %s", res, res.Output, res.Before); strings.Contains(text, "12345") {
		t.Error(text)
	}
	pem := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----\n"
	if got := NewRedactor(pem).Text("tls: MIIEvQIBADANBgkqhkiG9w0BAQEFAASC is bad"); strings.Contains(got, "MIIE") {
		t.Error(got)
	}
	var none *Redactor
	if none.Text("a") != "a" || string(none.JSON([]byte("1"))) != "1" {
		t.Error("no redactor changes nothing")
	}
}
