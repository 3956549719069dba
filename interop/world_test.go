package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// rtt is how long a packet between the two zones and its answer take together.
const rtt = 2 * fabricfake.LatencyZones

// pair is a client and a server in different subnets and zones of one VPC.
type pair struct {
	client, server *fabricfake.Instance
	link           *netfake.Link // the substrate between them
}

// newPair builds a pair whose server lets the client in to what perm names, and nobody
// else.
func newPair(w *netfake.World, perm string) pair {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	callers := vpc.SecurityGroup("callers")
	service := vpc.SecurityGroup("service").AllowIngress(perm, callers)
	launch := func(name, cidr, zone string, group *fabricfake.SecurityGroup) *fabricfake.Instance {
		return vpc.Subnet(name+"-"+zone, cidr, zone).Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{group}})
	}
	return pair{
		client: launch("client", "10.0.1.0/24", "a", callers),
		server: launch("server", "10.0.2.0/24", "b", service),
		link:   vpc.Region().Link("a", "b"),
	}
}

// listen opens a TCP port of the server.
func (p pair) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := p.server.Listen("tcp", address)
	must(t, err)
	return l
}

// address returns the server's address with a port.
func (p pair) address(port string) string {
	return net.JoinHostPort(p.server.Addr().String(), port)
}

// certificate returns a certificate for the server's address which the world trusts.
func (p pair) certificate(t *testing.T, w *netfake.World) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             w.Time(0).Add(-time.Hour),
		NotAfter:              w.Time(0).Add(24 * time.Hour),
		IPAddresses:           []net.IP{p.server.Addr().AsSlice()},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	w.TrustCA(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// took fails the test unless what began at start, in time since the world's beginning,
// has taken exactly want until now.
func took(t *testing.T, what string, w *netfake.World, start, want time.Duration) {
	t.Helper()
	if got := w.Now() - start; got != want {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

// pattern returns n bytes that repeat only after 251 of them, so that bytes which went
// missing or came twice show.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}
