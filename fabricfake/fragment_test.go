package fabricfake_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// big is a datagram that leaves an instance in four fragments.
var big = bytes.Repeat([]byte("fragment"), 30000/8)

// largePair is two instances in two subnets, of which the second lets UDP in on port 9 alone
// and listens on 9 and 10.
type largePair struct {
	w        *netfake.World
	vpc      *fabricfake.VPC
	front    *fabricfake.Subnet
	back     *fabricfake.Subnet
	one, two *fabricfake.Instance
	group    *fabricfake.SecurityGroup
	in       map[uint16]net.PacketConn
}

func newLargePair(t *testing.T, w *netfake.World) *largePair {
	t.Helper()
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
	p := &largePair{w: w, vpc: v, in: map[uint16]net.PacketConn{}}
	p.front, p.back = v.Subnet("front", "10.0.1.0/24", "a").AddIPv6(""), v.Subnet("back", "10.0.2.0/24", "b").AddIPv6("")
	p.group = v.SecurityGroup("nine").AllowIngress("udp/9", fabricfake.Anywhere).AllowIngress("udp/9", fabricfake.AnywhereIPv6)
	p.one = p.front.Instance("one", fabricfake.InstanceConfig{IPv6AddressCount: 1})
	p.two = p.back.Instance("two", fabricfake.InstanceConfig{IPv6AddressCount: 1, Groups: fabricfake.Groups{p.group}})
	for _, port := range []uint16{9, 10} {
		in, err := p.two.ListenPacket("udp", fmt.Sprint(":", port))
		if err != nil {
			t.Fatal(err)
		}
		p.in[port] = in
	}
	return p
}

// send sends a large datagram to a port of two, and reports whether it arrives as it was.
func (p *largePair) send(t *testing.T, to netip.Addr, port uint16) bool {
	t.Helper()
	c, err := p.one.Dial("udp", netip.AddrPortFrom(to, port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(big); err != nil {
		t.Fatal(err)
	}
	p.in[port].SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 1<<16)
	n, _, err := p.in[port].ReadFrom(b)
	return err == nil && bytes.Equal(b[:n], big)
}

// Later fragments have no ports, and groups and ACLs judge them as their first: all of a
// datagram arrives, or nothing.
// fact: fragment.judged
func TestFragmentsAreJudgedAsOne(t *testing.T) {
	for _, row := range []struct {
		rule   string
		port   uint16
		change func(p *largePair)
		by     string // who drops all four; "" if the datagram arrives
	}{
		{"a rule lets the port in", 9, func(*largePair) {}, ""},
		{"no rule lets the other in", 10, func(*largePair) {}, "sg nine"},
		{"the rule of the sender's group", 9, func(p *largePair) { p.out("udp/9") }, ""},
		{"no rule of the sender's group", 9, func(p *largePair) { p.out("udp/10") }, "sg out"},
		{"an ACL denies the port on its way out", 9, func(p *largePair) {
			p.front.UseACL(openACL(p.vpc, "front").DenyEgress(50, "udp/9", "0.0.0.0/0"))
		}, "acl front"},
		{"an ACL denies another", 9, func(p *largePair) {
			p.front.UseACL(openACL(p.vpc, "front").DenyEgress(50, "udp/10", "0.0.0.0/0"))
		}, ""},
		{"an ACL denies the port on its way in", 9, func(p *largePair) {
			p.back.UseACL(openACL(p.vpc, "back").DenyIngress(50, "udp/9", "0.0.0.0/0"))
		}, "acl back"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				p := newLargePair(t, w)
				row.change(p)
				if got := p.send(t, p.two.Addr(), row.port); got != (row.by == "") {
					t.Errorf("it arrives: %v", got)
				}
				drops := w.Drops()
				for _, d := range drops {
					if d.Hop.By.String() != row.by || d.Flow.Dst.Port() != row.port {
						t.Errorf("%v, want it to be dropped by %q for port %d", d, row.by, row.port)
					}
				}
				if want := map[bool]int{true: 0, false: 4}[row.by == ""]; len(drops) != want {
					t.Errorf("%d packets were dropped, want %d", len(drops), want)
				}
			})
		})
	}
}

