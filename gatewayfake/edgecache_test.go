package gatewayfake_test

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
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// A gateway translates between the addresses that its edge has been told of: for as long as
// a push takes to the one who had the elastic IP, both ways, and from then on to the other.
// fact: cache.delay
func TestTranslationsAreToldLate(t *testing.T) {
	for _, delay := range []time.Duration{0, 2 * time.Second} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := newLate(t, w)
			x.vpc.Region().Mapping().SetDelay(delay)
			x.move()
			const advice = "give the interface an elastic IP, or route through a NAT gateway"
			first, second, lag := x.new, x.old, advice
			if delay > 0 {
				first, second, lag = x.old, x.new, "igw edge has yet to be told where 10.0.0.5 is now"
			}
			for _, step := range []struct {
				name string
				wait time.Duration
				has  *fabricfake.Instance // the address, for all that the edge knows
				not  *fabricfake.Instance
				hint string // why not
			}{
				{"at the time of the move", 0, first, second, lag},
				{"until it is told", max(delay-1, 0), first, second, lag},
				{"when it is told", min(delay, 1), x.new, x.old, advice},
			} {
				w.Sleep(step.wait)
				r := x.site.Probe(x.eip.TCP(22))
				if r.Outcome != netfake.Answered || r.Forward.To != step.has.Name() {
					t.Errorf("delay %v, %s: comes to %v\n%v", delay, step.name, r.Forward.To, r)
				}
				if r := step.has.Probe(x.site.TCP(80)); r.Outcome != netfake.Answered {
					t.Errorf("delay %v, %s: who has the address:\n%v", delay, step.name, r)
				}
				b := step.not.Probe(x.site.TCP(80)).Blocker()
				if b == nil || b.Code != "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS" || b.Hint != step.hint {
					t.Errorf("delay %v, %s: who has none: %+v", delay, step.name, b)
				}
			}
		})
	}
}

// late is a site on the internet, and two instances of which one has an elastic IP.
type late struct {
	w        *netfake.World
	site     *netfake.Host
	vpc      *fabricfake.VPC
	igw      *gatewayfake.InternetGateway
	old, new *fabricfake.Instance
	inner    *fabricfake.Instance // behind a NAT gateway, if there is one
	group    *fabricfake.SecurityGroup
	eip      *gatewayfake.ElasticIP
}

func newLate(t *testing.T, w *netfake.World) *late {
	x := &late{w: w, site: w.Internet().Host("site", "203.0.113.80"), vpc: fabricfake.NewVPC(w, "prod", "10.0.0.0/16")}
	if _, err := x.site.Listen("tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	x.igw = gatewayfake.NewInternetGateway(x.vpc, "igw")
	public := x.vpc.Subnet("public", "10.0.0.0/24", "a").Route("0.0.0.0/0", x.igw)
	x.group = x.vpc.SecurityGroup("ssh").AllowIngress("tcp/22", fabricfake.Anywhere)
	for _, i := range []**fabricfake.Instance{&x.old, &x.new} {
		name := map[bool]string{true: "old", false: "new"}[i == &x.old]
		*i = public.Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.group}})
		l, err := (*i).Listen("tcp", ":22")
		if err != nil {
			t.Fatal(err)
		}
		w.Go(func(context.Context) { echo(l) })
	}
	x.eip = gatewayfake.NewElasticIP(x.vpc)
	x.eip.Associate(x.old.Interface())
	return x
}

// A failure of the mapping service counts a packet through a gateway once, though its edge looks
// up both addresses of a translation, and where what these belong to is; a NAT gateway asks
// who the sender is, whom its host has judged before.
func TestMappingFailureCountsTranslatedPacketsOnce(t *testing.T) {
	eip, site := func(x *late) netip.AddrPort { return x.eip.UDP(9).Addr }, func(x *late) netip.AddrPort { return x.site.UDP(9).Addr }
	touch := func(i *fabricfake.Instance) { i.Interface().SetGroups(i.Interface().Groups()) } // which is news to everybody
	for _, row := range []struct {
		name   string
		change func(x *late)
		from   string
		to     func(x *late) netip.AddrPort
		hits   uint64
	}{
		{"in, of nothing new", func(*late) {}, "site", eip, 0},
		{"in, when the address has moved", (*late).move, "site", eip, 1},
		{"out, of nothing new", func(*late) {}, "old", site, 0},
		{"out, when the address has moved", (*late).move, "old", site, 1},
		{"out, when another has changed", func(x *late) { touch(x.new) }, "old", site, 0},
		{"through a NAT gateway", func(x *late) { touch(x.inner) }, "inner", site, 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := newLate(t, w)
			nat := gatewayfake.NewNATGateway(x.old.Interface().Subnet(), "nat", gatewayfake.NewElasticIP(x.vpc))
			x.inner = x.vpc.Subnet("private", "10.0.1.0/24", "a").Route("0.0.0.0/0", nat).Instance("inner", fabricfake.InstanceConfig{})
			x.group.AllowIngress("udp/9", fabricfake.Anywhere)
			sockets := map[string]net.PacketConn{} // of all, so that nobody answers
			for _, h := range []*netfake.Host{x.site, x.old.Host, x.new.Host, x.inner.Host} {
				c, err := h.ListenPacket("udp", ":9")
				if err != nil {
					t.Fatal(err)
				}
				sockets[h.Name()] = c
			}
			failure := x.vpc.Region().Mapping().Fail()
			row.change(x)
			sockets[row.from].WriteTo([]byte("x"), net.UDPAddrFromAddrPort(row.to(x)))
			w.Sleep(time.Second)
			if got := failure.Hits(); got != row.hits {
				t.Errorf("%s: %d hits, want %d", row.name, got, row.hits)
			}
		})
	}
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { io.Copy(c, c); c.Close() }()
	}
}

