package httprt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"riposte/connector"
)

// tokens is a server that gives tokens at /token and demands the newest one
// elsewhere.
type tokens struct {
	given  atomic.Int64
	answer string // with %d for the number of the token
	check  func(r *http.Request, body string) string
	t      *testing.T
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		body, _ := io.ReadAll(r.Body)
		if wrong := s.check(r, string(body)); wrong != "" {
			http.Error(w, `{"error":"invalid_client","error_description":"`+wrong+`"}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, s.answer, s.given.Add(1))
		return
	}
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer tok%d", s.given.Load()) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, `{"ok":true}`)
}

const (
	login  = "auth: { kind: login, request: { path: /token, body: { json: { user: \"${{ config.user }}\", password: \"${{ secrets.password }}\" } } }, token: body.token, ttl: 15m }"
	wazuh  = "auth: { kind: login, request: { path: /token, username: user, password: password }, token: body.token, expires: body.left }"
	oauth2 = "auth: { kind: oauth2_client, token_url: \"${{ config.base_url }}/token\", client_id: user, client_secret: password, scope: \"https://x/.default\" }"
)

func TestShortTokens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, auth, answer string
		check              func(r *http.Request, body string) string
	}{
		{"login with JSON", login, `{"token":"tok%d"}`, func(_ *http.Request, body string) string {
			if body != `{"password":"pa/ss word","user":"ann"}` {
				return "body " + body
			}
			return ""
		}},
		{"login with Basic", wazuh, `{"token":"tok%d","left":900}`, func(r *http.Request, _ string) string {
			if u, p, _ := r.BasicAuth(); u != "ann" || p != "pa/ss word" {
				return "basic " + u + p
			}
			return ""
		}},
		{"client credentials in the body", oauth2, `{"access_token":"tok%d","expires_in":3600}`, func(_ *http.Request, body string) string {
			v, _ := url.ParseQuery(body)
			if v.Get("grant_type") != "client_credentials" || v.Get("client_id") != "ann" || v.Get("client_secret") != "pa/ss word" || v.Get("scope") != "https://x/.default" {
				return body
			}
			return ""
		}},
		{"client credentials by Basic", strings.Replace(oauth2, " }", ", client_auth: basic }", 1), `{"access_token":"tok%d"}`, func(r *http.Request, body string) string {
			if u, p, _ := r.BasicAuth(); u != "ann" || p != "pa%2Fss+word" || strings.Contains(body, "client_secret") {
				return "basic " + u + p
			}
			return ""
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &tokens{answer: tt.answer, check: tt.check, t: t}
			auth := tt.auth
			if strings.Contains(auth, "client_auth") {
				auth = "auth: { kind: oauth2_client, token_url: \"${{ config.base_url }}/token\", client_id: user, client_secret: password, client_auth: basic }"
			}
			w := newWorld(t, parts{top: auth}, s.ServeHTTP)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if res, _ := w.run("look", nil); res.Status != connector.OK {
						t.Errorf("%+v", res)
					}
				})
			}
			all.Wait()
			if n := s.given.Load(); n != 1 {
				t.Errorf("%d tokens were fetched", n)
			}
			s.given.Add(5) // the token is revoked
			if res, _ := w.run("act", map[string]any{"id": "1"}); res.Status != connector.OK {
				t.Errorf("after the token was revoked: %+v", res)
			}
			if n := s.given.Load(); n != 7 {
				t.Errorf("%d tokens", n)
			}
		})
	}
}

func TestATokenIsFetchedAnewBeforeItRunsOut(t *testing.T) {
	t.Parallel()
	var c tokenCache
	now := noon
	fetched := 0
	get := func() string {
		s, err := c.get(t.Context(), now, func(context.Context) (string, time.Time, error) {
			fetched++
			return fmt.Sprint("tok", fetched), now.Add(10 * time.Minute), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for range 2 {
		if got := get(); got != "tok1" {
			t.Errorf("%s: fetched too often", got)
		}
	}
	now = now.Add(9*time.Minute + 45*time.Second)
	if get() != "tok2" {
		t.Error("an old token was used")
	}
}

func TestCredentialsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	s := &tokens{answer: `{"token":"tok%d"}`, check: func(*http.Request, string) string { return "unknown client" }, t: t}
	w := newWorld(t, parts{top: login}, s.ServeHTTP)
	res, _ := w.run("act", map[string]any{"id": "1"})
	if res.Status != connector.Failed || res.Class != connector.Auth || !strings.Contains(res.Message, "log in: ") || !strings.Contains(res.Message, "unknown client") {
		t.Errorf("%+v", res)
	}
	// A token that is refused at once is asked for once more, not for ever.
	s = &tokens{answer: `{"token":"wrong%d"}`, check: func(*http.Request, string) string { return "" }, t: t}
	w = newWorld(t, parts{top: login}, s.ServeHTTP)
	if res, _ = w.run("look", nil); res.Class != connector.Auth || s.given.Load() != 2 {
		t.Errorf("%+v after %d tokens", res, s.given.Load())
	}
	s = &tokens{answer: `{"other":"%d"}`, check: func(*http.Request, string) string { return "" }, t: t}
	w = newWorld(t, parts{top: login}, s.ServeHTTP)
	if res, _ = w.run("look", nil); res.Class != connector.Auth || !strings.Contains(res.Message, "holds no token") {
		t.Errorf("%+v", res)
	}
	w = newWorld(t, parts{top: "auth: { kind: bearer, token: token }"}, echo)
	a := w.m.Action("look")
	if res, _ = w.rt.Run(t.Context(), &connector.Invocation{Call: connector.Call{Action: a}, Connection: w.conn, Config: w.config, Now: noon}); res.Class != connector.Auth || !strings.Contains(res.Message, "has no token") {
		t.Errorf("%+v", res)
	}
}

func TestSignedRequests(t *testing.T) {
	t.Parallel()
	const auth = `auth: { kind: hmac, key: token, hash: sha256, encode: ENCODE, name: X-Signature, prefix: "v0=", timestamp: { header: X-Time }, over: "v0:${{ request.timestamp }}:${{ request.method }}:${{ request.path }}?${{ request.query }}:${{ request.body }}" }`
	for _, encode := range []string{"hex", "base64"} {
		w := newWorld(t, parts{top: strings.Replace(auth, "ENCODE", encode, 1), act: "http: { method: POST, path: \"/act/${{ inputs.id }}\", query: { q: \"a b\" }, body: { json: { x: 1 } } }"}, func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mac := hmac.New(sha256.New, []byte("t0k3n-value"))
			fmt.Fprintf(mac, "v0:%s:POST:%s?%s:%s", r.Header.Get("X-Time"), r.URL.EscapedPath(), r.URL.RawQuery, body)
			want := hex.EncodeToString(mac.Sum(nil))
			if encode == "base64" {
				want = base64.StdEncoding.EncodeToString(mac.Sum(nil))
			}
			if got := r.Header.Get("X-Signature"); got != "v0="+want || r.Header.Get("X-Time") != fmt.Sprint(noon.Unix()) {
				http.Error(rw, "wrong signature "+got, http.StatusUnauthorized)
			}
		})
		if res, _ := w.run("act", map[string]any{"id": "a b"}); res.Status != connector.OK {
			t.Errorf("%s: %+v", encode, res)
		}
	}
}

// certificate makes a certificate that signs itself, and its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := ""
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, `{"client":%q}`, name)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))

	w := newWorld(t, parts{top: "auth: { kind: mtls, cert: user, key: token }"}, nil)
	w.config["base_url"], w.config["user"] = srv.URL, cert
	run := func() (connector.Result, any) {
		return w.rt.Run(t.Context(), &connector.Invocation{
			Call: connector.Call{Action: w.m.Action("look")}, Connection: w.conn, Config: w.config,
			Secrets: map[string]string{"token": key}, Now: noon,
		})
	}
	if res, _ := run(); res.Class != connector.Permanent || !strings.Contains(res.Message, "not known; add it to the connection (ca)") {
		t.Errorf("%+v", res)
	}
	changed := *w.conn
	changed.CA, changed.Revision = ca, 2
	w.conn = &changed
	if res, out := run(); res.Status != connector.OK || out.(map[string]any)["client"] != "client" {
		t.Errorf("%+v %v", res, out)
	}
	key = "nonsense"
	if res, _ := run(); res.Class != connector.Invalid || !strings.Contains(res.Message, "do not fit together") {
		t.Errorf("%+v", res)
	}
}

func TestAProxyIsUsedAndNeedsNoPermission(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		fmt.Fprint(w, `{"by":"proxy"}`)
	}))
	t.Cleanup(proxy.Close)
	w := newWorld(t, parts{}, nil)
	w.config["base_url"] = "http://api.example.com/v1"
	w.conn.AllowLoopback, w.conn.Proxy = false, proxy.URL
	res, out := w.run("look", nil)
	if res.Status != connector.OK || out.(map[string]any)["by"] != "proxy" || asked.Load() != "http://api.example.com/v1/look" {
		t.Errorf("%+v %v %v", res, out, asked.Load())
	}
	for _, inside := range []string{"http://169.254.169.254/v1", "http://127.0.0.1:99/v1"} {
		w.config["base_url"] = inside
		w.conn = &connector.Connection{Name: "other", Connector: "test", Proxy: proxy.URL, Revision: w.conn.Revision + 1}
		if res, _ := w.run("look", nil); res.Status != connector.Denied {
			t.Errorf("%s through the proxy: %+v", inside, res)
		}
	}
}

func TestASecretAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parts{top: "egress: [\"${{ config.base_url }}\"]", look: "http: { method: POST, url: \"${{ config.base_url }}/hook?sig=${{ secrets.token }}\", query: { a: 1 } }"}, echo)
	res, out := w.run("look", nil)
	if res.Status != connector.OK || out.(map[string]any)["uri"] != "/hook?sig=t0k3n-value&a=1" {
		t.Errorf("%+v %v", res, out)
	}
}
