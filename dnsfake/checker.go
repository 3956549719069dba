package dnsfake

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// regions are the eight from which Route 53 checks by default, with an address of each
// region's range in ip-ranges.json, service ROUTE53_HEALTHCHECKS. That there is one
// checker in each is this package's simplification.
var regions = []struct {
	name  string
	addr  string
	place netfake.Place
}{
	{"us-east-1", "54.243.31.193", netfake.Ashburn},
	{"us-west-1", "54.183.255.129", netfake.Place{City: "San Francisco", Country: "US", Lat: 37.77, Lon: -122.42}},
	{"us-west-2", "54.244.52.193", netfake.Portland},
	{"eu-west-1", "54.228.16.1", netfake.Place{City: "Dublin", Country: "IE", Lat: 53.35, Lon: -6.26}},
	{"ap-southeast-1", "54.255.254.193", netfake.Singapore},
	{"ap-southeast-2", "54.252.254.193", netfake.Sydney},
	{"ap-northeast-1", "54.250.253.193", netfake.Tokyo},
	{"sa-east-1", "177.71.207.129", netfake.Place{City: "São Paulo", Country: "BR", Lat: -23.55, Lon: -46.63}},
}

// HealthCheck begins to check an endpoint's health from the internet. A config that
// Route 53 would refuse fails the test.
func (sys *System) HealthCheck(cfg HealthCheckConfig) *HealthCheck {
	sys.tb.Helper()
	cfg, err := cfg.complete()
	if err != nil {
		sys.tb.Fatalf("%v", err)
		return &HealthCheck{healthy: true}
	}
	hosts, number := sys.checkerHosts()
	h := keyed(sys.world.Seed(), "health check", fmt.Sprint(number))
	hc := &HealthCheck{
		id:  fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", h>>32, h>>16&0xffff, h>>4&0xfff, h&0xfff, mix(h, 1)>>16),
		cfg: cfg, now: sys.world.Now, healthy: true, checkers: make([]opinion, len(hosts)),
	}
	start := time.Now()
	for i, host := range hosts {
		sys.world.Go(func(ctx context.Context) {
			for n := time.Duration(1); sleepUntil(ctx, start.Add(n*cfg.Interval)); n++ {
				passed := hc.probe(ctx, host)
				if ctx.Err() == nil {
					hc.report(i, passed)
				}
			}
		})
	}
	return hc
}

// checkerHosts returns the checkers, and how many health checks there were before. The
// first call puts them on the internet.
func (sys *System) checkerHosts() ([]*netfake.Host, int) {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	if sys.checkers == nil {
		for _, r := range regions {
			h := sys.world.Internet().HostAt(r.place, "route53-checker "+r.name, r.addr)
			sys.checkers = append(sys.checkers, h)
		}
	}
	sys.checks++
	return sys.checkers, sys.checks
}

// sleepUntil waits and reports whether ctx lasted.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// probe asks the endpoint once from a checker.
func (hc *HealthCheck) probe(ctx context.Context, from *netfake.Host) bool {
	limit := ConnectTimeout
	if hc.cfg.Type == TCP {
		limit = TCPConnectTimeout
	}
	dialling, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := from.DialContext(dialling, "tcp", hc.cfg.Endpoint.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	if hc.cfg.Type == TCP {
		return true
	}
	status, err := hc.get(ctx, conn)
	return err == nil && status >= 200 && status <= 399
}

// get asks for the path over a connection that stands, and returns the status. It
// follows no redirect and checks no certificate.
func (hc *HealthCheck) get(ctx context.Context, conn net.Conn) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, ResponseTimeout)
	defer cancel()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: hc.cfg.FQDN},
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if hc.cfg.Type == HTTPS {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+hc.cfg.Endpoint.String()+hc.cfg.Path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = hc.cfg.host()
	req.Header.Set("User-Agent", fmt.Sprintf("Amazon-Route53-Health-Check-Service (ref %s; report http://amzn.to/1vsZADi)", hc.id))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}
