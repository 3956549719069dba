package gatewayfake_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// An instance of a public subnet has a public address while it runs: another one after each
// stop, none beside an elastic IP, and none beside a second interface.
// fact: eni.public.release, eni.public.eip
func TestAssignedPublicIP(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		x.public.AutoAssignPublicIP(fabricfake.AutoAssignOn)
		i := x.public.Instance("i", fabricfake.InstanceConfig{})
		f := i.Interface()
		seen := func() netip.Addr {
			t.Helper()
			if err := func() error { _, err := i.HTTPClient().Get("http://203.0.113.80/"); return err }(); err != nil {
				t.Error(err)
			}
			return x.site.LastPeer()
		}
		first := f.PublicIP()
		if !first.IsValid() || seen() != first {
			t.Errorf("has %v, the site sees %v", first, x.site.LastPeer())
		}
		i.Reboot()
		w.Sleep(fabricfake.DefaultShutdownTime)
		if f.PublicIP() != first {
			t.Errorf("has %v after a reboot", f.PublicIP())
		}
		restart := func() {
			t.Helper()
			i.Stop()
			i.Await(fabricfake.Stopped)
			if f.PublicIP().IsValid() {
				t.Errorf("has %v when it is stopped", f.PublicIP())
			}
			i.Start()
		}
		restart()
		second := f.PublicIP()
		if second == first || seen() != second {
			t.Errorf("has %v again, or not: %v, %v", first, second, x.site.LastPeer())
		}
		if b := x.site.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(first, 22)}).Blocker(); b == nil || b.Code != "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS" {
			t.Errorf("the first address: %v", b)
		}

		// An elastic IP takes its place, and stays through a stop.
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(f)
		if seen() != eip.Addr() {
			t.Errorf("the site sees %v and not %v", x.site.LastPeer(), eip)
		}
		i.Stop()
		i.Await(fabricfake.Stopped)
		i.Start()
		if f.PublicIP() != eip.Addr() || seen() != eip.Addr() {
			t.Errorf("has %v after a stop", f.PublicIP())
		}
		eip.Disassociate()
		if third := f.PublicIP(); third == second || !third.IsValid() || seen() != third {
			t.Errorf("has %v without the elastic IP", third)
		}
		more := x.public.Interface("more", fabricfake.InterfaceConfig{})
		more.Attach(i)
		restart()
		if f.PublicIP().IsValid() || more.PublicIP().IsValid() {
			t.Errorf("has %v with two interfaces", f.PublicIP())
		}
	})
}

// What the instance says wins against what its subnet says.
func TestAutoAssign(t *testing.T) {
	const on, off, unset = fabricfake.AutoAssignOn, fabricfake.AutoAssignOff, fabricfake.AutoAssignDefault
	for _, row := range []struct {
		subnet, instance fabricfake.AutoAssign
		want             bool
	}{
		{unset, unset, false}, {unset, on, true}, {unset, off, false},
		{on, unset, true}, {on, on, true}, {on, off, false},
		{off, unset, false}, {off, on, true}, {off, off, false},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			i := x.public.AutoAssignPublicIP(row.subnet).Instance("i", fabricfake.InstanceConfig{PublicIP: row.instance})
			if got := i.Interface().PublicIP().IsValid(); got != row.want {
				t.Errorf("subnet %d, instance %d: %v, want %v", row.subnet, row.instance, got, row.want)
			}
		})
	}
	if got := faketb.Fatal(t, func(tb *faketb.TB) { build(netfake.New(tb, netfake.Config{})).public.AutoAssignPublicIP(3) }); !strings.Contains(got, "AutoAssign is 3") {
		t.Errorf("a setting that is none: %q", got)
	}
}

// An instance that was there before the gateway is reached once there is one.
func TestGatewayAfterInstance(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		site := w.Internet().Host("site", "203.0.113.80")
		vpc := fabricfake.NewVPC(w, "late", "10.9.0.0/16").AddIPv6("")
		s := vpc.Subnet("s", "10.9.0.0/24", "a").AddIPv6("").AutoAssignPublicIP(fabricfake.AutoAssignOn)
		open := vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
		i := s.Instance("i", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
		if _, err := site.Ping(brieflyContext(t), i.Interface().PublicIP()); err == nil {
			t.Error("it answers without a gateway")
		}
		s.Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
		if _, err := site.Ping(brieflyContext(t), i.Interface().PublicIP()); err != nil {
			t.Error(err)
		}
	})
}

