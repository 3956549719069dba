// Package webrequest is one request for a web page, end to end: from a browser in
// Melbourne through delegation, Route 53, a certificate that was proved by DNS, a load
// balancer in two zones and a VPC to an instance that has no public address.
//
// What breaks in production: any one link of that chain, and what the user sees says
// little about which. What the tests prove: with every link in place the page arrives;
// with one removed, what the user sees, and which component and which of its rules is to
// blame.
package webrequest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/assert/journey"
	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

const page = "hello, 203.0.113.50"

func TestWebRequest(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := build(w, without{})
		assert.Equal(t, s.visit("https://"+domain), page)
		node := s.balancer.Node("a")
		assert.Reachable(t, s.browser, s.front(443), assert.Through(w.Internet(), s.igw, s.publicACL, s.webGroup))
		assert.Reachable(t, node, s.app.TCP(80), assert.Through(s.webGroup, s.publicACL, s.appGroup))
		assert.Unreachable(t, s.browser, s.app.TCP(80), assert.BlockedBy(w.Internet()))
	})
}

// front is the load balancer's first address.
func (s *site) front(port uint16) netfake.Endpoint {
	addrs, _ := s.balancer.Addrs()
	return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(addrs[0], port)}
}

// blame is what finds the culprit: a component, and its rule.
type blame func(*site) (component, rule string)

// One link of the chain is removed at a time.
func TestMissingLink(t *testing.T) {
	internalError := func(rw http.ResponseWriter, r *http.Request) { http.Error(rw, "oops", http.StatusInternalServerError) }
	tooSlow := func(rw http.ResponseWriter, r *http.Request) { time.Sleep(90 * time.Second) }
	for _, row := range []struct {
		name   string
		not    without
		change func(*site) // of what was built
		sees   string
		blame  blame
		by     string
		rule   string
	}{
		// Names: the user's resolver finds no server, or no address.
		{"no delegation", without{delegation: true}, nil,
			"server not found", resolution, "a.nic.online", "NXDOMAIN"},
		{"no record in the hosted zone", without{record: true}, nil,
			"server not found", resolution, "Route 53", "NOERROR, but no answer"},

		// Certificates: without one there is no HTTPS.
		{"no validation record", without{validation: true}, nil,
			"connection refused", (*site).validation, "certificate", "PENDING_VALIDATION"},
		{"the certificate of another domain on the listener", without{}, (*site).otherCertificate,
			"certificate is for other.online", (*site).shown, "alb web HTTPS:443", "other.online"},
		{"no listener", without{listener: true}, nil,
			"connection refused", (*site).wayIn, "alb web", "nobody listens on tcp/443"},

		// The way in: silence.
		{"no internet gateway", without{gateway: true}, nil,
			"server not found", (*site).refusal, "the API", "InvalidSubnet"},
		{"no public route", without{route: true}, nil,
			"took too long to respond", (*site).wayIn, "rtb main of shop", "no route to 203.0.113.50"},
		{"the load balancer's group is closed", without{}, func(s *site) { s.webGroup.RevokeIngress("tcp/443", fabricfake.Anywhere) },
			"took too long to respond", (*site).wayIn, "sg web", "no rule matches"},
		{"the ACL is closed inbound", without{}, func(s *site) { s.publicACL.RemoveIngress(100) },
			"took too long to respond", (*site).wayIn, "acl public", "rule *"},
		{"the ACL is closed for replies", without{}, func(s *site) { s.publicACL.RemoveEgress(100) },
			"took too long to respond", (*site).wayIn, "acl public", "rule *"},

		// Behind the load balancer: it answers by itself.
		{"the target group is empty", without{target: true}, nil,
			"503 Service Unavailable", (*site).accessLog, "target group app", "no registered targets"},
		{"the target's group is closed to the load balancer", without{}, func(s *site) { s.appGroup.RevokeIngress("tcp/80", s.webGroup) },
			"504 Gateway Timeout", (*site).wayToTarget, "sg app", "there is no ingress rule"},
		{"the instance has crashed", without{}, func(s *site) { s.app.Crash() },
			"504 Gateway Timeout", (*site).wayToTarget, "app", "the host is down"},
		{"the application takes longer than the idle timeout", without{application: tooSlow}, nil,
			"504 Gateway Timeout", (*site).accessLog, "app", "no response before the idle timeout"},

		// All targets fail their health checks: the load balancer fails open, and the
		// application, which works, is asked all the same.
		{"all targets fail their health checks", without{health: "/no-such-page", application: notFoundUnlessRoot}, nil,
			page, (*site).health, "app", "Health checks failed with these codes: [404]"},

		// The application's own errors pass through.
		{"the application returns 500", without{application: internalError}, nil,
			"500 Internal Server Error", (*site).accessLog, "app", "500"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := &api{T: t}
				s := &site{world: netfake.New(tb, netfake.Config{})}
				tb.try(func() { s.build(row.not) })
				if row.change != nil {
					row.change(s)
				}
				if sees := s.visit("https://" + domain); sees != row.sees {
					t.Errorf("the user sees %q, want %q", sees, row.sees)
				}
				if by, rule := row.blame(s); !strings.Contains(by, row.by) || !strings.Contains(rule, row.rule) {
					t.Errorf("to blame is %s: %s; want %s: %s", by, rule, row.by, row.rule)
				}
			})
		})
	}
}

