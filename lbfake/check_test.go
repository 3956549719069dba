package lbfake

import (
	"net/http"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

func TestCheckRequest(t *testing.T) { instant(t, testCheckRequest) }

// Every node checks by itself, with the documented header, on a connection of its own.
func testCheckRequest(t *testing.T, s *site) {
	type seen struct {
		at                         time.Duration
		agent, host, path, forward string
		close                      bool
	}
	got := map[string][]seen{}
	for _, port := range []uint16{80, 8080} {
		i := s.instance("app"+portAddress(port), "a")
		i.ServeHTTP(portAddress(port), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.w.Do(func(time.Duration) {
				got[r.Host] = append(got[r.Host], seen{s.w.Now(), r.UserAgent(), r.Host, r.RequestURI, r.Header.Get(headerFor), r.Close})
			})
		}))
		g := NewTargetGroup(s.vpc, "app"+portAddress(port)[1:], TargetGroupConfig{Port: port, HealthCheck: HealthCheck{Path: "/health?deep=1"}})
		g.Register(i)
		b := NewApplication(s.vpc, "web"+portAddress(port)[1:], ApplicationConfig{Subnets: s.subnets, Groups: s.open})
		b.Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
	}
	sleepUntil(t, s.w, 61*time.Second)
	for _, host := range []string{"10.0.0.4", "10.0.0.6:8080"} {
		if len(got[host]) != 4 {
			t.Fatalf("%s was checked %d times by two nodes in two intervals; all: %v", host, len(got[host]), got)
		}
		for i, r := range got[host] {
			want := seen{time.Duration(1+i/2) * 30 * time.Second, "ELB-HealthChecker/2.0", host, "/health?deep=1", "", true}
			if r != want {
				t.Errorf("check %d is %+v, want %+v", i, r, want)
			}
		}
	}
}

// When a target's health turns, by what happens to it 45 s after its registration.
func TestHealthTimes(t *testing.T) {
	const down = "app 10.0.0.4:80 unhealthy "
	for _, row := range []struct {
		name    string
		breakIt func(*fabricfake.Instance, *http.Server)
		at      time.Duration
		want    string
	}{
		// Checks at 60 s and 90 s find nobody who listens.
		{"stopped", func(_ *fabricfake.Instance, server *http.Server) { server.Close() },
			90 * time.Second, down + "Target.FailedHealthChecks: Health checks failed"},
		// They give up at 65 s and 95 s.
		{"crashed", func(i *fabricfake.Instance, _ *http.Server) { i.Crash() },
			95 * time.Second, down + "Target.Timeout: Request timed out"},
		{"filtered", func(i *fabricfake.Instance, _ *http.Server) {
			i.Interface().SetGroups(fabricfake.Groups{i.Interface().VPC().SecurityGroup("shut")})
		},
			95 * time.Second, down + "Target.Timeout: Request timed out"},
		{"failing", func(i *fabricfake.Instance, server *http.Server) {
			server.Close()
			i.ServeHTTP(":80", http.NotFoundHandler())
		},
			90 * time.Second, down + "Target.ResponseCodeMismatch: Health checks failed with these codes: [404]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				i := s.instance("app", "a")
				server := i.ServeHTTP(":80", nameHandler("app"))
				g := s.group(TargetGroupConfig{}).Register(i)
				s.balancer(g, Attributes{})
				wantHealth(t, g, "app 10.0.0.4:80 initial Elb.RegistrationInProgress: Target registration is in progress")
				sleepUntil(t, s.w, 45*time.Second)
				row.breakIt(i, server)
				sleepUntil(t, s.w, row.at-1)
				wantHealth(t, g, "app 10.0.0.4:80 healthy")
				sleepUntil(t, s.w, row.at+1)
				wantHealth(t, g, row.want)
			})
		})
	}
}

func TestHealthReturns(t *testing.T) { instant(t, testHealthReturns) }

