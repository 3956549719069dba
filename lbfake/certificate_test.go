package lbfake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/netspec-go/netspec/certfake"
	"github.com/netspec-go/netspec/netfake"
)

var _ Certificate = (*certfake.Certificate)(nil)

// selfSigned makes a certificate for names that is valid from a day before now.
func selfSigned(t *testing.T, key crypto.Signer, now time.Time, valid time.Duration, names ...string) KeyPair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names[1:],
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(valid),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return KeyPair{Certificate: [][]byte{der}, PrivateKey: key}
}

func ecdsaKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Which certificate a client is shown.
func TestCertificateChoice(t *testing.T) {
	now := time.Now()
	p256, p384 := ecdsaKey(t, elliptic.P256()), ecdsaKey(t, elliptic.P384())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	all := []KeyPair{
		selfSigned(t, p256, now, day, "default.com"),
		selfSigned(t, rsaKey, now, day, "both.com", "rsa.com"),
		selfSigned(t, p256, now, day, "x", "both.com", "*.wild.com", "curve.com", "old.com", "long.com"),
		selfSigned(t, p384, now, day, "y", "curve.com"),
		selfSigned(t, p384, now, -time.Hour, "z", "old.com"),
		selfSigned(t, p256, now, 2*day, "v", "long.com"),
	}
	var certs []Certificate
	for _, c := range all {
		certs = append(certs, c)
	}
	list, err := parseCertificates(certs)
	if err != nil {
		t.Fatal(err)
	}
	onlyRSA := []tls.SignatureScheme{tls.PSSWithSHA256}
	any := append(onlyRSA, tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384)
	for _, row := range []struct {
		rule    string
		name    string
		schemes []tls.SignatureScheme
		want    int
	}{
		{"no name: the default", "", any, 0},
		{"a name that none is for: the default", "unknown.com", any, 0},
		{"the default's own", "default.com", any, 0},
		{"a common name", "both.com", any, 2},
		{"an alternative name", "rsa.com", any, 1},
		{"whatever case", "RSA.com", any, 1},
		{"a wildcard, one label", "a.wild.com", any, 2},
		{"not two", "a.b.wild.com", any, 0},
		{"nor none", "wild.com", any, 0},
		{"of several: ECDSA before RSA", "both.com", any, 2},
		{"but only what the client can use", "both.com", onlyRSA, 1},
		{"then what is not expired", "old.com", any, 2},
		{"then the stronger hash and the longer key", "curve.com", any, 3},
		{"then the longer validity", "long.com", any, 5},
	} {
		hello := &tls.ClientHelloInfo{
			ServerName: row.name, SignatureSchemes: row.schemes, SupportedVersions: []uint16{tls.VersionTLS13},
			SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		}
		if got := list.choose(hello); got != list.all[row.want] {
			t.Errorf("%s: %q got %v", row.rule, row.name, got.Leaf.DNSNames)
		}
	}
	if _, err := parseCertificates([]Certificate{KeyPair{}}); err == nil {
		t.Error("an empty certificate was taken")
	}
}

// Over HTTPS the certificate is chosen by the name in the handshake and the rule by the
// Host header; the target is told the protocol.
func TestHTTPS(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := newSite(w)
		key := ecdsaKey(t, elliptic.P256())
		def := selfSigned(t, key, time.Now(), time.Hour, "default.com", "default.com")
		shop := selfSigned(t, key, time.Now(), time.Hour, "shop.com", "shop.com")
		for _, c := range []KeyPair{def, shop} {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			w.TrustCA(leaf)
		}
		i := s.instance("app", "a")
		i.ServeHTTP(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Proto+" "+r.Host+" "+r.Header.Get(headerProto)+" "+r.Header.Get(headerPort))
		}))
		g := s.group(TargetGroupConfig{}).Register(i)
		b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: s.open})
		l := b.Listener(443, HTTPS, ListenerConfig{Default: Forward(g), Certificates: []Certificate{def, shop}})
		l.Rule(1, FixedResponse{Status: 200, Body: "other"}, HostHeader("other.com"))
		if err := g.WaitInService(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask := func(sni, host string) (string, error) {
			transport := s.client.Transport()
			transport.TLSClientConfig.ServerName = sni
			r, _ := http.NewRequest(http.MethodGet, "https://"+b.nodes[0].addr.String()+"/", nil)
			r.Host = host
			resp, err := (&http.Client{Transport: transport}).Do(r)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp.Proto + " " + resp.TLS.PeerCertificates[0].Subject.CommonName + ": " + string(body), nil
		}
		for _, row := range []struct{ sni, host, want string }{
			{"shop.com", "shop.com", "HTTP/2.0 shop.com: HTTP/1.1 shop.com https 443"},
			{"default.com", "shop.com", "HTTP/2.0 default.com: HTTP/1.1 shop.com https 443"},
			{"shop.com", "other.com", "HTTP/2.0 shop.com: other"},
		} {
			if got, err := ask(row.sni, row.host); got != row.want {
				t.Errorf("name %s, host %s: got %q, %v, want %q", row.sni, row.host, got, err, row.want)
			}
		}
		// The handshake with the default certificate goes well; it is the client who minds.
		if _, err := ask("unknown.com", "unknown.com"); err == nil {
			t.Error("a client took the default certificate for another name")
		}
		if last := b.AccessLog()[0]; last.Type != "h2" || last.ServerName != "shop.com" || last.URL != "https://shop.com:443/" {
			t.Errorf("the access log has %+v", last)
		}
		l.SetCertificates(shop)
		if got, err := ask("shop.com", "shop.com"); err != nil {
			t.Errorf("with another certificate: %q, %v", got, err)
		}
		if _, err := ask("default.com", "default.com"); err == nil {
			t.Error("a certificate that was taken away is still shown")
		}
	})
}
