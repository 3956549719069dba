package fabricfake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What becomes of a conversation that is under way, and of a new one, when something is
// changed: a tracked one outlives the rule that let it in and the groups of the interface,
// one that goes untracked does not, and neither outlives an ACL.
func TestChangesUnderWay(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		for _, proto := range []string{"tcp", "udp"} {
			for _, row := range []struct {
				change   string
				tracked  bool // by a rule for the VPC's own block, not for everybody
				goesOn   bool
				newBegin bool // whether a new conversation begins then
			}{
				{"nothing", true, true, true},
				{"nothing", false, true, true},
				// fact: ct.revoke.tracked
				{"the rule is revoked", true, true, false},
				// fact: ct.revoke.untracked
				{"the rule is revoked", false, false, false},
				// fact: ct.revoke.replaced
				{"other groups", true, true, false},
				// fact: ct.revoke.replaced
				{"other groups", false, false, false},
				// fact: ct.revoke.acl
				{"an ACL for the way there", true, false, false},
				// fact: ct.revoke.acl
				{"an ACL for the way there", false, false, false},
				// fact: ct.revoke.acl
				{"an ACL for the way back", true, false, false},
				// fact: ct.revoke.acl
				{"an ACL for the way back", false, false, false},
			} {
				t.Run(fmt.Sprintf("%s %s, tracked %v, %s", family, proto, row.tracked, row.change), func(t *testing.T) {
					netfake.Run(t, func(t *testing.T, w *netfake.World) {
						x := newUnderWay(t, w, family == "IPv4", row.tracked)
						old, err := x.begin(proto)
						if err != nil {
							t.Fatal(err)
						}
						x.change(row.change)
						if err := exchange(old); (err == nil) != row.goesOn {
							t.Errorf("the conversation under way: %v", err)
						}
						if _, err := x.begin(proto); (err == nil) != row.newBegin {
							t.Errorf("a new one: %v", err)
						}
					})
				})
			}
		}
	}
}

// underWay is a client and a server in two subnets.
type underWay struct {
	client, server *fabricfake.Instance
	addr           string // where the server is
	group, other   *fabricfake.SecurityGroup
	source         fabricfake.CIDR
	acl            *fabricfake.NetworkACL
}

func newUnderWay(t *testing.T, w *netfake.World, ipv4, tracked bool) *underWay {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	front := v.Subnet("front", "10.0.1.0/24", "a").AddIPv6("2001:db8:7:1::/64")
	back := v.Subnet("back", "10.0.2.0/24", "a").AddIPv6("2001:db8:7:2::/64")
	x := &underWay{group: v.SecurityGroup("web"), other: v.SecurityGroup("other"), acl: v.DefaultNetworkACL()}
	block, everybody := fabricfake.CIDR("10.0.0.0/16"), fabricfake.Anywhere
	if !ipv4 {
		block, everybody = "2001:db8:7::/56", fabricfake.AnywhereIPv6
	}
	if x.source = everybody; tracked {
		x.source = block
	}
	x.group.AllowIngress("tcp/7", x.source).AllowIngress("udp/7", x.source)
	x.client = front.Instance("client", fabricfake.InstanceConfig{IPv6AddressCount: 1})
	x.server = back.Instance("server", fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.group}, IPv6AddressCount: 1})
	x.addr = x.server.TCP(7).Addr.String()
	if !ipv4 {
		x.addr = x.server.TCP6(7).Addr.String()
	}
	l, err := x.server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	u, err := x.server.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	w.Go(func(context.Context) { echo(u) })
	w.Go(func(context.Context) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.Go(func(context.Context) { io.Copy(c, c) })
		}
	})
	return x
}

// begin dials the server and exchanges a word with it.
func (x *underWay) begin(proto string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := x.client.DialContext(ctx, proto, x.addr)
	if err == nil {
		err = exchange(c)
	}
	return c, err
}

// exchange says a word and hears it.
func exchange(c net.Conn) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

func (x *underWay) change(what string) {
	switch what {
	case "the rule is revoked":
		x.group.RevokeIngress("tcp/7", x.source).RevokeIngress("udp/7", x.source)
	case "other groups":
		x.server.Interface().SetGroups(fabricfake.Groups{x.other})
	case "an ACL for the way there":
		x.acl.DenyIngress(1, "all", "10.0.1.0/24").DenyIngress(2, "all", "2001:db8:7:1::/64")
	case "an ACL for the way back":
		x.acl.DenyEgress(1, "all", "10.0.1.0/24").DenyEgress(2, "all", "2001:db8:7:1::/64")
	}
}

// An answer to an echo and an error about what is tracked pass without a rule for them, in
// both families: out of the server, whose group lets nothing out by itself, and in at the
// client.
// fact: ct.icmp, mtu.related
func TestICMPTracking(t *testing.T) { netfake.Run(t, testICMPTracking) }

func testICMPTracking(t *testing.T, w *netfake.World) {
	x := newUnderWay(t, w, true, true)
	x.group.RestrictEgress().RevokeEgress("all", fabricfake.AnywhereIPv6)
	addrs := []netip.Addr{x.server.Addr(), x.server.Addr6()}
	ping := func(addr netip.Addr) error {
		_, err := x.client.Ping(context.Background(), addr)
		return err
	}
	closed := func(addr netip.Addr) error {
		c, err := x.client.Dial("udp", netip.AddrPortFrom(addr, 8).String())
		if err != nil {
			return err
		}
		defer c.Close()
		return exchange(c)
	}
	for _, addr := range addrs {
		if ping(addr) == nil || errors.Is(closed(addr), syscall.ECONNREFUSED) {
			t.Errorf("%v answers what its group does not let in", addr)
		}
	}
	x.group.AllowIngress("icmp/8", fabricfake.CIDR("10.0.0.0/16")).AllowIngress("icmpv6/128", fabricfake.CIDR("2001:db8:7::/56"))
	x.group.AllowIngress("udp/8", fabricfake.CIDR("10.0.0.0/16")).AllowIngress("udp/8", fabricfake.CIDR("2001:db8:7::/56"))
	for _, addr := range addrs {
		if err := ping(addr); err != nil {
			t.Errorf("%v: a ping: %v", addr, err)
		}
		if err := closed(addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v: a closed port: %v", addr, err)
		}
	}
	// A request of the other side is no answer, whatever its identifier.
	for _, addr := range []netip.Addr{x.client.Addr(), x.client.Addr6()} {
		if _, err := x.server.Ping(context.Background(), addr); err == nil {
			t.Errorf("the server may ping %v, though nothing lets that out", addr)
		}
	}
}
