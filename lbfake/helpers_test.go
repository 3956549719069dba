package lbfake

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// site is a VPC with two public subnets, a load balancer for it to be put into, and a
// client on the internet.
type site struct {
	w       *netfake.World
	vpc     *fabricfake.VPC
	subnets []*fabricfake.Subnet // zones a and b
	open    fabricfake.Groups
	client  *netfake.Host
}

func newSite(w *netfake.World) *site {
	s := &site{w: w, vpc: fabricfake.NewVPC(w, "prod", "10.0.0.0/16")}
	igw := gatewayfake.NewInternetGateway(s.vpc, "igw")
	for i, zone := range []string{"a", "b"} {
		subnet := s.vpc.Subnet("public-"+zone, fmt.Sprintf("10.0.%d.0/24", i), zone)
		s.subnets = append(s.subnets, subnet.Route("0.0.0.0/0", igw))
	}
	s.open = fabricfake.Groups{s.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	s.client = w.Internet().Host("client", "198.51.100.20")
	return s
}

// instance launches an instance that lets everything in, in the subnet of a zone.
func (s *site) instance(name, zone string) *fabricfake.Instance {
	for _, subnet := range s.subnets {
		if subnet.Zone() == zone {
			return subnet.Instance(name, fabricfake.InstanceConfig{Groups: s.open})
		}
	}
	s.w.TB().Fatalf("no subnet in zone %s", zone)
	return nil
}

// server launches an instance that answers with its name, on port 80.
func (s *site) server(name, zone string) *fabricfake.Instance {
	i := s.instance(name, zone)
	i.ServeHTTP(":80", nameHandler(name))
	return i
}

func nameHandler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
}

// balancer makes a load balancer that listens on port 80 and forwards to g.
func (s *site) balancer(g *TargetGroup, attributes Attributes) *ApplicationLoadBalancer {
	b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: s.open, Attributes: attributes})
	b.Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
	return b
}

func (s *site) group(cfg TargetGroupConfig) *TargetGroup {
	return NewTargetGroup(s.vpc, "app", cfg)
}

// url is the address of a load balancer's node in its first zone.
func url(b *ApplicationLoadBalancer, path string) string {
	return "http://" + b.nodes[0].addr.String() + path
}

// get asks for a URL and returns the status and the body.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// wantGet fails the test unless a URL gives a status and a body.
func wantGet(t *testing.T, c *http.Client, url string, status int, body string) {
	t.Helper()
	if gotStatus, got := get(t, c, url); gotStatus != status || got != body {
		t.Errorf("GET %s: got %d %q, want %d %q", url, gotStatus, got, status, body)
	}
}

// wantHealth compares a group's table of health with lines.
func wantHealth(t *testing.T, g *TargetGroup, want ...string) {
	t.Helper()
	got := []string{}
	for _, h := range g.Health() {
		got = append(got, h.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("at %v the health is\n%s\nwant\n%s", g.world.Now(), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantLast lets what happens now end, and compares the latest line of the access log,
// without its client's address.
func wantLast(t *testing.T, b *ApplicationLoadBalancer, want string) Access {
	t.Helper()
	synctest.Wait()
	log := b.AccessLog()
	if len(log) == 0 {
		t.Fatalf("the access log is empty, want %s", want)
	}
	last := log[len(log)-1]
	if _, got, _ := strings.Cut(last.String(), " "); got != want {
		t.Errorf("access log:\n got %s\nwant %s", got, want)
	}
	return last
}

// sleepUntil lets time pass until it is at, and everything happen that happens then.
func sleepUntil(t *testing.T, w *netfake.World, at time.Duration) {
	t.Helper()
	if w.Now() > at {
		t.Fatalf("it is %v, later than %v", w.Now(), at)
	}
	time.Sleep(at - w.Now())
	synctest.Wait()
}

// wantAt fails the test unless the world's time is exactly at.
func wantAt(t *testing.T, w *netfake.World, at time.Duration) {
	t.Helper()
	if now := w.Now(); now != at {
		t.Errorf("it is %v, want %v", now, at)
	}
}

// instant runs a test in a world whose links take no time.
func instant(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	netfake.RunConfig(t, netfake.Config{Instant: true}, func(t *testing.T, w *netfake.World) { f(t, newSite(w)) })
}

// wantFatal runs f in a world whose test is expected to be failed with a text that
// begins with want.
func wantFatal(t *testing.T, want string, f func(s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		text := faketb.Fatal(t, func(tb *faketb.TB) { f(newSite(netfake.New(tb, netfake.Config{Instant: true}))) })
		if !strings.HasPrefix(text, want) {
			t.Errorf("the test was failed with %q, want %q", text, want)
		}
	})
}
