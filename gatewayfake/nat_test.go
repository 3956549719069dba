package gatewayfake_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// world is a VPC with a public and a private subnet, its gateways, and a site on the
// internet.
type world struct {
	vpc             *fabricfake.VPC
	public, private *fabricfake.Subnet
	igw             *gatewayfake.InternetGateway
	nat             *gatewayfake.NATGateway
	eip             *gatewayfake.ElasticIP
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
	eip := gatewayfake.NewElasticIP(vpc)
	nat := gatewayfake.NewNATGateway(public, "nat", eip)
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", nat)
	app := private.Instance("app", fabricfake.InstanceConfig{})
	return &world{vpc, public, private, igw, nat, eip, app, site}
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

// passes reports whether a trace has a hop by somebody.
func passes(t *netfake.Trace, by netfake.Component) bool {
	return slices.ContainsFunc(t.Hops, func(h netfake.Hop) bool { return h.By == by })
}

// fact: rtb.targets.nat, hyperplane.symmetric
func TestNATGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		if got := get(t, x.app.Host, "http://203.0.113.80/"); got != "hello" {
			t.Errorf("got %q", got)
		}
		if x.site.LastPeer() != x.nat.PublicIP() {
			t.Errorf("the site sees %v, want the NAT gateway's %v", x.site.LastPeer(), x.nat.PublicIP())
		}
		if r := x.app.Probe(x.site.TCP(80)); !passes(r.Forward, x.nat) || !passes(r.Return, x.nat) {
			t.Errorf("the way does not lead through the gateway both ways:\n%v", r)
		}
		if s := x.nat.Stats(); s.ActiveConnections != 1 || s.ConnectionAttempts != 1 || s.PacketsDropped != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// A connection that was idle for 350 s is forgotten without a word; the client learns
// of it by a RST when it sends again. Keep-alives, which Go has turned on unless it is told
// otherwise, keep the gateway's memory fresh.
func TestNATIdleTimeout(t *testing.T) {
	for _, row := range []struct {
		keepAlive time.Duration
		idle      time.Duration
		err       error
	}{
		{-1, gatewayfake.NATIdleTimeout - time.Second, nil},
		{-1, gatewayfake.NATIdleTimeout, syscall.ECONNRESET},
		{0, gatewayfake.NATIdleTimeout, nil},
		{0, 10 * gatewayfake.NATIdleTimeout, nil},
		{349 * time.Second, 10 * gatewayfake.NATIdleTimeout, nil},
		// One that comes at the very instant comes too late, and is answered with RST.
		{350 * time.Second, 10 * gatewayfake.NATIdleTimeout, syscall.ECONNRESET},
	} {
		netfake.RunConfig(t, netfake.Config{KeepAlive: row.keepAlive}, func(t *testing.T, w *netfake.World) {
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
			if _, err = c.Write([]byte("x")); err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if !errors.Is(err, row.err) {
				t.Errorf("KeepAlive %v, after %v of silence: got %v, want %v", row.keepAlive, row.idle, err, row.err)
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

// inject sends the first packet of connection number n to dst: a SYN, or an echo
// request.
func inject(app *fabricfake.Instance, proto netfake.Protocol, dst netip.AddrPort, n int) {
	ip := wire.IPv4{TTL: 64, Proto: uint8(proto), Src: app.Addr(), Dst: dst.Addr()}
	b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	if proto == netfake.ICMP {
		b = b[:wire.IPv4HeaderLen+8]
	}
	l4 := b[wire.IPv4HeaderLen:]
	ip.Put(b, len(l4))
	if proto == netfake.ICMP {
		echo := wire.ICMP{Type: wire.ICMPEchoRequest, ID: uint16(1024 + n)}
		echo.Put(l4)
	} else {
		syn := wire.TCP{SrcPort: uint16(1024 + n), DstPort: dst.Port(), Flags: wire.SYN, Window: 1000}
		syn.Put(l4)
		binary.BigEndian.PutUint16(l4[16:], wire.TransportChecksum(ip.Proto, ip.Src, ip.Dst, l4))
	}
	app.Interface().Inject(b)
}

// A NAT gateway has 55,000 connections to one destination. One that has ended gives
// its port back soon, one that is silent after 350 s.
// fact: hyperplane.ports
func TestNATPorts(t *testing.T) {
	for _, row := range []struct {
		name  string
		proto netfake.Protocol
		to    string
		held  time.Duration // after which the ports are in use yet
		freed time.Duration // after which they are not
		idle  uint64
	}{
		{"TCP that is reset", netfake.TCP, "203.0.113.80:81", 9 * time.Second, 11 * time.Second, 0},
		{"TCP that is silent", netfake.TCP, "203.0.113.99:81", 349 * time.Second, 351 * time.Second, gatewayfake.NATConnections},
		{"echoes to one address", netfake.ICMP, "203.0.113.99:0", 349 * time.Second, 351 * time.Second, gatewayfake.NATConnections},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			dst := netip.MustParseAddrPort(row.to)
			other := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.98"), dst.Port())
			for n := range gatewayfake.NATConnections {
				inject(x.app, row.proto, dst, n)
			}
			time.Sleep(row.held)
			inject(x.app, row.proto, dst, gatewayfake.NATConnections)
			inject(x.app, row.proto, other, gatewayfake.NATConnections) // which takes no port from those
			time.Sleep(row.freed - row.held)
			inject(x.app, row.proto, dst, gatewayfake.NATConnections+1)
			time.Sleep(time.Second)
			s := x.nat.Stats()
			if s.ActiveConnections != 2 || s.IdleTimeouts != row.idle || s.ErrorPortAllocation != 1 {
				t.Errorf("%s: %+v", row.name, s)
			}
		})
	}
}

// A connection that was closed both ways is forgotten after 120 s, which is no idle
// timeout; one that is half closed is not, while nothing keeps it alive.
func TestNATForgetsClosed(t *testing.T) {
	for _, row := range []struct {
		name       string
		serverToo  bool
		after      time.Duration
		active     int
		idleCounts uint64
	}{
		{"closed", true, 119 * time.Second, 1, 0},
		{"closed, later", true, 121 * time.Second, 0, 0},
		{"half closed", false, 121 * time.Second, 1, 0},
		{"half closed, later", false, 351 * time.Second, 0, 1},
	} {
		netfake.RunConfig(t, netfake.Config{KeepAlive: -1}, func(t *testing.T, w *netfake.World) {
			x := build(w)
			c, server := joined(t, x.app.Host, x.site, 7)
			server.(interface{ CloseWrite() error }).CloseWrite()
			if row.serverToo {
				c.Close()
			}
			time.Sleep(row.after)
			if s := x.nat.Stats(); s.ActiveConnections != row.active || s.IdleTimeouts != row.idleCounts {
				t.Errorf("%s: %+v", row.name, s)
			}
		})
	}
}

// A route in the gateway's own subnet that leads back to it is named as what it is.
func TestNATRouteLoop(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		if r := x.app.Probe(x.site.TCP(80)); r.Outcome != netfake.Answered {
			t.Errorf("before: %v", r)
		}
		x.public.RouteTable().ReplaceRoute("0.0.0.0/0", x.nat)
		b := x.app.Probe(x.site.TCP(80)).Blocker()
		if b == nil || b.By != netfake.Component(x.nat) || b.Rule != "the route in the gateway's own subnet leads back to it" {
			t.Errorf("got %+v", b)
		}
	})
}

// Connections through a NAT gateway are tracked even where the groups are open both
// ways: they survive the loss of the rule. Through the internet gateway they do not.
// fact: ct.auto.nat, ct.revoke.tracked, ct.revoke.untracked
func TestNATIsTracked(t *testing.T) {
	for _, tracked := range []bool{true, false} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			l, err := x.site.Listen("tcp", ":7")
			if err != nil {
				t.Fatal(err)
			}
			open := x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
			app := x.private.Instance("open app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
			if !tracked {
				x.private.RouteTable().ReplaceRoute("0.0.0.0/0", x.igw)
				gatewayfake.NewElasticIP(x.vpc).Associate(app.Interface())
			}
			c, err := app.Dial("tcp", "203.0.113.80:7")
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			open.RevokeIngress("all", fabricfake.Anywhere)
			server.Write([]byte("x"))
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); (err == nil) != tracked {
				t.Errorf("tracked %v: got %v", tracked, err)
			}
		})
	}
}

