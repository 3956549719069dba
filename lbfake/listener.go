package lbfake

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
)

// Protocol is what a listener speaks. The zero Protocol is HTTP.
type Protocol uint8

// The protocols.
const (
	HTTP  Protocol = iota
	HTTPS          // with HTTP/2 for clients that want it
)

// String returns "HTTP" or "HTTPS".
func (p Protocol) String() string {
	if p == HTTPS {
		return "HTTPS"
	}
	return "HTTP"
}

// scheme returns the protocol as URLs and X-Forwarded-Proto have it.
func (p Protocol) scheme() string {
	if p == HTTPS {
		return "https"
	}
	return "http"
}

// The quotas of listeners. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const (
	maxListeners    = 50
	maxRules        = 100 // besides default rules
	maxCertificates = 25  // besides the default certificate
)

// ListenerConfig shapes a listener.
type ListenerConfig struct {
	// Default is what becomes of requests that no rule matches. There is no default.
	Default Action

	// Certificates are those of an HTTPS listener, which needs one at least: the first
	// is shown to clients that name no host, or one that none of them is for.
	Certificates []Certificate
}

// Listener is a port of a load balancer, with rules. All methods are safe for
// concurrent use.
type Listener struct {
	balancer *ApplicationLoadBalancer
	port     uint16
	protocol Protocol
	servers  []*http.Server
	certs    atomic.Pointer[certificates]

	rules []*Rule // by priority, the default rule last; guarded by balancer.mu
}

// Listener opens a port at every node. A port that has a listener fails the test with
// DuplicateListener, HTTPS without a certificate with CertificateNotFound, one that
// cannot be used with UnsupportedCertificate, a group that serves another load balancer
// with TargetGroupAssociationLimit.
func (b *ApplicationLoadBalancer) Listener(port uint16, protocol Protocol, cfg ListenerConfig) *Listener {
	b.world.TB().Helper()
	l := &Listener{balancer: b, port: port, protocol: protocol}
	err := l.configure(cfg)
	if err == nil {
		err = l.open()
	}
	if err != nil {
		b.world.TB().Fatalf("%v (%v)", err, l)
	}
	return l
}

func (l *Listener) configure(cfg ListenerConfig) error {
	b := l.balancer
	if l.port == 0 {
		return refuse(codeValidation, "port 0 is not within 1 and 65535")
	}
	if err := l.setCertificates(cfg.Certificates); err != nil {
		return err
	}
	b.mu.Lock()
	taken := slices.ContainsFunc(b.listeners, func(o *Listener) bool { return o.port == l.port })
	full := len(b.listeners) >= maxListeners
	b.mu.Unlock()
	switch {
	case taken:
		return refuse(codeDuplicatePort, "A listener already exists on this port for this load balancer")
	case full:
		return refuse(codeTooManyListeners, "%v has %d listeners", b, maxListeners)
	}
	if err := l.take(cfg.Default); err != nil {
		return err
	}
	l.rules = []*Rule{{listener: l, action: cfg.Default}}
	return nil
}

// take checks an action and makes the load balancer serve the group that it forwards
// to.
func (l *Listener) take(a Action) error {
	if a == nil {
		return refuse(codeAction, "an action is needed")
	}
	if err := a.check(l); err != nil {
		return err
	}
	if g := a.forwards(); g != nil {
		return g.use(l.balancer)
	}
	return nil
}

func (l *Listener) open() error {
	b := l.balancer
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	b.mu.Unlock()
	for _, n := range b.nodes {
		if err := n.serve(l); err != nil {
			return fmt.Errorf("lbfake: %w", err)
		}
	}
	return nil
}

// String returns "alb web HTTP:80".
func (l *Listener) String() string {
	return fmt.Sprintf("%v %v:%d", l.balancer, l.protocol, l.port)
}

// SetDefault changes what becomes of requests that no rule matches.
func (l *Listener) SetDefault(a Action) {
	b := l.balancer
	b.world.TB().Helper()
	if err := l.take(a); err != nil {
		b.world.TB().Fatalf("%v (%v)", err, l)
	}
	b.mu.Lock()
	last := len(l.rules) - 1
	old := l.rules[last]
	l.rules = slices.Clone(l.rules)
	l.rules[last] = &Rule{listener: l, action: a}
	b.mu.Unlock()
	old.release()
}

// SetCertificates changes an HTTPS listener's certificates, as ListenerConfig has them.
// Connections that are open keep theirs.
func (l *Listener) SetCertificates(certs ...Certificate) {
	l.balancer.world.TB().Helper()
	if err := l.setCertificates(certs); err != nil {
		l.balancer.world.TB().Fatalf("%v (%v)", err, l)
	}
}

func (l *Listener) setCertificates(certs []Certificate) error {
	if l.protocol != HTTPS {
		if len(certs) > 0 {
			return refuse(codeConfiguration, "A certificate cannot be specified for HTTP listeners")
		}
		return nil
	}
	list, err := parseCertificates(certs)
	if err != nil {
		return err
	}
	l.certs.Store(list)
	return nil
}

// Delete closes the port at every node. Requests that are on their way end as if the
// nodes had died.
func (l *Listener) Delete() {
	b := l.balancer
	b.mu.Lock()
	i := slices.Index(b.listeners, l)
	if i < 0 {
		b.mu.Unlock()
		return
	}
	b.listeners = slices.Delete(slices.Clone(b.listeners), i, i+1)
	rules := l.rules
	b.mu.Unlock()
	for _, s := range l.servers {
		s.Close()
	}
	for _, r := range rules {
		r.release()
	}
}

// wrap puts TLS around what a node accepts for the listener.
func (l *Listener) wrap(accept net.Listener) net.Listener {
	if l.protocol != HTTPS {
		return accept
	}
	return tls.NewListener(accept, &tls.Config{
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return l.certs.Load().choose(hello), nil
		},
	})
}

// snapshot returns the rules as they are now.
func (l *Listener) snapshot() []*Rule {
	l.balancer.mu.Lock()
	defer l.balancer.mu.Unlock()
	return l.rules
}
