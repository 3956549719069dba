package dnsfake

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ProbeType is how a health check asks its endpoint.
type ProbeType uint8

// The types of health check.
const (
	HTTP  ProbeType = iota // GET over TCP; a status from 200 to 399 is healthy
	HTTPS                  // the same over TLS, whatever certificate is shown
	TCP                    // a connection is all
)

// String returns the type as the API writes it.
func (p ProbeType) String() string {
	switch p {
	case HTTPS:
		return "HTTPS"
	case TCP:
		return "TCP"
	}
	return "HTTP"
}

// The numbers of Route 53's health checks (developer guide, "How Route 53 determines
// whether a health check is healthy").
const (
	DefaultInterval         = 30 * time.Second // between two probes of one checker
	FastInterval            = 10 * time.Second // the only other interval there is
	DefaultFailureThreshold = 3                // probes in a row that change a checker's mind
	ConnectTimeout          = 4 * time.Second  // to connect, for HTTP and HTTPS
	TCPConnectTimeout       = 10 * time.Second // to connect, for TCP
	ResponseTimeout         = 2 * time.Second  // from the connection to the status

	// HealthyPercent is what the share of checkers that see the endpoint healthy must
	// exceed for the health check to be healthy.
	HealthyPercent = 18
)

// HealthCheckConfig says what a health check probes. The zero value lacks an endpoint;
// everything else has Route 53's default.
type HealthCheckConfig struct {
	// Endpoint is the public address and port to probe. If the port is 0, it is 80 for
	// HTTP and 443 for HTTPS; TCP needs one.
	Endpoint netip.AddrPort

	Type ProbeType // if zero, HTTP

	// FQDN is the Host header and, for HTTPS, the server name of the handshake. If
	// empty, the header is the address, and no server name is sent.
	FQDN string

	// Path is what is asked for, with a query if it has one. A missing slash in front
	// is put there. At most 255 characters.
	Path string

	// Interval is DefaultInterval or FastInterval. If 0, it is DefaultInterval.
	Interval time.Duration

	// FailureThreshold is how many probes in a row, from 1 to 10, make a checker change
	// its mind, in both directions. If 0, it is DefaultFailureThreshold.
	FailureThreshold int
}

func (c HealthCheckConfig) complete() (HealthCheckConfig, error) {
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.FailureThreshold == 0 {
		c.FailureThreshold = DefaultFailureThreshold
	}
	if c.Endpoint.Port() == 0 && c.Type != TCP {
		c.Endpoint = netip.AddrPortFrom(c.Endpoint.Addr(), c.defaultPort())
	}
	if !strings.HasPrefix(c.Path, "/") {
		c.Path = "/" + c.Path
	}
	switch addr := c.Endpoint.Addr(); {
	case !addr.Is4():
		return c, inputError("health check: Endpoint %v is no IPv4 address and port", c.Endpoint)
	case !addr.IsGlobalUnicast() || addr.IsPrivate() || carrierGrade.Contains(addr):
		return c, inputError("health check: %v is private, and the checkers are on the internet", addr)
	case c.Endpoint.Port() == 0:
		return c, inputError("health check: a TCP health check needs a port")
	case c.Type > TCP:
		return c, inputError("health check: Type is HTTP, HTTPS or TCP")
	case c.Interval != DefaultInterval && c.Interval != FastInterval:
		return c, inputError("health check: RequestInterval is 10s or 30s, not %v", c.Interval)
	case c.FailureThreshold < 1 || c.FailureThreshold > 10:
		return c, inputError("health check: FailureThreshold is from 1 to 10, not %d", c.FailureThreshold)
	case len(c.Path) > 255:
		return c, inputError("health check: ResourcePath has %d characters, and may have 255", len(c.Path))
	}
	if _, err := url.ParseRequestURI(c.Path); err != nil {
		return c, inputError("health check: ResourcePath %q: %v", c.Path, err)
	}
	return c, nil
}