// out gives one a group that lets out a permission alone.
func (p *largePair) out(permission string) {
	g := p.vpc.SecurityGroup("out").RestrictEgress().AllowEgress(permission, fabricfake.Anywhere)
	p.one.Interface().SetGroups(fabricfake.Groups{g})
}

func openACL(v *fabricfake.VPC, name string) *fabricfake.NetworkACL {
	return v.NetworkACL(name).AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0")
}

// IPv6 has its fragments judged alike.
// fact: fragment.judged
func TestFragmentsAreJudgedAsOne6(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		to := p.two.Interface().IPv6()
		if !p.send(t, to, 9) {
			t.Error("a datagram to the port that is let in does not arrive")
		}
		if p.send(t, to, 10) {
			t.Error("a datagram to the port that is not let in arrives")
		}
	})
}

// Fragments that overtake their first on the substrate wait for it in front of the groups.
// fact: fragment.judged
func TestFragmentsInDisorder(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		late := &delayFirst{}
		p.vpc.Region().Link("a", "b").Insert(late)
		if !p.send(t, p.two.Addr(), 9) {
			t.Error("it does not arrive")
		}
		if p.send(t, p.two.Addr(), 10) {
			t.Error("what is not let in arrives")
		}
		w.Do(func(time.Duration) {
			if late.delayed != 2 {
				t.Errorf("%d first fragments were late, want 2", late.delayed)
			}
		})
	})
}

// delayFirst holds up the first fragment of each datagram.
type delayFirst struct{ delayed int }

func (d *delayFirst) String() string { return "first come, last served" }

func (d *delayFirst) Step(p *netfake.Packet) netfake.Next {
	if p.IsFragment() && !p.IsLaterFragment() {
		d.delayed++
		return p.OnwardAfter(10 * time.Millisecond)
	}
	return p.Onward()
}

// A first fragment that never comes takes the others with it, once hosts would not wait any
// longer.
func TestFragmentsWithoutTheFirst(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		remove := p.vpc.Region().Link("a", "b").Insert(&loseFirst{})
		if p.send(t, p.two.Addr(), 9) {
			t.Error("it arrives")
		}
		remove()
		w.Sleep(netfake.FragmentTimeout)
		waited := 0
		for _, d := range w.Drops() {
			if d.Hop.Rule == "a later fragment, and the first one has not come for 30s" && d.Hop.Place == "two" {
				waited++
			}
		}
		if waited != 3 || p.two.FragmentStats().Received != 0 {
			t.Errorf("%d fragments waited in vain, and %+v", waited, p.two.FragmentStats())
		}
		if !p.send(t, p.two.Addr(), 9) {
			t.Error("the next does not arrive")
		}
	})
}

type loseFirst struct{}

func (l *loseFirst) String() string { return "loses the first" }

func (l *loseFirst) Step(p *netfake.Packet) netfake.Next {
	if p.IsFragment() && !p.IsLaterFragment() {
		return p.Drop(netfake.Hop{Place: "link", By: l, Rule: "lost"})
	}
	return p.Onward()
}

// Flow logs count the fragments of a datagram in one record, under its ports.
// fact: fragment.logged
func TestFragmentsInFlowLogs(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{})
		p.send(t, p.two.Addr(), 9)
		p.send(t, p.two.Addr(), 10)
		w.Sleep(time.Minute)
		bytes := uint64(len(big) + 8 + 4*20)
		want := map[uint16]fabricfake.FlowAction{9: fabricfake.FlowAccept, 10: fabricfake.FlowReject}
		records := log.Records()
		for _, r := range records {
			if port := r.Flow.Dst.Port(); r.Packets != 4 || r.Bytes != bytes || r.Action != want[port] {
				t.Errorf("%v, want 4 packets of %d bytes", r, bytes)
			}
		}
		if len(records) != 2 {
			t.Errorf("%d records, want 2", len(records))
		}
	})
}

