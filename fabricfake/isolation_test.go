package fabricfake_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// tenants are VPCs with the same block, the same addresses and the same physical hosts.
type tenants [2][]*fabricfake.Instance

const perTenant = 3

func newTenants(w *netfake.World) (all tenants) {
	r := fabricfake.DefaultRegion(w)
	var racks []*fabricfake.PhysicalHost
	for i := range perTenant {
		racks = append(racks, r.PhysicalHost(fmt.Sprint("rack", i), "a"))
	}
	for i, name := range []string{"red", "blue"} {
		vpc := fabricfake.NewVPC(w, name, "10.0.0.0/16")
		open := vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
		for j, rack := range racks {
			s := vpc.Subnet(fmt.Sprint("s", j), fmt.Sprintf("10.0.%d.0/24", j), "a")
			all[i] = append(all[i], s.Instance(fmt.Sprint(name, j), fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}, On: rack}))
		}
	}
	return all
}

// Two VPCs with the same addresses on the same physical hosts never meet: what is sent
// in one arrives there, and nowhere else.
// fact: isolation.tenants, fabric.host
func TestTenantsNeverMix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{Seed: 1})
			all := newTenants(w)
			var in [2][]net.PacketConn
			for i, tenant := range all {
				for _, h := range tenant {
					u, err := h.ListenPacket("udp", ":9")
					if err != nil {
						t.Fatal(err)
					}
					in[i] = append(in[i], u)
				}
			}
			var sent [2][perTenant]int
			for range rapid.IntRange(1, 20).Draw(t, "datagrams") {
				tenant := rapid.IntRange(0, 1).Draw(t, "tenant")
				from, to := rapid.IntRange(0, perTenant-1).Draw(t, "from"), rapid.IntRange(0, perTenant-1).Draw(t, "to")
				c, err := all[tenant][from].Dial("udp", fmt.Sprint(all[tenant][to].Addr(), ":9"))
				if err != nil {
					t.Fatal(err)
				}
				c.Write([]byte{byte(tenant)})
				c.Close()
				sent[tenant][to]++
			}
			time.Sleep(time.Second)
			for i := range in {
				for j, u := range in[i] {
					if got := drainTenant(t, u, i); got != sent[i][j] {
						t.Errorf("%v got %d datagrams, want %d", all[i][j], got, sent[i][j])
					}
				}
			}
			if len(w.Alarms()) != 0 || len(w.Drops()) != 0 {
				t.Errorf("alarms %v, drops %v", w.Alarms(), w.Drops())
			}
		})
	})
}

// drainTenant counts what a socket has, all of which must be its own tenant's.
func drainTenant(t *rapid.T, u net.PacketConn, tenant int) (n int) {
	u.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 10)
	for {
		k, from, err := u.ReadFrom(b)
		if err != nil {
			return n
		}
		if k != 1 || int(b[0]) != tenant {
			t.Errorf("tenant %d got %v from %v", tenant, b[:k], from)
		}
		n++
	}
}

// flowsPerTenant is how many conversations each of two tenants has at once with the other's.
const flowsPerTenant = 10_000

// Two VPCs with the same addresses on the same physical hosts have thousands of conversations
// at the same time, of random hosts, over UDP and TCP. Every one gets its own answers, and on
// no wire is there a frame of one that carries what the other said.
func TestThousandsOfFlowsNeverMix(t *testing.T) { netfake.Run(t, testThousandsOfFlowsNeverMix) }

