package lbfake

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

func TestForward(t *testing.T) { instant(t, testForward) }

// Requests go to the healthy targets in turn, from the first check on that they pass.
func testForward(t *testing.T, s *site) {
	g := s.group(TargetGroupConfig{}).Register(s.server("one", "a")).Register(s.server("two", "b"))
	b := s.balancer(g, Attributes{})
	c := s.client.HTTPClient()
	sleepUntil(t, s.w, 29*time.Second)
	wantGet(t, c, url(b, "/"), 503, page(503))
	wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/: 503, default rule, target group app: all registered targets are new, draining or unused")
	if err := g.WaitInService(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAt(t, s.w, 30*time.Second)
	count := map[string]int{}
	for range 10 {
		_, name := get(t, c, url(b, "/"))
		count[name]++
	}
	if count["one"] != 5 || count["two"] != 5 {
		t.Errorf("ten requests went to %v", count)
	}
}

// A target that drains gets no new requests and ends those that it has.
func TestDraining(t *testing.T) {
	for _, row := range []struct {
		name   string
		takes  time.Duration // the request
		status int
		after  time.Duration
		reason string
	}{
		{"in time", 19 * time.Second, 200, 19 * time.Second, ""},
		{"too late", 21 * time.Second, 502, 20*time.Second + time.Nanosecond, "slow 10.0.0.4:80: the deregistration delay ran out"},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				slow := s.instance("slow", "a")
				slow.ServeHTTP(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						time.Sleep(row.takes)
					}
				}))
				g := s.group(TargetGroupConfig{DeregistrationDelay: 20 * time.Second}).Register(slow)
				b := s.balancer(g, Attributes{})
				sleepUntil(t, s.w, 31*time.Second)
				done := make(chan Access)
				go func() {
					status, _ := get(t, s.client.HTTPClient(), url(b, "/slow"))
					time.Sleep(time.Nanosecond)
					last := Access{}
					for _, a := range b.AccessLog() {
						if strings.HasSuffix(a.URL, "/slow") {
							last = a
						}
					}
					last.Status = status
					done <- last
				}()
				s.w.Sleep(time.Nanosecond)
				g.Deregister(slow)
				g.Register(s.server("other", "b"))
				sleepUntil(t, s.w, 51*time.Second)
				wantHealth(t, g, "slow 10.0.0.4:80 draining Target.DeregistrationInProgress: Target deregistration is in progress",
					"other 10.0.1.5:80 initial Elb.RegistrationInProgress: Target registration is in progress")
				wantGet(t, s.client.HTTPClient(), url(b, "/"), 503, page(503))
				got := <-done
				if got.Status != row.status || got.Reason != row.reason {
					t.Errorf("the request got %d, %q, want %d, %q", got.Status, got.Reason, row.status, row.reason)
				}
				if at := got.Time - 31*time.Second; at != row.after {
					t.Errorf("it ended after %v, want %v", at, row.after)
				}
				sleepUntil(t, s.w, 62*time.Second)
				wantHealth(t, g, "other 10.0.1.5:80 healthy")
				if h := g.HealthOf(slow); h.State != Unused || h.Reason != NotRegistered {
					t.Errorf("the deregistered target is %v", h)
				}
				wantGet(t, s.client.HTTPClient(), url(b, "/"), 200, "other")
			})
		})
	}
}

// A draining target that is registered again starts anew and keeps its requests.
func TestRegisterAgain(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		i := s.server("app", "a")
		g := s.group(TargetGroupConfig{DeregistrationDelay: 20 * time.Second}).Register(i)
		b := s.balancer(g, Attributes{})
		sleepUntil(t, s.w, 31*time.Second)
		g.Deregister(i)
		sleepUntil(t, s.w, 40*time.Second)
		g.Register(i)
		wantHealth(t, g, "app 10.0.0.4:80 initial Elb.RegistrationInProgress: Target registration is in progress")
		sleepUntil(t, s.w, 71*time.Second) // past the end of the delay, and its own first check
		wantHealth(t, g, "app 10.0.0.4:80 healthy")
		wantGet(t, s.client.HTTPClient(), url(b, "/"), 200, "app")
		// What drains twice is not cut short by the end of the first time.
		g.Deregister(i)
		sleepUntil(t, s.w, 80*time.Second)
		g.Register(i)
		g.Deregister(i)
		sleepUntil(t, s.w, 92*time.Second)
		wantHealth(t, g, "app 10.0.0.4:80 draining Target.DeregistrationInProgress: Target deregistration is in progress")
		sleepUntil(t, s.w, 100*time.Second)
		wantHealth(t, g)
		wantGet(t, s.client.HTTPClient(), url(b, "/"), 503, page(503))
		wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/: 503, default rule, target group app: no registered targets")
	})
}

// Clients that ask at one instant share the targets evenly, and in the same way in
// every run of one seed.
func TestSameInstant(t *testing.T) {
	run := func(t *testing.T) string {
		var log []string
		netfake.RunConfig(t, netfake.Config{Seed: 7}, func(t *testing.T, w *netfake.World) {
			s := newSite(w)
			g := s.group(TargetGroupConfig{})
			for _, name := range []string{"one", "two", "three", "four"} {
				g.Register(s.server(name, "a"))
			}
			b := s.balancer(g, Attributes{})
			if err := g.WaitInService(t.Context()); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for i := range 16 {
				c := w.Internet().Host(fmt.Sprintf("client-%d", i), fmt.Sprintf("203.0.113.%d", i+1)).HTTPClient()
				all.Go(func() {
					get(t, c, url(b, "/"))
					get(t, c, url(b, "/"))
				})
			}
			all.Wait()
			count := map[string]int{}
			for _, a := range b.AccessLog() {
				count[a.TargetName]++
				log = append(log, fmt.Sprint(a.Time, a, a.TraceID))
			}
			if len(log) != 32 || len(count) != 4 || count["one"] != 8 || count["two"] != 8 || count["three"] != 8 {
				t.Errorf("requests went to %v", count)
			}
		})
		return strings.Join(log, "\n")
	}
	first := run(t)
	for range 5 {
		if again := run(t); again != first {
			t.Fatalf("two runs of one seed differ:\n%s\n\n%s", first, again)
		}
	}
}
