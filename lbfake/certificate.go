package lbfake

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// Certificate is a certificate with its key, such as a *certfake.Certificate that has
// been issued. KeyPair makes one of a tls.Certificate.
type Certificate interface {
	// TLS returns the certificate, or why there is none yet.
	TLS() (tls.Certificate, error)
}

// KeyPair is a tls.Certificate as a Certificate: what IAM keeps for those who bring
// their own.
type KeyPair tls.Certificate

// TLS returns the certificate.
func (k KeyPair) TLS() (tls.Certificate, error) { return tls.Certificate(k), nil }

// certificates are those of a listener: the default one, and others for their names.
type certificates struct {
	all []*tls.Certificate // the default one first; all have their Leaf
}

func parseCertificates(certs []Certificate) (*certificates, error) {
	switch {
	case len(certs) == 0:
		return nil, refuse(codeCertNotFound, "A certificate must be specified for HTTPS listeners")
	case len(certs) > maxCertificates+1:
		return nil, refuse(codeTooManyCerts, "%d certificates, and %d besides the default one are allowed", len(certs), maxCertificates)
	}
	list := &certificates{}
	for i, c := range certs {
		pair, err := c.TLS()
		if err == nil && pair.Leaf == nil && len(pair.Certificate) > 0 {
			pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
		}
		if err != nil {
			return nil, refuse(codeCertificate, "certificate %d: %v", i, err)
		}
		if pair.Leaf == nil || pair.PrivateKey == nil {
			return nil, refuse(codeCertificate, "certificate %d has no certificate or no key", i)
		}
		list.all = append(list.all, &pair)
	}
	return list, nil
}

// choose returns the certificate for a client: without a server name, or with one that
// no certificate is for, the default one; of several for the name, the best that the
// client can use. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html
func (l *certificates) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	now := time.Now()
	nameless := *hello // the name is judged here, common names included
	nameless.ServerName = ""
	var fit []*tls.Certificate
	for _, c := range l.all {
		if hello.ServerName != "" && isFor(c.Leaf, hello.ServerName) {
			fit = append(fit, c)
		}
	}
	usable := slices.DeleteFunc(slices.Clone(fit), func(c *tls.Certificate) bool {
		return nameless.SupportsCertificate(c) != nil
	})
	if len(usable) > 0 {
		fit = usable
	}
	if len(fit) == 0 {
		return l.all[0]
	}
	slices.SortStableFunc(fit, func(a, b *tls.Certificate) int { return better(a.Leaf, b.Leaf, now) })
	return fit[0]
}

// isFor reports whether a certificate is for a name: one of its own, or below a
// wildcard by one label.
func isFor(leaf *x509.Certificate, name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	_, parent, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(append([]string{leaf.Subject.CommonName}, leaf.DNSNames...), func(own string) bool {
		own = strings.ToLower(own)
		return own != "" && (own == name || own == "*."+parent)
	})
}

// better orders two certificates for one name, the better first, by the documented
// criteria: kind of key, not expired, hash, length of the key, validity.
func better(a, b *x509.Certificate, now time.Time) int {
	return -cmp.Or(
		cmp.Compare(keyRank(a), keyRank(b)),
		cmp.Compare(validRank(a, now), validRank(b, now)),
		cmp.Compare(hashRank(a), hashRank(b)),
		cmp.Compare(keyBits(a), keyBits(b)),
		cmp.Compare(a.NotAfter.Sub(a.NotBefore), b.NotAfter.Sub(b.NotBefore)),
	)
}

func keyRank(c *x509.Certificate) int {
	if _, ok := c.PublicKey.(*ecdsa.PublicKey); ok {
		return 1
	}
	return 0
}

func validRank(c *x509.Certificate, now time.Time) int {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return 0
	}
	return 1
}

func hashRank(c *x509.Certificate) int {
	switch c.SignatureAlgorithm {
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return 4
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return 3
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		return 2
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		return 1
	}
	return 0
}

func keyBits(c *x509.Certificate) int {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize
	case *rsa.PublicKey:
		return k.N.BitLen()
	}
	return 0
}