// carrierGrade is RFC 6598's shared address space.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

func (c HealthCheckConfig) defaultPort() uint16 {
	if c.Type == HTTPS {
		return 443
	}
	return 80
}

// host returns the Host header: the name, with the port if it is not the usual one.
func (c HealthCheckConfig) host() string {
	name := c.FQDN
	if name == "" {
		name = c.Endpoint.Addr().String()
	}
	if c.Endpoint.Port() == c.defaultPort() {
		return name
	}
	return net.JoinHostPort(name, fmt.Sprint(c.Endpoint.Port()))
}

// HealthCheck probes an endpoint from Route 53's checkers around the world, until the
// world ends. All methods are safe for concurrent use.
//
// Every checker probes at whole multiples of the interval after the health check was
// made: one made at 0 with the defaults probes at 30s, 60s, 90s. A checker changes its
// mind after FailureThreshold probes in a row that contradict it, at the moment when
// the last of them ends: an endpoint that falls silent at 65s misses the probes of 90s,
// 120s and 150s, and each takes ConnectTimeout to fail, so the check is unhealthy from
// 154s. In general, silence from T after the check was made on is noticed at
//
//	(⌊T / Interval⌋ + FailureThreshold) × Interval + ConnectTimeout
//
// with TCPConnectTimeout for TCP. An endpoint that answers, but wrongly, is noticed
// earlier, by each checker when the answer reaches it.
//
// A health check is healthy while more than HealthyPercent of the checkers say so; with
// eight of them that is two. A new one is healthy.
//
// Route 53 has some sixteen checkers for a health check, which do not probe in step.
type HealthCheck struct {
	id  string
	cfg HealthCheckConfig
	now func() time.Duration

	mu       sync.Mutex
	checkers []opinion
	healthy  bool
	probes   int
	history  []HealthChange
}

// HealthChange is a moment at which a health check changed its mind.
type HealthChange struct {
	At      time.Duration // since the world's beginning
	Healthy bool          // from then on
}

// ID returns the health check's id, which is in its probes' User-Agent.
func (hc *HealthCheck) ID() string { return hc.id }

// String returns the type and the endpoint.
func (hc *HealthCheck) String() string { return fmt.Sprintf("%v %v", hc.cfg.Type, hc.cfg.Endpoint) }

// Healthy reports what the health check thinks now.
func (hc *HealthCheck) Healthy() bool {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	return hc.healthy
}

// History returns every change of mind so far, oldest first.
func (hc *HealthCheck) History() []HealthChange {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	return append([]HealthChange(nil), hc.history...)
}

// Probes returns how many probes have ended.
func (hc *HealthCheck) Probes() int {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	return hc.probes
}

// report takes the result of a probe by one checker.
func (hc *HealthCheck) report(checker int, passed bool) {
	at := hc.now()
	hc.mu.Lock()
	defer hc.mu.Unlock()
	hc.probes++
	hc.checkers[checker].take(passed, hc.cfg.FailureThreshold)
	if healthy := majority(hc.checkers); healthy != hc.healthy {
		hc.healthy = healthy
		hc.history = append(hc.history, HealthChange{at, healthy})
	}
}

// opinion is what one checker thinks.
type opinion struct {
	unhealthy bool
	against   int // probes in a row that contradict it
}

// take counts a probe, and turns the opinion when enough in a row contradict it.
func (o *opinion) take(passed bool, threshold int) {
	if passed != o.unhealthy {
		o.against = 0
		return
	}
	if o.against++; o.against >= threshold {
		o.unhealthy, o.against = !o.unhealthy, 0
	}
}

// majority reports whether enough checkers see the endpoint healthy.
func majority(checkers []opinion) bool {
	healthy := 0
	for _, o := range checkers {
		if !o.unhealthy {
			healthy++
		}
	}
	return healthy*100 > HealthyPercent*len(checkers)
}
