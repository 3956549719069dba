package webrequest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/certfake"
	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/lbfake"
	"github.com/netspec-go/netspec/netfake"
)

const domain = "seqas.online"

// site is the whole chain from the registrar to the application. What a row of the test
// removes, it removes by a field of without or by a change afterwards.
type site struct {
	world *netfake.World

	names       *dnsfake.System
	zone, other *dnsfake.HostedZone // ours, and our neighbour's in the same registry
	manager     *certfake.Manager
	certificate *certfake.Certificate

	vpc                *fabricfake.VPC
	public, private    []*fabricfake.Subnet // in zones a and b
	igw                *gatewayfake.InternetGateway
	publicACL          *fabricfake.NetworkACL
	webGroup, appGroup *fabricfake.SecurityGroup
	app                *fabricfake.Instance
	balancer           *lbfake.ApplicationLoadBalancer
	targets            *lbfake.TargetGroup
	listener           *lbfake.Listener // HTTPS
	browser            *netfake.Host
	application        http.HandlerFunc
	pending            error // why there is no certificate yet
}

// without is what the site is built without.
type without struct {
	delegation, gateway, route, record, validation, listener, target bool
	application                                                      http.HandlerFunc // instead of the usual one
	health                                                           string           // path of the health check
}

// build builds the site, from the outside to the inside and back.
func build(w *netfake.World, not without) *site {
	s := &site{world: w}
	s.build(not)
	return s
}

func (s *site) build(not without) {
	w := s.world
	s.names = dnsfake.New(w)
	s.browser = w.Internet().HostAt(netfake.Melbourne, "browser", "203.0.113.50")
	s.browser.SetResolvers(s.names.Resolver(netfake.Melbourne, "provider's resolver", "203.0.113.53").Addr())

	s.other = s.names.HostedZone("other.online")
	s.names.Register("other.online", s.other)
	s.zone = s.names.HostedZone(domain)
	if !not.delegation {
		s.names.Register(domain, s.zone)
	}
	s.manager = certfake.New(w, s.names).In("ap-southeast-2")
	s.certificate = s.manager.Request(domain, "*."+domain)
	for _, r := range s.certificate.ValidationRecords() {
		if !not.validation {
			s.zone.CNAME(r.Name, 5*time.Minute, r.Value)
		}
	}
	s.network(not)
	s.launch(not)
	s.balance(not)
	if !not.record {
		s.zone.Alias(domain, s.balancer)
	}
}

// network makes the VPC: a public and a private subnet in each of two zones.
func (s *site) network(not without) {
	s.vpc = fabricfake.NewVPC(s.world, "shop", "10.0.0.0/16")
	if !not.gateway {
		s.igw = gatewayfake.NewInternetGateway(s.vpc, "igw")
	}
	s.publicACL = s.vpc.NetworkACL("public").
		AllowIngress(100, "tcp/443", "0.0.0.0/0").
		AllowIngress(110, "tcp/80", "0.0.0.0/0").
		AllowIngress(120, "tcp/1024-65535", "10.0.0.0/16"). // what targets answer
		AllowEgress(100, "tcp/1024-65535", "0.0.0.0/0").    // what clients are answered
		AllowEgress(110, "tcp/80", "10.0.0.0/16")
	for i, zone := range []string{"a", "b"} {
		public := s.vpc.Subnet("public-"+zone, fmt.Sprintf("10.0.%d.0/24", i), zone).UseACL(s.publicACL)
		if s.igw != nil && !not.route {
			public.Route("0.0.0.0/0", s.igw)
		}
		s.public = append(s.public, public)
		s.private = append(s.private, s.vpc.Subnet("private-"+zone, fmt.Sprintf("10.0.1%d.0/24", i), zone))
	}
	s.webGroup = s.vpc.SecurityGroup("web").AllowIngress("tcp/443", fabricfake.Anywhere).AllowIngress("tcp/80", fabricfake.Anywhere)
	s.appGroup = s.vpc.SecurityGroup("app").AllowIngress("tcp/80", s.webGroup)
}

// launch starts the application on a private instance.
func (s *site) launch(not without) {
	s.application = func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "hello, %s", r.Header.Get("X-Forwarded-For"))
	}
	if not.application != nil {
		s.application = not.application
	}
	s.app = s.private[0].Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{s.appGroup}})
	s.app.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			io.WriteString(rw, "fine")
			return
		}
		s.application(rw, r)
	}))
}

// balance puts the load balancer in front, with the certificate once that is issued.
func (s *site) balance(not without) {
	path := not.health
	if path == "" {
		path = "/health"
	}
	s.targets = lbfake.NewTargetGroup(s.vpc, "app", lbfake.TargetGroupConfig{HealthCheck: lbfake.HealthCheck{Path: path}})
	if !not.target {
		s.targets.Register(s.app)
	}
	s.balancer = lbfake.NewApplication(s.vpc, "web", lbfake.ApplicationConfig{
		Subnets: s.public, Groups: fabricfake.Groups{s.webGroup}, DNS: s.names,
	})
	s.balancer.Listener(80, lbfake.HTTP, lbfake.ListenerConfig{Default: lbfake.Forward(s.targets)})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := s.certificate.Await(ctx); err != nil {
		s.pending = err
	} else if !not.listener {
		s.listener = s.balancer.Listener(443, lbfake.HTTPS, lbfake.ListenerConfig{
			Default: lbfake.Forward(s.targets), Certificates: []lbfake.Certificate{s.certificate},
		})
	}
	s.world.Sleep(2*time.Minute + time.Second) // time for two health checks and more
}

// visit opens a page in the browser and says what its user sees.
func (s *site) visit(url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := s.browser.HTTPClient().Do(req)
	if err != nil {
		return complaint(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return complaint(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return string(body)
}

// complaint is how a browser words an error.
func complaint(err error) string {
	var dns *net.DNSError
	var name x509.HostnameError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "server not found"
	case errors.As(err, &name):
		return "certificate is for " + name.Certificate.Subject.CommonName
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "took too long to respond"
	}
	return err.Error()
}
