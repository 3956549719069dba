package fabricfake_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// say has a connection carry "hello" there and back within a time.
func say(c net.Conn, within time.Duration) error {
	c.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// An interface goes from one instance to another, and takes along what is its own. A
// connection through it is unknown to the new instance, which says so: its groups let the
// segment in because the interface still tracks the connection.
// fact: eni.move
func TestInterfaceMoves(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		three := p.b.Instance("three", fabricfake.InstanceConfig{})
		if err := serve(w, three.Host, 22); err != nil {
			t.Fatal(err)
		}
		only := p.vpc.SecurityGroup("only").AllowIngress("tcp/22", p.vpc.DefaultSecurityGroup())
		f := p.b.Interface("floating", fabricfake.InterfaceConfig{PrivateIP: "172.31.32.100", SecondaryIPs: []string{"172.31.32.101"}, Groups: fabricfake.Groups{only}})
		wantStatus(t, f, fabricfake.InterfaceAvailable)
		dial := func(addr string) (net.Conn, error) {
			return p.one.Dialer().DialContext(timeout(t, 2*time.Second), "tcp", addr+":22")
		}
		if _, err := dial("172.31.32.100"); err == nil {
			t.Error("an interface that is attached to nothing answers")
		}
		r := p.one.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("172.31.32.100:22")})
		if b := r.Blocker(); b == nil || b.Code != "BAD_STATE" || b.Rule != "172.31.32.100 is of no use: floating is attached to no instance" {
			t.Errorf("blocked by %v", b)
		}
		f.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
		f.Attach(p.two)
		wantStatus(t, f, fabricfake.InterfaceInUse)
		if f.PhysicalHost() != p.two.Interface().PhysicalHost() || len(p.two.Interfaces()) != 2 || f.Instance() != p.two {
			t.Errorf("on %v, of %v", f.PhysicalHost(), f.Instance())
		}
		var open []net.Conn
		for _, addr := range []string{"172.31.32.100", "172.31.32.101"} {
			c, err := dial(addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := say(c, time.Second); err != nil {
				t.Error(err)
			}
			open = append(open, c)
		}
		f.Detach()
		wantStatus(t, f, fabricfake.InterfaceAvailable)
		if f.PhysicalHost() != nil || len(p.two.Interfaces()) != 1 {
			t.Errorf("on %v when it is detached", f.PhysicalHost())
		}
		f.Attach(three)
		began := w.Now()
		if err := say(open[0], 10*time.Second); !errors.Is(err, syscall.ECONNRESET) || w.Now()-began != 2*fabricfake.LatencyZone {
			t.Errorf("the connection through it: %v after %v", err, w.Now()-began)
		}
		c, err := dial("172.31.32.101")
		if err != nil {
			t.Fatal(err)
		}
		if err := say(c, time.Second); err != nil || fmt.Sprint(f.Groups()[0]) != "sg only" {
			t.Errorf("anew: %v, groups %v", err, f.Groups())
		}
		// It is still unchecked, though the instance's own interface is not.
		for _, row := range []struct {
			of      *fabricfake.Interface
			refused bool
		}{{f, false}, {three.Interface(), true}} {
			before := len(w.Drops())
			row.of.Inject(datagram("172.31.32.77:1", "172.31.32.78:9", "x"))
			d := w.Drops()
			if refused := d[len(d)-1].Hop.Code == "ENI_SOURCE_DEST_CHECK_RESTRICTION"; len(d) != before+1 || refused != row.refused {
				t.Errorf("%v sends from another address: %v", row.of, d[before:])
			}
		}
		// Its groups, and not the instance's, still guard it.
		p.one.Interface().SetGroups(fabricfake.Groups{p.group})
		if _, err := dial("172.31.32.101"); err == nil {
			t.Error("a client that the interface's group does not name gets through")
		}
		f.Detach()
		f.Delete()
		wantStatus(t, f, fabricfake.InterfaceDeleted)
		if again := p.two.Interface().AssignPrivateIP("172.31.32.100"); !again.IsValid() {
			t.Error("the address is not free")
		}
	})
}

func wantStatus(t *testing.T, f *fabricfake.Interface, want fabricfake.InterfaceStatus) {
	t.Helper()
	if got := f.Status(); got != want {
		t.Errorf("%v is %v, want %v", f, got, want)
	}
}

// Attaching and detaching take the time that they are given, to the nanosecond; to an
// instance that is stopped they take none.
// fact: eni.status
func TestAttachTakesTime(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		f := p.b.Interface("slow", fabricfake.InterfaceConfig{Groups: fabricfake.Groups{p.group}, AttachTime: 3 * time.Second})
		to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(f.PrivateIP(), 22)}
		step := func(d time.Duration, want fabricfake.InterfaceStatus, answers netfake.Outcome) {
			t.Helper()
			w.Sleep(d)
			wantStatus(t, f, want)
			if got := p.one.Probe(to).Outcome; got != answers {
				t.Errorf("%v: %v, want %v", want, got, answers)
			}
		}
		f.Attach(p.two)
		step(0, fabricfake.InterfaceAttaching, netfake.Silence)
		step(3*time.Second-1, fabricfake.InterfaceAttaching, netfake.Silence)
		step(1, fabricfake.InterfaceInUse, netfake.Answered)
		f.Detach()
		step(3*time.Second-1, fabricfake.InterfaceDetaching, netfake.Answered)
		step(1, fabricfake.InterfaceAvailable, netfake.Silence)
		p.two.Stop()
		p.two.Await(fabricfake.Stopped)
		f.Attach(p.two)
		step(0, fabricfake.InterfaceInUse, netfake.Silence)
		p.two.Start()
		if err := serve(w, p.two.Host, 22); err != nil {
			t.Fatal(err)
		}
		step(0, fabricfake.InterfaceInUse, netfake.Answered)
	})
}