func testThousandsOfFlowsNeverMix(t *testing.T, w *netfake.World) {
	all := newTenants(w)
	var crossed, frames [2]int
	for _, i := range all[0] {
		own(i.Interface().PhysicalHost(), func(p *netfake.Packet) netfake.Next {
			f, err := fabricfake.ParseFrame(p.Bytes())
			if tenant := int(f.VNI) - 1; err != nil || p.DataLen() > 0 && int(p.Bytes()[p.Len()-1]) != tenant {
				crossed[tenant]++
			} else {
				frames[tenant]++
			}
			return p.Onward()
		})
	}
	flows := flowsPerTenant
	if testing.Short() {
		flows /= 10
	}
	var failures [2]error
	var done sync.WaitGroup
	for tenant := range all {
		for _, i := range all[tenant] {
			answerFlows(t, w, i, tenant)
		}
		done.Go(func() { failures[tenant] = haveFlows(w, all[tenant], tenant, flows) })
	}
	done.Wait()
	for tenant, err := range failures {
		if err != nil || crossed[tenant] != 0 || frames[tenant] < flows {
			t.Errorf("tenant %d: %v; %d frames with what the other said, %d others", tenant, err, crossed[tenant], frames[tenant])
		}
	}
	if len(w.Alarms()) != 0 || len(w.Drops()) != 0 {
		t.Errorf("alarms %v, drops %v", w.Alarms(), w.Drops())
	}
}

// answerFlows has an instance answer what ends with its tenant's number, on port 9, by the
// same.
func answerFlows(t *testing.T, w *netfake.World, i *fabricfake.Instance, tenant int) {
	u, err := i.ListenPacket("udp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	l, err := i.Listen("tcp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	w.Go(func(context.Context) {
		b := make([]byte, 100)
		for n, from, err := u.ReadFrom(b); err == nil; n, from, err = u.ReadFrom(b) {
			if int(b[n-1]) == tenant {
				u.WriteTo(b[:n], from)
			}
		}
	})
	w.Go(func(context.Context) {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			io.CopyN(c, c, flowLen)
			c.Close()
		}
	})
}

// flowLen is the length of what is said in a conversation: its number, and the tenant.
const flowLen = 9

// haveFlows has conversations between random instances of a tenant, one in ten over TCP, a
// hundred at a time.
func haveFlows(w *netfake.World, hosts []*fabricfake.Instance, tenant, flows int) error {
	rng := w.Rand(fmt.Sprint("flows of tenant ", tenant))
	const atOnce = 100
	for first := 0; first < flows; first += atOnce {
		var conns [atOnce]net.Conn
		for i := range conns {
			network := "udp"
			if rng.IntN(10) == 0 {
				network = "tcp"
			}
			from, to := hosts[rng.IntN(len(hosts))], hosts[rng.IntN(len(hosts))]
			c, err := from.Dial(network, fmt.Sprint(to.Addr(), ":9"))
			if err != nil {
				return err
			}
			conns[i] = c
			c.Write(append(binary.BigEndian.AppendUint64(nil, uint64(first+i)), byte(tenant)))
		}
		for i, c := range conns {
			b := make([]byte, flowLen)
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.ReadFull(c, b); err != nil {
				return fmt.Errorf("flow %d: %w", first+i, err)
			}
			if binary.BigEndian.Uint64(b) != uint64(first+i) || int(b[8]) != tenant {
				return fmt.Errorf("flow %d got % x", first+i, b)
			}
			c.Close()
		}
	}
	return nil
}

// An address of one VPC is not reached from another, though both are on one host and
// every group and ACL would let it in.
// fact: cache.tenant, isolation.tenants
func TestOtherTenantIsOutOfReach(t *testing.T) { netfake.Run(t, testOtherTenantIsOutOfReach) }

func testOtherTenantIsOutOfReach(t *testing.T, w *netfake.World) {
	all := newTenants(w)
	red, blue := all[0][0], all[1][1]
	if err := serve(w, blue.Host, 80); err != nil {
		t.Fatal(err)
	}
	// The same address in one's own VPC, where nobody listens.
	if outcome, _, err := call(w, red.Host, blue.TCP(80)); outcome != netfake.Refused || err != nil {
		t.Errorf("from the other VPC: %v, %v", outcome, err)
	}
	// An address that only the other VPC has.
	alone := blue.Interface().AssignPrivateIP("10.0.1.99")
	for tenant, want := range []netfake.Outcome{netfake.Silence, netfake.Answered} {
		r := all[tenant][0].Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(alone, 80)})
		b := r.Blocker()
		if r.Outcome != want || want == netfake.Silence && (b == nil || b.Code != "NO_POSSIBLE_DESTINATION") {
			t.Errorf("%v: %v, stopped by %v", all[tenant][0], r.Outcome, b)
		}
	}
	if outcome, _, err := call(w, all[1][0].Host, blue.TCP(80)); outcome != netfake.Answered || err != nil {
		t.Errorf("from the same VPC: %v, %v", outcome, err)
	}
}