// Each private IPv4 address of an interface may have an elastic IP, and sends and receives
// under its own. They go with the interface to another instance, and with a secondary
// address to another interface.
func TestElasticIPOfSecondary(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		open := fabricfake.Groups{x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
		one, two := x.public.Instance("one", fabricfake.InstanceConfig{}), x.public.Instance("two", fabricfake.InstanceConfig{Groups: open})
		f := x.public.Interface("f", fabricfake.InterfaceConfig{SecondaryIPs: []string{"10.0.0.50"}, Groups: open})
		f.Attach(one)
		came := map[*fabricfake.Instance]chan int64{one: swallow(t, one.Host), two: swallow(t, two.Host)}
		first, second := gatewayfake.NewElasticIP(x.vpc), gatewayfake.NewElasticIP(x.vpc)
		first.Associate(f)
		second.AssociateTo(f, netip.MustParseAddr("10.0.0.50"))
		wantOwner(t, first, f, f.PrivateIP())
		wantOwner(t, second, f, netip.MustParseAddr("10.0.0.50"))
		reaches := func(eip *gatewayfake.ElasticIP, i *fabricfake.Instance) {
			t.Helper()
			c, err := x.site.Dial("tcp", netip.AddrPortFrom(eip.Addr(), 9).String())
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(c, "hello")
			c.Close()
			if n := <-came[i]; n != 5 {
				t.Errorf("%d bytes", n)
			}
		}
		reaches(first, one)
		reaches(second, one)
		d := netfake.Dialer{Host: one.Host, LocalAddr: netip.MustParseAddrPort("10.0.0.50:0")}
		c, err := d.Dial("tcp", "203.0.113.80:80")
		if err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		if got := x.site.LastPeer(); got != second.Addr() {
			t.Errorf("the site sees %v", got)
		}
		// The interface moves while the connection is open, which its new instance does
		// not know.
		f.Detach()
		if b := x.site.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(first.Addr(), 9)}).Blocker(); b == nil || b.Code != "BAD_STATE" {
			t.Errorf("attached to nothing: %v", b)
		}
		f.Attach(two)
		reaches(first, two)
		reaches(second, two)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the connection of who had it: %v", err)
		}
		one.Interface().MovePrivateIP("10.0.0.50")
		wantOwner(t, second, one.Interface(), netip.MustParseAddr("10.0.0.50"))
		one.Interface().Unassign(netip.MustParseAddr("10.0.0.50"))
		wantOwner(t, second, nil, netip.Addr{})
		f.Detach()
		f.Delete()
		wantOwner(t, first, nil, netip.Addr{})
		first.Associate(two.Interface())
		reaches(first, two)
		two.Terminate()
		two.Await(fabricfake.Terminated)
		wantOwner(t, first, nil, netip.Addr{})
		first.Release()
		second.Release()
	})
}

func wantOwner(t *testing.T, e *gatewayfake.ElasticIP, want *fabricfake.Interface, private netip.Addr) {
	t.Helper()
	if f, addr := e.Interface(); f != want || addr != private {
		t.Errorf("%v belongs to %v of %v, want %v of %v", e, addr, f, private, want)
	}
}

func TestElasticIPRefusals(t *testing.T) {
	netfake.Run(t, func(t *testing.T, _ *netfake.World) {
		tb := faketb.New(t)
		w := netfake.New(tb, netfake.Config{})
		x := build(w)
		i := x.public.Instance("i", fabricfake.InstanceConfig{SecondaryIPs: []string{"10.0.0.50"}, PublicIP: fabricfake.AutoAssignOn})
		gone := x.public.Interface("gone", fabricfake.InterfaceConfig{})
		gone.Delete()
		f, a, b := i.Interface(), gatewayfake.NewElasticIP(x.vpc), gatewayfake.NewElasticIP(x.vpc)
		secondary := netip.MustParseAddr("10.0.0.50")
		for _, row := range []struct {
			name string
			do   func()
			want string // "": accepted
		}{
			{"an interface that is deleted", func() { a.Associate(gone) }, "InvalidNetworkInterfaceID.NotFound"},
			{"an address of another interface", func() { a.AssociateTo(f, x.app.Addr()) }, "InvalidParameterValue: 10.0.1.4 is no private IPv4 address of i"},
			{"no address", func() { a.AssociateTo(f, netip.Addr{}) }, "InvalidParameterValue"},
			{"its address of IPv6", func() {
				x.vpc.AddIPv6("")
				x.public.AddIPv6("")
				a.AssociateTo(f, f.AssignIPv6(""))
			}, "is no private IPv4 address of i"},
			{"beside an assigned one", func() { a.Associate(f) }, ""},
			{"beside an elastic one", func() { b.Associate(f) }, "Resource.AlreadyAssociated: 10.0.0.5 of i has"},
			{"twice", func() { a.AssociateTo(f, secondary) }, "Resource.AlreadyAssociated"},
			{"the secondary address", func() { b.AssociateTo(f, secondary) }, ""},
			{"releasing one in use", b.Release, "InvalidIPAddress.InUse"},
			{"a NAT gateway's interface", func() { gatewayfake.NewElasticIP(x.vpc).Associate(x.nat.Interface()) }, "Resource.AlreadyAssociated"},
		} {
			got := tb.Try(row.do)
			if (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s: got %q, want %q", row.name, got, row.want)
			}
		}
	})
}