// An instance with legs in two subnets, and in two VPCs: it sends from an address through
// the interface that has it, and from the primary one where nothing else is said.
func TestSeveralInterfaces(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v, other := fabricfake.NewVPC(w, "prod", "10.0.0.0/16"), fabricfake.NewVPC(w, "other", "10.0.0.0/16")
		a, b, c := v.Subnet("a", "10.0.1.0/24", "a"), v.Subnet("b", "10.0.2.0/24", "a"), other.Subnet("c", "10.0.3.0/24", "a")
		in := func(v *fabricfake.VPC) fabricfake.Groups {
			return fabricfake.Groups{v.SecurityGroup("in").AllowIngress("all", fabricfake.Anywhere)}
		}
		near, far := in(v), in(other)
		box := a.Instance("box", fabricfake.InstanceConfig{Groups: near})
		second, third := b.Interface("second", fabricfake.InterfaceConfig{Groups: near}), c.Interface("third", fabricfake.InterfaceConfig{Groups: far})
		second.Attach(box)
		third.Attach(box)
		server := b.Instance("server", fabricfake.InstanceConfig{Groups: near})
		stranger := c.Instance("stranger", fabricfake.InstanceConfig{Groups: far})
		for _, h := range []*netfake.Host{box.Host, server.Host, stranger.Host} {
			if err := serve(w, h, 22); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range []struct {
			name, from string // where the dialler binds, "" for nowhere
			to         *fabricfake.Instance
			peer       netip.Addr // invalid: no connection
		}{
			{"nothing said", "", server, box.Addr()},
			{"the primary's address", box.Addr().String(), server, box.Addr()},
			{"the second's address", second.PrivateIP().String(), server, second.PrivateIP()},
			{"the third's, in its VPC", third.PrivateIP().String(), stranger, third.PrivateIP()},
			{"the primary's VPC does not know the third's", "", stranger, netip.Addr{}},
		} {
			d := netfake.Dialer{Host: box.Host, Timeout: time.Second}
			if row.from != "" {
				d.LocalAddr = netip.AddrPortFrom(netip.MustParseAddr(row.from), 0)
			}
			conn, err := d.Dial("tcp", row.to.Addr().String()+":22")
			if (err == nil) != row.peer.IsValid() {
				t.Errorf("%s: %v", row.name, err)
			}
			if err == nil {
				w.Sleep(time.Second) // until it is accepted
				conn.Close()
				if got := row.to.LastPeer(); got != row.peer {
					t.Errorf("%s: seen as %v, want %v", row.name, got, row.peer)
				}
			}
		}
		// What comes in at an interface is answered through it.
		conn, err := stranger.Dial("tcp", third.PrivateIP().String()+":22")
		if err != nil {
			t.Fatal(err)
		}
		if err := say(conn, time.Second); err != nil {
			t.Error(err)
		}
		if alarms := w.Alarms(); len(alarms) != 0 {
			t.Errorf("alarms: %v", alarms)
		}
	})
}

// A flow log records what an interface carried until it is deleted, and its mirror sessions
// end.
func TestDeleteEndsRecords(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		log := p.vpc.FlowLog("log", fabricfake.FlowLogConfig{Format: "${interface-id} ${instance-id} ${srcaddr} ${packets}"})
		f := p.b.Interface("f", fabricfake.InterfaceConfig{Groups: fabricfake.Groups{p.group}})
		source := p.one.Interface().Mirror("session", fabricfake.MirrorConfig{Target: f, Filter: fabricfake.MirrorFilter{
			Egress: []fabricfake.MirrorRule{{Number: 1, Action: fabricfake.MirrorAccept}},
		}})
		f.Attach(p.two)
		if _, err := p.one.Ping(t.Context(), f.PrivateIP()); err != nil {
			t.Fatal(err)
		}
		if source.Sent() == 0 {
			t.Error("nothing is mirrored")
		}
		f.Detach()
		f.Delete()
		want := fmt.Sprintf("%s %s %v 1", f.ID(), p.two.ID(), p.one.Addr())
		if lines := log.Lines(); len(lines) != 2 || lines[0] != want {
			t.Errorf("records:\n%s\nwant %s first", strings.Join(lines, "\n"), want)
		}
		before := source.Sent()
		p.one.Ping(t.Context(), p.two.Addr())
		if got := source.Sent(); got != before {
			t.Errorf("%d packets mirrored to an interface that is deleted", got-before)
		}
	})
}

// A route to an interface leads to what it is attached to, and is a blackhole when it is
// attached to nothing.
func TestRouteToInterface(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		f := p.b.Interface("f", fabricfake.InterfaceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff, Groups: fabricfake.Groups{p.group}})
		f.Attach(p.two)
		p.a.Route("203.0.113.0/24", f)
		to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("203.0.113.9:22")}
		for _, row := range []struct {
			name string
			do   func()
			code netfake.Code
			rule string
		}{
			{"it comes to the instance", func() {}, "", "203.0.113.9 is not an address of this host"},
			// fact: rtb.blackhole.stopped
			{"which is stopped", func() { p.two.Stop(); p.two.Await(fabricfake.Stopped) }, "BAD_STATE", "two is stopped"},
			// fact: rtb.blackhole.eni
			{"or terminated", func() { p.two.Terminate(); p.two.Await(fabricfake.Terminated) }, "BAD_STATE_ROUTE", "203.0.113.0/24 → f (blackhole)"},
		} {
			row.do()
			b := p.one.Probe(to).Blocker()
			if b == nil || b.Code != row.code || b.Rule != row.rule {
				t.Errorf("%s: %v", row.name, b)
			}
		}
	})
}