// A physical host that fails silences all that runs on it, of whatever VPC; what was
// written meanwhile arrives once it has recovered.
// fact: fabric.host
func TestPhysicalHostFails(t *testing.T) { netfake.Run(t, testPhysicalHostFails) }

func testPhysicalHostFails(t *testing.T, w *netfake.World) {
	all := newTenants(w)
	var conns []net.Conn
	for _, tenant := range all {
		if err := serve(w, tenant[1].Host, 80); err != nil {
			t.Fatal(err)
		}
		c, err := tenant[0].Dial("tcp", fmt.Sprint(tenant[1].Addr(), ":80"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	failure := all[0][1].Interface().PhysicalHost().Fail()
	for _, c := range conns {
		c.Write([]byte("x"))
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a host that has failed answers")
		}
	}
	for _, tenant := range all {
		if r := tenant[2].Probe(tenant[1].TCP(80)); r.Outcome != netfake.Silence || r.Blocker().Code != "BAD_STATE" ||
			r.Blocker().By != netfake.Component(all[0][1].Interface().PhysicalHost()) {
			t.Errorf("a probe says %v, stopped by %v", r.Outcome, r.Blocker())
		}
		if r := tenant[2].Probe(tenant[0].TCP(80)); r.Outcome != netfake.Refused {
			t.Errorf("a host that has not failed: a probe says %v", r.Outcome)
		}
	}
	failure.Undo()
	for _, c := range conns {
		c.SetReadDeadline(time.Time{})
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the recovery: %v", err)
		}
	}
	if len(w.Alarms()) != 0 {
		t.Errorf("alarms: %v", w.Alarms())
	}
}

// golang.org/x/net's own conformance suite of connections, between two instances.
func TestNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		tb := faketb.New(t)
		w := netfake.New(tb, netfake.Config{Instant: true})
		p := newTenants(w)[0]
		l, err := p[1].Listen("tcp", ":80")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = p[0].Dial("tcp", fmt.Sprint(p[1].Addr(), ":80")); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, tb.Clean, err
	})
}

// A set of hosts that is cut off from everybody else talks with itself, and not with
// somebody who has an address of the set in another VPC.
func TestSetOfTwoTenants(t *testing.T) { netfake.Run(t, testSetOfTwoTenants) }

func testSetOfTwoTenants(t *testing.T, w *netfake.World) {
	all := newTenants(w)
	red, blue := all[0], all[1]
	for _, row := range []struct {
		name string
		set  netfake.Hosts
		cut  bool
	}{
		{"both ends in the set", netfake.Hosts{red[0], red[1]}, false},
		{"one end, and a neighbour", netfake.Hosts{red[0], red[2]}, true},
		{"one end, and the other's namesake", netfake.Hosts{red[0], blue[1]}, true},
		{"the other's namesake, and the other end", netfake.Hosts{blue[0], red[1]}, true},
		{"namesakes of both", netfake.Hosts{blue[0], blue[1]}, false},
	} {
		f := w.Toward(row.set, nil).Partition()
		_, err := red[0].Ping(t.Context(), red[1].Addr())
		if cut := err != nil; cut != row.cut || (f.Hits() == 1) != row.cut {
			t.Errorf("%s: a ping gives %v, with %d hits", row.name, err, f.Hits())
		}
		f.Undo()
	}
}
