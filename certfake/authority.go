package certfake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"
)

// Validity is how long a certificate is good, from the second at which it is issued
// (ACM user guide, page acm-certificate-characteristics).
const Validity = 198 * 24 * time.Hour

// caValidity is how long root and intermediate are good, from the world's beginning.
const caValidity = 25 * 365 * 24 * time.Hour

// authority is a certification authority: a root that clients trust, and an
// intermediate that signs. Keys, serial numbers and signatures depend on the seed
// alone, so a run with the same seed issues the same bytes.
type authority struct {
	seed         uint64
	root         *x509.Certificate
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey // the intermediate's
}

func newAuthority(seed uint64, now time.Time) (*authority, error) {
	a := &authority{seed: seed}
	rootKey, err := newKey(seed, "root")
	if err != nil {
		return nil, err
	}
	if a.key, err = newKey(seed, "intermediate"); err != nil {
		return nil, err
	}
	root := a.caTemplate("Netspec Root CA 1", 1, now)
	if a.root, err = sign(root, root, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	intermediate := a.caTemplate("Netspec ECDSA 256 M01", 0, now)
	a.intermediate, err = sign(intermediate, a.root, &a.key.PublicKey, rootKey)
	return a, err
}

func (a *authority) caTemplate(name string, below int, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(a.seed, name),
		Subject:               pkix.Name{Country: []string{"AU"}, Organization: []string{"Netspec"}, CommonName: name},
		NotBefore:             now.Truncate(time.Second),
		NotAfter:              now.Truncate(time.Second).Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            below,
		MaxPathLenZero:        below == 0,
	}
}

// issue signs a certificate for names, the first of which is the subject. id makes its
// key and number differ from those of others for the same names.
func (a *authority) issue(names []string, id string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey(a.seed, "leaf", id)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber:          serial(a.seed, "leaf", id),
		Subject:               pkix.Name{CommonName: names[0]},
		DNSNames:              names,
		NotBefore:             now.Truncate(time.Second),
		NotAfter:              now.Truncate(time.Second).Add(Validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, a.intermediate, &key.PublicKey, a.key)
	return leaf, key, err
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, plainSigner{key})
	if err != nil {
		return nil, fmt.Errorf("certfake: sign %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// plainSigner signs as RFC 6979 says, without randomness: Go's own signer draws some
// unless it is handed none.
type plainSigner struct{ key *ecdsa.PrivateKey }

func (s plainSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s plainSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(nil, digest, opts)
}

// newKey returns a P-256 key made of the seed and words. ecdsa.GenerateKey would not
// do: since Go 1.26 it draws from the system whatever reader it is given. One hash in
// 2^32 is no key, and then the next is taken.
func newKey(seed uint64, words ...string) (*ecdsa.PrivateKey, error) {
	raw := digest(seed, append([]string{"key"}, words...)...)
	for range 4 {
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw[:]); err == nil {
			return key, nil
		}
		raw = digest(seed, string(raw[:]))
	}
	return nil, fmt.Errorf("certfake: no key can be made of seed %d", seed)
}

// serial returns a number of 126 bits: positive, and with one length for all.
func serial(seed uint64, words ...string) *big.Int {
	d := digest(seed, append([]string{"serial"}, words...)...)
	d[0] = d[0]&0x3f | 0x40
	return new(big.Int).SetBytes(d[:16])
}