// A NAT gateway that is deleted leaves nothing in its subnet: its address is the next one's. Its
// routes are blackholes, what is under way ends, and its elastic IP serves another.
// fact: nat.delete
func TestNATGatewayDelete(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		c, err := x.app.Dial("tcp", "203.0.113.80:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		free, addr, iface := x.public.FreeAddresses(), x.nat.Interface().PrivateIP(), x.nat.Interface()
		eip := x.nat.PublicIP()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: site\r\n\r\n") // whose answer is under way
		w.Sleep(40 * time.Millisecond)
		x.nat.Delete()
		x.nat.Delete()
		if got := x.public.FreeAddresses(); got != free+1 || iface.Status() != fabricfake.InterfaceDeleted || iface.PhysicalHost() != nil {
			t.Errorf("%d addresses are free, want %d; its interface is %v on %v", got, free+1, iface.Status(), iface.PhysicalHost())
		}
		if b := x.app.Probe(x.site.TCP(80)).Blocker(); b == nil || b.Code != "BAD_STATE_ROUTE" {
			t.Errorf("blocked by %v", b)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the answer comes: %d, %v", n, err)
		}
		if alarms := w.Alarms(); len(alarms) != 0 {
			t.Errorf("alarms: %v", alarms)
		}
		again := gatewayfake.NewNATGateway(x.public, "nat", x.eip)
		x.private.RouteTable().ReplaceRoute("0.0.0.0/0", again)
		if again.Interface().PrivateIP() != addr || again.PublicIP() != eip {
			t.Errorf("the next one has %v and %v, want %v and %v", again.Interface().PrivateIP(), again.PublicIP(), addr, eip)
		}
		if got := get(t, x.app.Host, "http://203.0.113.80/"); got != "hello" {
			t.Errorf("through the next one: %q", got)
		}
	})
}

