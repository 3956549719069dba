package gatewayfake_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// world is a VPC with a public and a private subnet, its gateways, and a site on the
// internet.
type world struct {
	vpc             *fabricfake.VPC
	public, private *fabricfake.Subnet
	igw             *gatewayfake.InternetGateway
	nat             *gatewayfake.NATGateway
	app             *fabricfake.Instance
	site            *netfake.Host
}

func build(w *netfake.World) *world {
	site := w.Internet().HostAt(netfake.Singapore, "site", "203.0.113.80")
	site.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }))

	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public := vpc.Subnet("public", "10.0.0.0/24", "a")
	private := vpc.Subnet("private", "10.0.1.0/24", "a")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	nat := gatewayfake.NewNATGateway(public, "nat", gatewayfake.NewElasticIP(vpc))
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", nat)
	app := private.Instance("app", fabricfake.InstanceConfig{})
	return &world{vpc, public, private, igw, nat, app, site}
}

func get(t *testing.T, h *netfake.Host, url string) string {
	t.Helper()
	resp, err := h.HTTPClient().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNATGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		if got := get(t, x.app.Host, "http://203.0.113.80/"); got != "hello" {
			t.Errorf("got %q", got)
		}
		if x.site.LastPeer() != x.nat.PublicIP() {
			t.Errorf("the site sees %v, want the NAT gateway's %v", x.site.LastPeer(), x.nat.PublicIP())
		}
		if s := x.nat.Stats(); s.ActiveConnections != 1 || s.ConnectionAttempts != 1 || s.PacketsDropped != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// A connection that was idle for 350 s is forgotten without a word; the client learns
// of it by a RST when it sends again.
func TestNATIdleTimeout(t *testing.T) {
	for _, row := range []struct {
		idle time.Duration
		err  error
	}{
		{gatewayfake.NATIdleTimeout - time.Second, nil},
		{gatewayfake.NATIdleTimeout, syscall.ECONNRESET},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			l, err := x.site.Listen("tcp", ":7")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if c, err := l.Accept(); err == nil {
					io.Copy(c, c)
				}
			}()
			c, err := x.app.Dial("tcp", "203.0.113.80:7")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(row.idle)
			c.Write([]byte("x"))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, row.err) {
				t.Errorf("after %v of silence: got %v, want %v", row.idle, err, row.err)
			}
		})
	}
}

func TestProbeThroughNAT(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		r := x.app.Probe(x.site.TCP(80))
		if r.Outcome != netfake.Answered || !r.Forward.Passed(x.nat) || !r.Forward.Passed(x.igw) || !r.Return.Passed(x.nat) {
			t.Errorf("got %v\n%v\n%v", r.Outcome, r.Forward, r.Return)
		}
		if s := x.nat.Stats(); s != (gatewayfake.NATStats{}) {
			t.Errorf("a probe left something behind: %+v", s)
		}
		// Nobody opens a connection through the gateway from outside.
		r = x.site.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: addrPort(x.nat.PublicIP(), 80)})
		if b := r.Blocker(); r.Outcome != netfake.Silence || b == nil || b.By != netfake.Component(x.nat) {
			t.Errorf("got %v\n%v", r.Outcome, r.Forward)
		}
		t.Logf("%v", r.Forward)
		if !strings.Contains(r.Forward.String(), "no connection of a client") {
			t.Errorf("the trace does not say why:\n%v", r.Forward)
		}
	})
}

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
