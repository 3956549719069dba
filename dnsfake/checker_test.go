package dnsfake

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/netspec-go/netspec/netfake"
)

// site is a web server that a test can make sick.
type site struct {
	*netfake.Host
	status atomic.Int32
	seen   atomic.Pointer[http.Request]
}

func newSite(w *netfake.World, name, addr string) *site {
	s := &site{Host: w.Internet().HostAt(netfake.Sydney, name, addr)}
	s.status.Store(200)
	s.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.seen.Store(r)
		rw.Header().Set("Location", "/elsewhere")
		rw.WriteHeader(int(s.status.Load()))
	}))
	return s
}

func TestFailoverTiming(t *testing.T) { netfake.Run(t, testFailoverTiming) }

// The primary falls silent at 65 s. The checkers, which probe every 30 s, miss it at
// 90, 120 and 150 s, and give up 4 s later: the zone flips at 154 s. Who has the old
// answer keeps it for its TTL. Back at 200 s, it passes at 210, 240 and 270 s.
func testFailoverTiming(t *testing.T, w *netfake.World) {
	sys := New(w)
	zone, client, r := shop(w, sys)
	main, spare := newSite(w, "main", "192.0.2.10"), newSite(w, "spare", "192.0.2.20")
	check := sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort("192.0.2.10:80"), FQDN: "app.example.com", Path: "health?deep=1"})
	zone.Record(Record{Name: "app.example.com", TTL: 60 * time.Second, Values: []string{main.Addr().String()}, Failover: Primary, SetIdentifier: "main", HealthCheck: check})
	zone.Record(Record{Name: "app.example.com", TTL: 60 * time.Second, Values: []string{spare.Addr().String()}, Failover: Secondary, SetIdentifier: "spare"})
	at := func(d time.Duration, want string) {
		t.Helper()
		w.Sleep(d - w.Now())
		synctest.Wait()
		if got := lookupLine(zone, "app.example.com", A); got != "found: app A "+want {
			t.Errorf("at %v: %s, want %s", d, got, want)
		}
	}
	at(64*time.Second, "192.0.2.10")
	if req := main.seen.Load(); req.Host != "app.example.com" || req.URL.String() != "/health?deep=1" || req.Method != "GET" ||
		req.UserAgent() != "Amazon-Route53-Health-Check-Service (ref "+check.ID()+"; report http://amzn.to/1vsZADi)" {
		t.Errorf("the probe was %s %s, Host %s, %s", req.Method, req.URL, req.Host, req.UserAgent())
	}
	w.Sleep(time.Second)
	heal := main.Uplink().Link().Partition()
	w.Sleep(88 * time.Second) // to 153 s: what the resolver gets now it keeps for a minute
	dig(t, client, r.Addr(), "app.example.com", A)
	at(154*time.Second-1, "192.0.2.10")
	at(154*time.Second, "192.0.2.20")
	wantAnswer(t, client, r, "192.0.2.10")
	w.Sleep(200*time.Second - w.Now())
	heal.Undo()
	wantAnswer(t, client, r, "192.0.2.10")
	w.Sleep(215*time.Second - w.Now())
	wantAnswer(t, client, r, "192.0.2.20")
	at(270*time.Second, "192.0.2.20")
	at(271*time.Second, "192.0.2.10")

	history := check.History()
	if len(history) != 2 || history[0] != (HealthChange{154 * time.Second, false}) || !history[1].Healthy {
		t.Errorf("history is %v", history)
	}
	// The second nearest checker decides: two of eight are more than 18%.
	want := 270*time.Second + 2*2*(2*netfake.LastMile+netfake.Singapore.Delay(netfake.Sydney))
	if history[1].At != want {
		t.Errorf("healthy again at %v, want %v: two round trips from Singapore", history[1].At, want)
	}
}

func wantAnswer(t *testing.T, client *netfake.Host, r *Resolver, want string) {
	t.Helper()
	if diff := cmp.Diff([]string{want}, dig(t, client, r.Addr(), "app.example.com", A).Values(A)); diff != "" {
		t.Errorf("the resolver says otherwise:\n%s", diff)
	}
}

func TestProbeOutcomes(t *testing.T) { netfake.Run(t, testProbeOutcomes) }

// 200 to 399 within 2 s is healthy, redirects unfollowed; nothing else is. A TCP check
// wants a connection only.
func testProbeOutcomes(t *testing.T, w *netfake.World) {
	sys := New(w)
	statuses := map[string]int32{"200": 200, "302": 302, "399": 399, "400": 400, "503": 503}
	checks := map[string]*HealthCheck{}
	i := byte(10)
	for _, name := range []string{"200", "302", "399", "400", "503"} {
		i++
		s := newSite(w, "site "+name, addr4(i))
		s.status.Store(statuses[name])
		checks[name] = sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort(addr4(i) + ":80"), Interval: FastInterval})
	}
	slow := w.Internet().Host("slow", addr4(50))
	slow.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
		}
	}))
	checks["slow"] = sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort(addr4(50) + ":80"), Interval: FastInterval})
	checks["slow, tcp"] = sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort(addr4(50) + ":80"), Type: TCP, Interval: FastInterval})
	checks["closed, tcp"] = sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort(addr4(50) + ":81"), Type: TCP, Interval: FastInterval})
	checks["no tls"] = sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort(addr4(11) + ":80"), Type: HTTPS, Interval: FastInterval})
	w.Sleep(35 * time.Second)
	for name, want := range map[string]bool{
		"200": true, "302": true, "399": true, "400": false, "503": false,
		"slow": false, "slow, tcp": true, "closed, tcp": false, "no tls": false,
	} {
		if got := checks[name].Healthy(); got != want {
			t.Errorf("%s: healthy is %v, want %v", name, got, want)
		}
		if got := checks[name].Probes(); got != 24 {
			t.Errorf("%s: %d probes, want 3 of each of 8 checkers", name, got)
		}
	}
}

func addr4(i byte) string { return fmt.Sprintf("192.0.2.%d", i) }

// The second at which an endpoint that falls silent is noticed, for every setting: the
// formula in HealthCheck's comment.
func TestSilenceIsNoticedAt(t *testing.T) {
	for _, test := range []struct {
		typ       ProbeType
		interval  time.Duration
		threshold int
		dies      time.Duration // after the health check was made
		want      time.Duration
	}{
		{HTTP, DefaultInterval, 3, 65 * time.Second, 154 * time.Second},
		{HTTP, DefaultInterval, 3, time.Second, 94 * time.Second},
		{HTTP, DefaultInterval, 3, 89 * time.Second, 154 * time.Second},
		{HTTP, DefaultInterval, 1, 89 * time.Second, 94 * time.Second},
		{HTTP, FastInterval, 10, 15 * time.Second, 114 * time.Second},
		{HTTP, FastInterval, 1, 15 * time.Second, 24 * time.Second},
		{TCP, DefaultInterval, 2, 65 * time.Second, 130 * time.Second},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				w.Sleep(7 * time.Second) // the schedule counts from the health check, not from the world
				sys := New(w)
				s := newSite(w, "site", addr4(1))
				hc := sys.HealthCheck(HealthCheckConfig{
					Endpoint: netip.AddrPortFrom(s.Addr(), 80),
					Type:     test.typ, Interval: test.interval, FailureThreshold: test.threshold,
				})
				w.Sleep(test.dies)
				s.Uplink().Link().Partition()
				w.Sleep(5 * time.Minute)
				want := []HealthChange{{At: 7*time.Second + test.want}}
				if diff := cmp.Diff(want, hc.History()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
