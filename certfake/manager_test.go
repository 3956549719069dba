package certfake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// withZone runs a test in a world whose links take no time, with a registered zone
// example.com.
func withZone(t *testing.T, f func(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager)) {
	t.Helper()
	netfake.RunConfig(t, netfake.Config{Instant: true}, func(t *testing.T, w *netfake.World) {
		sys := dnsfake.New(w)
		zone := sys.HostedZone("example.com")
		sys.Register("example.com", zone)
		f(t, w, sys, zone, New(w, sys))
	})
}

// publish puts a certificate's records into a zone.
func publish(zone *dnsfake.HostedZone, c *Certificate) {
	for _, r := range c.ValidationRecords() {
		zone.CNAME(r.Name, 5*time.Minute, r.Value)
	}
}

func wantState(t *testing.T, w *netfake.World, c *Certificate, at time.Duration, want State) {
	t.Helper()
	w.Sleep(at - w.Now())
	synctest.Wait()
	if got := c.State(); got != want || w.Now() != at {
		t.Errorf("at %v (wanted %v): %v is %v, want %v", w.Now(), at, c, got, want)
	}
}

func TestIssue(t *testing.T) { withZone(t, testIssue) }

// The record is created at 90 s and seen at the next look, at 2 min. Until then there
// is no certificate to be had.
func testIssue(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	c := m.Request("example.com", "*.example.com")
	if n := len(c.ValidationRecords()); n != 1 {
		t.Errorf("a name and its wildcard have %d records, want one for both", n)
	}
	wantState(t, w, c, 90*time.Second, PendingValidation)
	if _, err := c.TLS(); err == nil || !strings.Contains(err.Error(), "RequestInProgressException") {
		t.Errorf("while it is pending, TLS gives %v", err)
	}
	if c.X509() != nil {
		t.Error("there is a certificate before it is issued")
	}
	publish(zone, c)
	wantState(t, w, c, 2*time.Minute-1, PendingValidation)
	if err := c.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, w, c, 2*time.Minute, Issued)
	chain, err := c.TLS()
	if err != nil || len(chain.Certificate) != 2 {
		t.Fatalf("TLS gives a chain of %d, %v", len(chain.Certificate), err)
	}
	leaf := c.X509()
	if !leaf.NotBefore.Equal(w.Time(2*time.Minute)) || !leaf.NotAfter.Equal(w.Time(2*time.Minute+Validity)) {
		t.Errorf("good from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	// While the record stays, whoever asks again is served at once, in any region.
	again := m.In("ap-southeast-2").Request("example.com")
	if err := again.Await(t.Context()); err != nil || w.Now() != 2*time.Minute {
		t.Errorf("asked again: %v at %v", err, w.Now())
	}
	if again.ValidationRecords()[0] != c.ValidationRecords()[0] {
		t.Error("the same domain has another record in another region")
	}
	if again.X509().SerialNumber.Cmp(leaf.SerialNumber) == 0 || again.ARN() == c.ARN() {
		t.Error("two certificates have one number")
	}
	if !strings.HasPrefix(again.ARN(), "arn:aws:acm:ap-southeast-2:123456789012:certificate/") || again.Region() != "ap-southeast-2" {
		t.Error(again.ARN())
	}
}

func TestServeTLS(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) { testServeTLS(t, w) })
}

