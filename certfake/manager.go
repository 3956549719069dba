package certfake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/netfake"
)

const (
	// DefaultRegion is the region of the Manager that New returns.
	DefaultRegion = "us-east-1"

	// PollInterval is how long the manager waits between two looks for a certificate's
	// records during the first hour, and SlowPollInterval how long after that. ACM
	// tells no such numbers.
	PollInterval     = time.Minute
	SlowPollInterval = 10 * time.Minute

	// ValidationTimeout is when it stops to look (API, CertificateStatus).
	ValidationTimeout = 72 * time.Hour

	account = "123456789012"
)

// Manager requests certificates in one region. Its methods are safe for concurrent use.
type Manager struct {
	*office
	region string
}

// office is what the managers of all regions share: the authority, and the machines
// from which it looks at DNS.
type office struct {
	world     *netfake.World
	tb        netfake.TB
	authority *authority
	host      *netfake.Host
	resolver  *dnsfake.Resolver

	mu       sync.Mutex
	requests int
}

// New makes a certification authority that every client of the world trusts from now
// on, and returns the manager of its DefaultRegion. It looks at public DNS from a host
// of its own, through a recursive resolver of its own. A world has one; a second one
// fails the test.
func New(w *netfake.World, sys *dnsfake.System) *Manager {
	tb := w.TB()
	tb.Helper()
	a, err := newAuthority(w.Seed(), w.Time(0))
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	w.TrustCA(a.root)
	return &Manager{region: DefaultRegion, office: &office{
		world: w, tb: tb, authority: a,
		host:     w.Internet().HostAt(netfake.Ashburn, "certificate validator", "52.94.133.10"),
		resolver: sys.Resolver(netfake.Ashburn, "certificate validator's resolver", "52.94.133.53"),
	}}
}

var regionShape = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)

// In returns the manager of another region. A domain that was proved for one region is
// proved for all, with the same record.
func (m *Manager) In(region string) *Manager {
	m.tb.Helper()
	if !regionShape.MatchString(region) {
		m.tb.Fatalf("certfake: %q is not a region", region)
	}
	return &Manager{office: m.office, region: region}
}

// Region returns the manager's region.
func (m *Manager) Region() string { return m.region }

// Request asks for a certificate for a domain and further names, each of which may be a
// wildcard. It is PendingValidation until its ValidationRecords are in public DNS; the
// manager looks at once and then every PollInterval, later every SlowPollInterval. A
// request that ACM would refuse fails the test.
func (m *Manager) Request(domain string, more ...string) *Certificate {
	m.tb.Helper()
	names, err := checkNames(append([]string{domain}, more...))
	if err != nil {
		m.tb.Fatalf("%v", err)
		return nil
	}
	c := &Certificate{
		manager: m, names: names, proved: map[string]bool{},
		decided: make(chan struct{}), ended: make(chan struct{}),
	}
	c.arn = m.newARN(names)
	seen := map[string]bool{}
	for _, name := range names {
		if base := baseName(name); !seen[base] {
			seen[base] = true
			c.records = append(c.records, recordFor(m.world.Seed(), base))
		}
	}
	m.world.Go(func(ctx context.Context) {
		defer close(c.ended)
		m.validate(ctx, c)
	})
	return c
}

// newARN numbers the requests, so that two for the same names differ.
func (m *Manager) newARN(names []string) string {
	m.mu.Lock()
	m.requests++
	n := m.requests
	m.mu.Unlock()
	d := digest(m.world.Seed(), "arn", fmt.Sprint(n), strings.Join(names, " "))
	return fmt.Sprintf("arn:aws:acm:%s:%s:certificate/%x-%x-%x-%x-%x", m.region, account, d[:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

// validate looks for a certificate's records until they are all there or the time is
// over.
func (m *Manager) validate(ctx context.Context, c *Certificate) {
	start := time.Now()
	for age := time.Duration(0); age < ValidationTimeout; age = nextLook(age) {
		if !sleepUntil(ctx, start.Add(age)) || m.poll(ctx, c) {
			return
		}
	}
	if sleepUntil(ctx, start.Add(ValidationTimeout)) {
		c.fail(ValidationTimedOut, "")
	}
}

// nextLook returns the age of a request at the look after the one at age.
func nextLook(age time.Duration) time.Duration {
	if age < time.Hour {
		return age + PollInterval
	}
	return age + SlowPollInterval
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// poll looks once, with nothing remembered from before, and reports whether the
// certificate's fate is decided. A record once seen need not be seen again.
func (m *Manager) poll(ctx context.Context, c *Certificate) (decided bool) {
	m.resolver.Flush()
	for _, r := range c.Missing() {
		ok, err := proves(r, m.aliasOf(ctx))
		if err == nil && ok {
			c.saw(r.Domain)
		}
	}
	if len(c.Missing()) > 0 {
		return false
	}
	for _, name := range c.names {
		ok, err := permitted(name, m.caaOf(ctx))
		switch {
		case err != nil:
			return false
		case !ok:
			c.fail(Failed, CAAError)
			return true
		}
	}
	return m.issue(c)
}

// issue makes the certificate usable.
func (m *Manager) issue(c *Certificate) bool {
	leaf, key, err := m.authority.issue(c.names, c.arn, time.Now())
	if err != nil {
		m.tb.Errorf("%v", err)
		return false
	}
	c.mu.Lock()
	c.state, c.leaf = Issued, leaf
	c.chain = tls.Certificate{
		Certificate: [][]byte{leaf.Raw, m.authority.intermediate.Raw},
		PrivateKey:  key,
		Leaf:        leaf,
	}
	c.mu.Unlock()
	close(c.decided)
	return true
}

// errNoAnswer is a look that told nothing, neither yes nor no.
var errNoAnswer = errors.New("certfake: public DNS gives no answer")

// dig asks the authority's resolver. It asks again while the resolver is still
// searching.
func (m *Manager) dig(ctx context.Context, name string, typ dnsfake.Type) (*dnsfake.Reply, error) {
	for range int(dnsfake.ResolveTimeout/dnsfake.ExchangeTimeout) + 1 {
		reply, err := dnsfake.Dig(ctx, m.host, m.resolver.Addr(), name, typ)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			continue
		case reply.Status != "NOERROR" && reply.Status != "NXDOMAIN":
			return nil, errNoAnswer
		}
		return reply, nil
	}
	return nil, errNoAnswer
}

func (m *Manager) aliasOf(ctx context.Context) aliasOf {
	return func(name string) (string, error) {
		reply, err := m.dig(ctx, name, dnsfake.CNAME)
		if err != nil {
			return "", err
		}
		for _, r := range reply.Answer {
			if r.Type == dnsfake.CNAME && r.Name == name {
				return r.Value, nil
			}
		}
		return "", nil
	}
}

func (m *Manager) caaOf(ctx context.Context) caaOf {
	return func(name string) ([]string, error) {
		reply, err := m.dig(ctx, name, dnsfake.CAA)
		if err != nil {
			return nil, err
		}
		return reply.Values(dnsfake.CAA), nil
	}
}