func notFoundUnlessRoot(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(rw, r)
		return
	}
	fmt.Fprintf(rw, "hello, %s", r.Header.Get("X-Forwarded-For"))
}

// api is a test that outlives what the API refuses: the builder that asked for it ends,
// and the test goes on with what is there.
type api struct {
	*testing.T
	refusal string
}

func (a *api) Fatalf(format string, args ...any) {
	a.refusal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// try runs a builder until it is done or refused.
func (a *api) try(build func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		build()
	}()
	<-done
}

// refusal blames what the API said when the site was built.
func (s *site) refusal() (by, rule string) { return "the API", s.world.TB().(*api).refusal }

// resolution walks down from the root, and blames the server that has no answer.
func resolution(s *site) (by, rule string) {
	server, by := netip.MustParseAddr(dnsfake.RootServerAddr), dnsfake.RootServer
	for {
		reply, err := dnsfake.Dig(s.world.TB().Context(), s.browser, server, domain, dnsfake.A)
		switch {
		case err != nil:
			return by, err.Error()
		case reply.Status != "NOERROR":
			return by, reply.Status
		case len(reply.Answer) > 0:
			return by, "answers"
		case reply.Authoritative:
			return by, reply.Status + ", but no answer"
		}
		server, by = next(s, reply)
	}
}

// next follows a referral: to a server whose address came with it, or to the zone's own.
func next(s *site, reply *dnsfake.Reply) (server netip.Addr, by string) {
	for _, glue := range reply.Additional {
		if glue.Type == dnsfake.A {
			return netip.MustParseAddr(glue.Value), glue.Name
		}
	}
	ns := s.zone.NameServers()[0]
	return ns.Addr, "Route 53's " + ns.Name
}

// validation blames a certificate that nobody has proved.
func (s *site) validation() (by, rule string) {
	return "certificate", fmt.Sprint(s.certificate.State(), " ", s.pending)
}

// otherCertificate puts the certificate of another domain on the listener.
func (s *site) otherCertificate() {
	other := s.manager.Request("other.online")
	for _, r := range other.ValidationRecords() {
		s.other.CNAME(r.Name, time.Minute, r.Value)
	}
	if err := other.Await(s.world.TB().Context()); err != nil {
		s.world.TB().Fatalf("%v", err)
	}
	s.listener.SetCertificates(other)
}

// shown blames the certificate that the load balancer shows.
func (s *site) shown() (by, rule string) {
	addrs, _ := s.balancer.Addrs()
	return s.listener.String(), certificateAt(s.browser, netip.AddrPortFrom(addrs[0], 443))
}

// wayIn blames what stands between the browser and the load balancer.
func (s *site) wayIn() (by, rule string) { return blocker(s.browser, s.front(443)) }

// wayToTarget blames what stands between the load balancer and the application.
func (s *site) wayToTarget() (by, rule string) {
	return blocker(s.balancer.Node("a"), s.app.TCP(80))
}

func blocker(from *netfake.Host, to netfake.Endpoint) (by, rule string) {
	r := from.Probe(to)
	if b := r.Blocker(); b != nil {
		return b.By.String(), b.Rule
	}
	return "nobody", r.String()
}

// accessLog blames what the load balancer's log does.
func (s *site) accessLog() (by, rule string) {
	log := s.balancer.AccessLog()
	last := log[len(log)-1]
	if last.Reason != "" {
		return last.Reason, last.Reason
	}
	return last.TargetName, fmt.Sprint(last.TargetStatus)
}

// health blames the target that the load balancer would rather not ask.
func (s *site) health() (by, rule string) {
	h := s.targets.HealthOf(s.app)
	return h.Name, h.String()
}

// The plain-HTTP part repeats itself byte for byte; TLS and HTTP/2 do not, because
// their goroutines race for the order of frames.
func TestRepeats(t *testing.T) {
	run := func() (trace, capture string) {
		netfake.RunConfig(t, netfake.Config{Seed: 7}, func(t *testing.T, w *netfake.World) {
			s := build(w, without{})
			var pcap bytes.Buffer
			file, rec := w.Capture(&pcap, nil), w.Record(nil)
			assert.Equal(t, s.visit("http://"+domain), page)
			w.Sleep(10 * time.Second)
			if err := file.Stop(); err != nil {
				t.Fatal(err)
			}
			trace, capture = journey.Text(rec), pcap.String()
		})
		return trace, capture
	}
	trace, capture := run()
	again, captureAgain := run()
	if trace != again || capture != captureAgain {
		t.Errorf("two runs differ: captures %t; traces, want -, got +:\n%s", capture != captureAgain, cmp.Diff(trace, again))
	}
	if len(capture) < 1000 || !strings.Contains(trace, "alb") {
		t.Errorf("there is nothing to compare: %d bytes captured", len(capture))
	}
}