// A client of the world verifies the certificate for its names and no others, and no
// longer than it is good.
func testServeTLS(t *testing.T, w *netfake.World) {
	sys := dnsfake.New(w)
	zone := sys.HostedZone("example.com")
	sys.Register("example.com", zone)
	c := New(w, sys).Request("www.example.com")
	publish(zone, c)
	if err := c.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	chain, err := c.TLS()
	if err != nil {
		t.Fatal(err)
	}
	web := w.Internet().HostAt(netfake.Sydney, "web", "192.0.2.1")
	web.ServeTLS(":443", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "hello") }), chain)
	zone.A("www.example.com", time.Minute, web.Addr())
	zone.A("other.example.com", time.Minute, web.Addr())
	client := w.Internet().HostAt(netfake.Melbourne, "client", "203.0.113.9")
	client.SetResolvers(sys.Resolver(netfake.Melbourne, "isp", "203.0.113.53").Addr())
	get := func(name string) error {
		http := client.HTTPClient()
		defer http.CloseIdleConnections()
		resp, err := http.Get("https://" + name + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get("www.example.com"); err != nil {
		t.Error(err)
	}
	var wrongName x509.HostnameError
	if err := get("other.example.com"); !errors.As(err, &wrongName) {
		t.Errorf("for another name: %v", err)
	}
	w.Sleep(Validity)
	if got := c.State(); got != Expired {
		t.Errorf("after %v it is %v", Validity, got)
	}
	var invalid x509.CertificateInvalidError
	if err := get("www.example.com"); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("after its time: %v", err)
	}
	// A health check of Route 53 does not look at the certificate.
	check := sys.HealthCheck(dnsfake.HealthCheckConfig{
		Endpoint: netip.AddrPortFrom(web.Addr(), 443), Type: dnsfake.HTTPS, FQDN: "other.example.com",
	})
	w.Sleep(100 * time.Second)
	if !check.Healthy() || check.Probes() != 24 {
		t.Errorf("after %d probes: %v", check.Probes(), check.History())
	}
}

func TestTimeout(t *testing.T) { withZone(t, testTimeout) }

// One of two records never comes: after 72 hours to the second it is over, and stays
// over. The error names the record.
func testTimeout(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	c := m.Request("example.com", "www.example.com")
	first, second := c.ValidationRecords()[0], c.ValidationRecords()[1]
	zone.CNAME(first.Name, time.Minute, first.Value)
	err := c.Await(t.Context())
	if w.Now() != ValidationTimeout {
		t.Errorf("Await returns at %v, want %v", w.Now(), ValidationTimeout)
	}
	want := "certfake: certificate example.com is VALIDATION_TIMED_OUT: public DNS lacks " + second.Name + " CNAME " + second.Value
	if err == nil || err.Error() != want {
		t.Errorf("Await: %v\nwant %s", err, want)
	}
	zone.CNAME(second.Name, time.Minute, second.Value)
	wantState(t, w, c, ValidationTimeout+time.Hour, ValidationTimedOut)
	if _, err := c.TLS(); err == nil {
		t.Error("a certificate that was never issued can be used")
	}
	if err := m.Request("example.com", "www.example.com").Await(t.Context()); err != nil {
		t.Errorf("a new request with both records in place: %v", err)
	}
}

func TestRecordIsPublicDNS(t *testing.T) { withZone(t, testRecordIsPublicDNS) }

// What counts is what the internet sees: a record in a zone that is not delegated, or
// in the wrong one of two, proves nothing.
func testRecordIsPublicDNS(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	shadow := sys.HostedZone("example.com")
	c := m.Request("shop.example.com")
	publish(shadow, c)
	wantState(t, w, c, 10*time.Minute, PendingValidation)
	sys.Register("example.com", shadow)
	wantState(t, w, c, 11*time.Minute, Issued)
}

func TestRecordBehindCNAME(t *testing.T) { withZone(t, testRecordBehindCNAME) }

// The record may be a CNAME into another zone which has the real one.
func testRecordBehindCNAME(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	certs := sys.HostedZone("certs.net")
	sys.Register("certs.net", certs)
	c := m.Request("example.com")
	r := c.ValidationRecords()[0]
	zone.CNAME(r.Name, time.Minute, "example-com.certs.net")
	wantState(t, w, c, 5*time.Minute, PendingValidation)
	certs.CNAME("example-com.certs.net", time.Minute, r.Value)
	wantState(t, w, c, 6*time.Minute, Issued)
}

func TestCAA(t *testing.T) { withZone(t, testCAA) }