// move has the elastic IP belong to the other instance.
func (x *late) move() {
	x.eip.Disassociate()
	x.eip.Associate(x.new.Interface())
}

// What becomes of a connection from the internet when the elastic IP that it goes to moves in
// its middle, half a second after the tenth second's exchange; one to another elastic IP of
// the old instance goes on. A round trip takes 4.2 ms, which the site waits after each.
func TestOutcomesOfElasticIPs(t *testing.T) {
	for _, row := range []struct {
		name    string
		tracked bool
		delay   time.Duration
		back    bool // 5 s later
		want    string
	}{
		// The new instance resets what it does not know.
		{"untracked", false, 0, false, "ECONNRESET after 504.2ms"},

		// Its interface does not let in what it does not track: the segment is sent again
		// after 204.2 ms and so on, 15 times up to 120 s.
		{"tracked", true, 0, false, "ETIMEDOUT after 15m29.3966s"},
		{"tracked, and it comes back", true, 0, true, "survives 6.3344s late"},

		// Two exchanges more are with the old instance.
		{"untracked, told late", false, 2 * time.Second, false, "ECONNRESET after 2.5126s"},
		{"tracked, told late", true, 2 * time.Second, false, "ETIMEDOUT after 15m31.405s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				x := newLate(t, w)
				if row.tracked {
					x.group.RevokeIngress("tcp/22", fabricfake.Anywhere).AllowIngress("tcp/22", fabricfake.CIDR("203.0.113.0/24"))
				}
				x.vpc.Region().Mapping().SetDelay(row.delay)
				other := gatewayfake.NewElasticIP(x.vpc)
				other.AssociateTo(x.old.Interface(), x.old.Interface().AssignPrivateIP(""))
				w.Sleep(row.delay)
				sibling := make(chan string)
				go func() { sibling <- x.chat(other.Addr(), nil) }()
				got := x.chat(x.eip.Addr(), func() {
					x.move()
					if row.back {
						time.AfterFunc(5*time.Second, func() {
							x.eip.Disassociate()
							x.eip.Associate(x.old.Interface())
						})
					}
				})
				if got != row.want {
					t.Errorf("%s, want %s", got, row.want)
				}
				if got := <-sibling; got != "survives" || len(w.Alarms()) != 0 {
					t.Errorf("the sibling: %s, alarms %v", got, w.Alarms())
				}
			})
		})
	}
}

// chat has the site talk with an address each second, and tells how that went on: what its
// next call returned and when after the change, or by how much the slowest echo was late.
func (x *late) chat(addr netip.Addr, change func()) string {
	d := netfake.Dialer{Host: x.site, KeepAlive: -1}
	c, err := d.Dial("tcp", netip.AddrPortFrom(addr, 22).String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	var changed, first, longest time.Duration
	for n := range 30 {
		began := x.w.Now()
		if _, err = io.WriteString(c, "hello"); err == nil {
			_, err = io.ReadFull(c, make([]byte, 5))
		}
		if err != nil {
			break
		}
		took := x.w.Now() - began
		if n == 0 {
			first = took
		}
		longest = max(longest, took)
		if n == 9 && change != nil {
			x.w.Sleep(500 * time.Millisecond)
			changed = x.w.Now()
			change()
			x.w.Sleep(500 * time.Millisecond)
			continue
		}
		x.w.Sleep(time.Second)
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Sprintf("ECONNRESET after %v", x.w.Now()-changed)
	case errors.Is(err, syscall.ETIMEDOUT):
		return fmt.Sprintf("ETIMEDOUT after %v", x.w.Now()-changed)
	case err != nil:
		return err.Error()
	case longest > first:
		return fmt.Sprintf("survives %v late", longest)
	}
	return "survives"
}
