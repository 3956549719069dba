package certfake

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
)

var dawn = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// One seed, the same bytes; another seed, another authority.
func TestAuthorityRepeats(t *testing.T) {
	issue := func(seed uint64, id string) [][]byte {
		a, err := newAuthority(seed, dawn)
		if err != nil {
			t.Fatal(err)
		}
		leaf, key, err := a.issue([]string{"example.com"}, id, dawn.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		secret, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{a.root.Raw, a.intermediate.Raw, leaf.Raw, secret}
	}
	first := issue(1, "a")
	for i, b := range issue(1, "a") {
		if !bytes.Equal(first[i], b) {
			t.Errorf("part %d differs in two runs with one seed", i)
		}
	}
	for i, b := range issue(2, "a") {
		if bytes.Equal(first[i], b) {
			t.Errorf("part %d is the same for another seed", i)
		}
	}
	if second := issue(1, "b"); !bytes.Equal(first[1], second[1]) || bytes.Equal(first[3], second[3]) {
		t.Error("two certificates of one authority share their key, or not their issuer")
	}
}

// The chain holds for its names, for server use, and for Validity and no longer.
func TestAuthorityChain(t *testing.T) {
	a, err := newAuthority(1, dawn)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _, err := a.issue([]string{"example.com", "*.example.com"}, "x", dawn)
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root)
	between.AddCert(a.intermediate)
	for _, test := range []struct {
		name string
		at   time.Duration
		want bool
	}{
		{"example.com", 0, true},
		{"www.example.com", 0, true},
		{"a.b.example.com", 0, false}, // a wildcard covers one level
		{"example.org", 0, false},
		{"example.com", Validity, true},
		{"example.com", Validity + time.Second, false},
		{"example.com", -time.Second, false},
	} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: test.name, Roots: roots, Intermediates: between, CurrentTime: dawn.Add(test.at)})
		if (err == nil) != test.want {
			t.Errorf("%s at %v: %v", test.name, test.at, err)
		}
	}
	if leaf.Subject.CommonName != "example.com" || leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() != 127 {
		t.Errorf("subject %v, serial number %v", leaf.Subject, leaf.SerialNumber)
	}
}
