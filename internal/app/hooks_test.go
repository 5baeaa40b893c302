package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/internal/app"
)

// authority signs certificates and writes them to files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.issue("ca", "An authority", true)
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(name, common string, ca bool) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: common}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, DNSNames: []string{"localhost"},
	}
	parent, signer := a.cert, a.key
	if ca {
		parent, signer, a.key = c, key, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if ca {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
	for file, text := range map[string][]byte{name + ".crt": certPEM, name + ".key": keyPEM} {
		if err := os.WriteFile(filepath.Join(a.dir, file), text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func TestAWebhookLetsInWhoShowsTheRightCertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.issue("server", "localhost", false)
	cfg := app.Defaults()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	cfg.TLS = app.TLS{Certificate: filepath.Join(ours.dir, "server.crt"), Key: filepath.Join(ours.dir, "server.key"), ClientCA: filepath.Join(ours.dir, "ca.crt")}
	cfg.Hooks = map[string]app.HookConfig{"mdm": {Certificate: []string{"mdm.example.org"}}}
	a, err := app.New(context.Background(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-a.Ready()
	token, err := a.Token(ctx, "admin", "test")
	if err != nil {
		t.Fatal(err)
	}
	send := func(path, body string, headers []string, certificates ...tls.Certificate) int {
		roots := x509.NewCertPool()
		roots.AddCert(ours.cert)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certificates}}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+a.Addr()+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := client.Do(req)
		if err != nil {
			return 0 // the handshake was refused
		}
		res.Body.Close()
		return res.StatusCode
	}
	text := `{"text":"playbook: from-mdm\ntitle: From the MDM\non: [{ webhook: { path: mdm, auth: mtls } }]\nvars: { y: null }\nsteps: [{ id: x, set: { y: 1 } }]\noutputs: { y: \"${{ vars.y }}\" }\n"}`
	if got := send("/api/playbooks/from-mdm/publish", text, []string{"Authorization", "Bearer " + token}); got >= 300 {
		t.Fatalf("publish: %d", got)
	}
	for _, tt := range []struct {
		name         string
		certificates []tls.Certificate
		want         int
	}{
		{"the right one", []tls.Certificate{ours.issue("mdm", "mdm.example.org", false)}, http.StatusAccepted},
		{"another name", []tls.Certificate{ours.issue("other", "other.example.org", false)}, http.StatusUnauthorized},
		{"none", nil, http.StatusUnauthorized},
		{"of another authority", []tls.Certificate{theirs.issue("mdm", "mdm.example.org", false)}, http.StatusUnauthorized},
	} {
		got := send("/api/hooks/mdm", "{}", nil, tt.certificates...)
		if got != tt.want && (got != 0 || tt.want != http.StatusUnauthorized) {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAHookThatNobodyCanUseIsAnErrorAtItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hooks:\n  a: {}\n":                    "f:2:6: nothing says who may send to this webhook",
		"hooks:\n  a:\n    certificate: [x]\n": "f:3:18: certificates of clients cannot be checked; set tls.client_ca",
		"tls: { client_ca: x }\n":              "f:1:19: client_ca needs tls",
		"hooks:\n  a: { token_file: x, token_hash: " + strings.Repeat("a", 64) + " }\n": "f:2:6: token_file and token_hash say the same; give one of them",
	} {
		c := app.Defaults()
		err := app.ReadConfig("f", []byte(text), &c)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}