// A target that comes back serves again after five checks, and meanwhile, as there is no
// other, because the balancer fails open.
func testHealthReturns(t *testing.T, s *site) {
	i := s.instance("app", "a")
	g := s.group(TargetGroupConfig{}).Register(i)
	b := s.balancer(g, Attributes{})
	c := s.client.HTTPClient()
	sleepUntil(t, s.w, 70*time.Second)
	wantHealth(t, g, "app 10.0.0.4:80 unhealthy Target.FailedHealthChecks: Health checks failed")
	wantGet(t, c, url(b, "/"), 502, page(502))
	wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/ → app 10.0.0.4:80: 502, default rule, app 10.0.0.4:80: the connection was refused")
	i.ServeHTTP(":80", nameHandler("app"))
	wantGet(t, c, url(b, "/"), 200, "app")
	wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/ → app 10.0.0.4:80: 200 (200), default rule, no target is healthy, so all of them serve (fail open)")
	if err := g.WaitInService(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAt(t, s.w, (90+4*30)*time.Second) // checks at 90 s, 120 s, 150 s, 180 s and 210 s
	wantGet(t, c, url(b, "/"), 200, "app")
}

func TestCheckedWhileInUse(t *testing.T) { instant(t, testCheckedWhileInUse) }

// A group that nobody forwards to is not checked; neither is a target in a zone that
// the load balancer has no node in.
func testCheckedWhileInUse(t *testing.T, s *site) {
	other := s.vpc.Subnet("other", "10.0.9.0/24", "c").Instance("elsewhere", fabricfake.InstanceConfig{Groups: s.open})
	checks := 0
	app := s.instance("app", "a")
	for _, i := range []*fabricfake.Instance{app, other} {
		i.ServeHTTP(":80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.w.Do(func(time.Duration) { checks++ }) }))
	}
	g := s.group(TargetGroupConfig{}).Register(app).Register(other)
	unused := " unused Target.NotInUse: Target group is not configured to receive traffic from the load balancer"
	wantHealth(t, g, "app 10.0.0.4:80"+unused, "elsewhere 10.0.9.4:80"+unused)
	sleepUntil(t, s.w, 100*time.Second)
	if checks != 0 {
		t.Errorf("an unused group was checked %d times", checks)
	}
	b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: s.open})
	l := b.Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
	sleepUntil(t, s.w, 131*time.Second)
	wantHealth(t, g, "app 10.0.0.4:80 healthy",
		"elsewhere 10.0.9.4:80 unused Target.NotInUse: Target is in an Availability Zone that is not enabled for the load balancer")
	if checks != 2 {
		t.Errorf("%d checks, want one from each node", checks)
	}
	l.Delete()
	sleepUntil(t, s.w, 300*time.Second)
	wantHealth(t, g, "app 10.0.0.4:80"+unused, "elsewhere 10.0.9.4:80"+unused)
	if checks != 2 {
		t.Errorf("%d checks after the listener was deleted, want no more", checks)
	}
}

// A check's time on the way delays its result and not the next check.
func TestCheckTimesWithLatency(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := newSite(w)
		began := w.Now()
		var at []time.Duration
		i := s.instance("app", "a")
		i.ServeHTTP(":80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s.w.Do(func(time.Duration) {
				if r.RemoteAddr[:8] == "10.0.0.5" {
					at = append(at, w.Now()-began)
				}
			})
		}))
		g := s.group(TargetGroupConfig{}).Register(i)
		s.balancer(g, Attributes{})
		sleepUntil(t, w, began+91*time.Second)
		way := 3 * fabricfake.LatencyZone // SYN, SYN and ACK, request
		for k, got := range at {
			if want := time.Duration(k+1)*30*time.Second + way; got != want {
				t.Errorf("check %d came after %v, want %v", k, got, want)
			}
		}
		if len(at) != 3 {
			t.Errorf("%d checks in 91 s, want 3", len(at))
		}
	})
}