// An interface sends 1,024 fragments in a second, and drops the rest. What is no fragment is
// not counted.
// fact: mtu.fragments
func TestFragmentAllowance(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		c, err := p.one.Dial("udp", "10.0.2.99:9") // nobody
		if err != nil {
			t.Fatal(err)
		}
		exceeded := p.one.Interface().FragmentAllowanceExceeded
		for range fabricfake.FragmentAllowance / 4 {
			c.Write(big)
		}
		if got := exceeded(); got != 0 {
			t.Errorf("%d of %d fragments exceed", got, fabricfake.FragmentAllowance)
		}
		c.Write(big)
		if got := exceeded(); got != 4 {
			t.Errorf("%d fragments exceed, want 4", got)
		}
		d := w.Drops()
		if last := d[len(d)-1]; last.Hop.Rule != "more than 1024 fragments in a second" || last.Hop.Code != "FRAGMENT_ALLOWANCE_EXCEEDED" {
			t.Errorf("%v", last)
		}
		small, err := p.one.Dial("udp", netip.AddrPortFrom(p.two.Addr(), 9).String())
		if err != nil {
			t.Fatal(err)
		}
		small.Write([]byte("small"))
		p.in[9].SetReadDeadline(time.Now().Add(time.Millisecond * 100))
		if _, _, err := p.in[9].ReadFrom(make([]byte, 9)); err != nil {
			t.Errorf("what is no fragment: %v", err)
		}
		w.Sleep(time.Second)
		if !p.send(t, p.two.Addr(), 9) || exceeded() != 4 {
			t.Errorf("a second later: %d exceed", exceeded())
		}
	})
}

// A mirror session whose filter names ports copies all fragments of a datagram.
func TestFragmentsAreMirrored(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		probe := p.back.Instance("probe", fabricfake.InstanceConfig{})
		s := p.one.Interface().Mirror("copies", fabricfake.MirrorConfig{
			Target: probe.Interface(),
			Filter: fabricfake.MirrorFilter{Egress: []fabricfake.MirrorRule{
				{Number: 1, Action: fabricfake.MirrorAccept, Protocol: netfake.UDP, DestinationPorts: fabricfake.PortRange{From: 9, To: 9}},
			}},
		})
		p.send(t, p.two.Addr(), 9)
		p.send(t, p.two.Addr(), 10)
		if got := s.Sent(); got != 4 {
			t.Errorf("%d packets were copied, want 4", got)
		}
	})
}

// Frames with fragments in them are dissected by tshark without a complaint, and what is in
// them put together.
func TestCaptureOfFragments(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not on the PATH: nobody else judges the capture")
	}
	var out bytes.Buffer
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newLargePair(t, w)
		tap := host(p.two).Name()
		file := w.Capture(&out, func(name string) bool { return name == tap })
		for _, to := range []netip.Addr{p.two.Addr(), p.two.Interface().IPv6()} {
			if !p.send(t, to, 9) {
				t.Errorf("a datagram to %v does not arrive", to)
			}
		}
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "fragments.pcapng")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tshark := func(args ...string) string {
		text, err := exec.CommandContext(t.Context(), "tshark", append([]string{"-n", "-r", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %v: %v", args, err)
		}
		return string(text)
	}
	const bad = `_ws.malformed || _ws.expert.severity >= "Warning" || udp.checksum.status == "Bad" || ip.checksum.status == "Bad" || !geneve`
	if found := tshark("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", bad); found != "" {
		t.Errorf("tshark complains of:\n%s", found)
	}
	got := tshark("-Y", "ip.reassembled.length || ipv6.reassembled.length", "-T", "fields", "-E", "separator=,",
		"-e", "ip.reassembled.length", "-e", "ipv6.reassembled.length")
	if want := fmt.Sprintf("%d,\n,%d\n", len(big)+8, len(big)+8); got != want {
		t.Errorf("tshark makes of it\n%s, want\n%s", got, want)
	}
	if n := strings.Count(tshark("-Y", "geneve"), "\n"); n != 8 {
		t.Errorf("%d frames, want 8", n)
	}
}