// A CAA record for another authority refuses the certificate for good; one for this
// authority further down lets it through.
func testCAA(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	zone.CAA("example.com", time.Minute, `0 issue "letsencrypt.org"`)
	zone.CAA("shop.example.com", time.Minute, `0 issue "amazon.com"`)
	refused, allowed := m.Request("www.example.com"), m.Request("www.shop.example.com")
	publish(zone, refused)
	publish(zone, allowed)
	if err := allowed.Await(t.Context()); err != nil {
		t.Error(err)
	}
	err := refused.Await(t.Context())
	if err == nil || err.Error() != "certfake: certificate www.example.com is FAILED (CAA_ERROR)" || refused.FailureReason() != CAAError {
		t.Errorf("Await: %v", err)
	}
	if allowed.FailureReason() != "" {
		t.Errorf("the other has failed with %v", allowed.FailureReason())
	}
}

func TestServersUnreachable(t *testing.T) { withZone(t, testServersUnreachable) }

// While public DNS gives no answer, nothing is decided, for better or for worse.
func testServersUnreachable(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	c := m.Request("example.com")
	heal := m.resolver.Host().Uplink().Link().Partition()
	publish(zone, c)
	wantState(t, w, c, 61*time.Minute, PendingValidation)
	heal.Undo()
	// After an hour the looks are ten minutes apart.
	wantState(t, w, c, 70*time.Minute-1, PendingValidation)
	wantState(t, w, c, 70*time.Minute, Issued)
}

func TestAwaitContext(t *testing.T) { withZone(t, testAwaitContext) }

// Await gives up with its context, and says what is missing.
func testAwaitContext(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	c := m.Request("example.com")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute+time.Second)
	defer cancel()
	err := c.Await(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is PENDING_VALIDATION: public DNS lacks _") || w.Now() != 30*time.Minute+time.Second {
		t.Errorf("Await: %v at %v", err, w.Now())
	}
	publish(zone, c)
	if err := c.Await(t.Context()); err != nil || w.Now() != 31*time.Minute {
		t.Errorf("Await: %v at %v", err, w.Now())
	}
}

func TestAwaitEndsWithWorld(t *testing.T) { withZone(t, testAwaitEndsWithWorld) }

// Who still waits when the world ends is told.
func testAwaitEndsWithWorld(t *testing.T, w *netfake.World, sys *dnsfake.System, zone *dnsfake.HostedZone, m *Manager) {
	c := m.Request("example.com")
	told := make(chan error)
	go func() { told <- c.Await(context.Background()) }()
	synctest.Wait()
	w.Close()
	if err := <-told; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Await: %v", err)
	}
}

// Two worlds with one seed issue the same certificate.
func TestManagerRepeats(t *testing.T) {
	issue := func() (chain tls.Certificate) {
		synctest.Test(t, func(t *testing.T) {
			w := netfake.New(t, netfake.Config{Seed: 5})
			sys := dnsfake.New(w)
			zone := sys.HostedZone("example.com")
			sys.Register("example.com", zone)
			c := New(w, sys).Request("example.com")
			publish(zone, c)
			if err := c.Await(t.Context()); err != nil {
				t.Fatal(err)
			}
			chain, _ = c.TLS()
		})
		return chain
	}
	first := issue()
	for range 3 {
		if again := issue(); string(again.Certificate[0]) != string(first.Certificate[0]) {
			t.Fatal("two runs with one seed differ")
		}
	}
}

// What ACM would refuse fails the test.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		want string
		f    func(m *Manager)
	}{
		{"certfake: InvalidParameterException: localhost is not a fully qualified domain name", func(m *Manager) { m.Request("localhost") }},
		{"an asterisk may only be the whole first label", func(m *Manager) { m.Request("example.com", "a.*.example.com") }},
		{`"Sydney" is not a region`, func(m *Manager) { m.In("Sydney") }},
	} {
		synctest.Test(t, func(t *testing.T) {
			text := faketb.Fatal(t, func(tb *faketb.TB) {
				w := netfake.New(tb, netfake.Config{Instant: true})
				test.f(New(w, dnsfake.New(w)))
			})
			if !strings.Contains(text, test.want) {
				t.Errorf("the test fails with %q, want %q", text, test.want)
			}
		})
	}
}