// The interface of a service is the service's to delete, and no other is.
func TestWithdraw(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *world)
		want string // "": accepted
	}{
		{"an interface of a service", func(x *world) { x.nat.Interface().Withdraw() }, ""},
		{"an instance's", func(x *world) { x.app.Interface().Withdraw() }, "OperationNotPermitted: app is no interface of a service"},
		{"one that is deleted", func(x *world) { x.nat.Delete(); x.nat.Interface().Withdraw() }, "InvalidNetworkInterfaceID.NotFound: nat is deleted"},
	} {
		failure := faketb.Fatal(t, func(tb *faketb.TB) { row.do(build(netfake.New(tb, netfake.Config{}))) })
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

// A connection from the port of one that has ended is a new one, which lives as long as any.
func TestNATPortOfAnEndedConnection(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		l, err := x.site.Listen("tcp", ":7")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		d := netfake.Dialer{Host: x.app.Host, LocalAddr: netip.AddrPortFrom(x.app.Addr(), 5000), KeepAlive: -1}
		for n := range 2 {
			c, err := d.DialContext(t.Context(), "tcp", "203.0.113.80:7")
			if err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Minute)
			c.Write([]byte("x"))
			w.Sleep(time.Minute)
			c.SetReadDeadline(time.Now().Add(time.Second))
			if n == 1 {
				if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
					t.Errorf("the second connection: %v", err)
				}
			}
			c.Close() // with something unread, at first: it is reset
		}
		if s := x.nat.Stats(); s.ConnectionAttempts != 2 || s.PacketsDropped != 0 {
			t.Errorf("%+v", s)
		}
	})
}
