package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// requests stands on a link and notes the packets that go to a host.
type requests struct {
	to *Host
	sniffer
}

func (r *requests) Step(p *Packet) Next {
	if p.Flow.Dst.Addr() != r.to.Addr() {
		return p.Onward()
	}
	return r.sniffer.Step(p)
}

// A ping of a size leaves in packets as Linux's (6.18) does in each mode of ping's -M, over
// interfaces of 1500 bytes.
func TestPingSizes(t *testing.T) {
	const toolong = syscall.EMSGSIZE
	for _, row := range []struct {
		mode  MTUDiscovery
		size  int
		err   error
		sent  []seen // nil if that is not compared
		hosts func(*World) (server, client *Host)
	}{
		// IPv4, whose headers take 28 bytes
		{MTUWant, 0, nil, []seen{{28, 0, false, true}}, twoHosts},
		{MTUWant, 1472, nil, []seen{{1500, 0, false, true}}, twoHosts},
		{MTUWant, 1473, nil, []seen{{1500, 0, true, false}, {21, 1480, false, false}}, twoHosts},
		{MTUDo, 1472, nil, []seen{{1500, 0, false, true}}, twoHosts},
		{MTUDo, 1473, toolong, nil, twoHosts},
		{MTUProbe, 1472, nil, []seen{{1500, 0, false, true}}, twoHosts},
		{MTUProbe, 1473, toolong, nil, twoHosts},
		{MTUDont, 1472, nil, []seen{{1500, 0, false, false}}, twoHosts},
		{MTUDont, 1473, nil, []seen{{1500, 0, true, false}, {21, 1480, false, false}}, twoHosts},
		// IPv6, whose headers take 48
		{MTUWant, 1452, nil, []seen{{1500, 0, false, true}}, onlyIPv6},
		{MTUWant, 1453, nil, []seen{{1496, 0, true, true}, {61, 1448, false, true}}, onlyIPv6},
		{MTUDo, 1452, nil, []seen{{1500, 0, false, true}}, onlyIPv6},
		{MTUDo, 1453, toolong, nil, onlyIPv6},
		{MTUProbe, 1453, toolong, nil, onlyIPv6},
		{MTUDont, 1452, nil, []seen{{1500, 0, false, true}}, onlyIPv6},
		{MTUDont, 1453, nil, []seen{{1496, 0, true, true}, {61, 1448, false, true}}, onlyIPv6},
		// what IP's length field allows
		{MTUWant, 65507, nil, nil, twoHosts},
		{MTUWant, 65508, toolong, nil, twoHosts},
		{MTUDont, 65508, toolong, nil, twoHosts},
		{MTUWant, 65527, nil, nil, onlyIPv6},
		{MTUWant, 65528, toolong, nil, onlyIPv6},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := row.hosts(w)
			m := &requests{to: server}
			client.Uplink().Link().Insert(m)
			g := Pinger{Host: client, Size: row.size, Discovery: row.mode}
			what := fmt.Sprintf("%v bytes to %v, %v", row.size, server.Addr(), row.mode)
			rtt, err := g.Ping(t.Context(), server.Addr())
			want(t, what, err, row.err)
			if err == nil && rtt != 2*oneWay {
				t.Errorf("%s: took %v", what, rtt)
			}
			if got := m.taken(w).packets; row.sent != nil && !slices.Equal(got, row.sent) || err != nil && len(got) > 0 {
				t.Errorf("%s:\nsent %v\nwant %v", what, got, row.sent)
			}
		})
	}
}

// What becomes of large pings on a path that carries less than its ends: one that must not be
// cut comes to a router that says so, and the next one knows.
func TestPingPathMTU(t *testing.T) {
	const toolong = syscall.EMSGSIZE
	for _, row := range []struct {
		mode          MTUDiscovery
		size          int
		first, second error
		call          string // that gives the second error
		cut           []seen // the second request, where it leaves
		hosts         func(*World) (server, client *Host)
	}{
		{MTUWant, 1372, nil, nil, "", []seen{{1400, 0, false, true}}, twoHosts},
		{MTUWant, 1373, toolong, nil, "", []seen{{1396, 0, true, false}, {25, 1376, false, false}}, twoHosts},
		{MTUDo, 1372, nil, nil, "", []seen{{1400, 0, false, true}}, twoHosts},
		{MTUDo, 1373, toolong, toolong, "sendto", nil, twoHosts},
		{MTUProbe, 1373, toolong, toolong, "recvfrom", []seen{{1401, 0, false, true}}, twoHosts},
		{MTUDont, 1373, nil, nil, "", []seen{{1401, 0, false, false}}, twoHosts},
		{MTUDo, 1353, toolong, toolong, "sendto", nil, onlyIPv6},
		// The reply, too, has to be told first: of IPv6 no router cuts it.
		{MTUDont, 1353, toolong, errNoReply, "", []seen{{1400, 0, true, true}, {57, 1352, false, true}}, onlyIPv6},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := row.hosts(w)
			w.Internet().Between(server.Place(), client.Place()).SetMTU(1400)
			g := Pinger{Host: client, Size: row.size, Discovery: row.mode}
			what := fmt.Sprintf("%v bytes to %v, %v", row.size, server.Addr(), row.mode)
			_, err := g.Ping(t.Context(), server.Addr())
			want(t, what, err, row.first)
			if err != nil && client.PathMTU(server.Addr()) != 1400 {
				t.Errorf("%s: the path's MTU is %d", what, client.PathMTU(server.Addr()))
			}
			m := &requests{to: server}
			client.Uplink().Link().Insert(m)
			_, err = g.Ping(t.Context(), server.Addr())
			want(t, what+", again", err, row.second)
			if row.call != "" && !strings.Contains(err.Error(), row.call+": message too long") {
				t.Errorf("%s: %v", what, err)
			}
			if got := m.taken(w).packets; !slices.Equal(got, row.cut) {
				t.Errorf("%s:\nsent %v\nwant %v", what, got, row.cut)
			}
		})
	}
}

// A search by halves finds the path's MTU as one does by hand, with ping -M probe.
func TestPingFindsPathMTU(t *testing.T) { Run(t, testPingFindsPathMTU) }

func testPingFindsPathMTU(t *testing.T, w *World) {
	server, client := twoHosts(w)
	w.Internet().Between(server.Place(), client.Place()).SetMTU(1337)
	fits, not := 0, 1473
	for not-fits > 1 {
		g := Pinger{Host: client, Size: (fits + not) / 2, Discovery: MTUProbe}
		if _, err := g.Ping(t.Context(), server.Addr()); err == nil {
			fits = g.Size
		} else {
			want(t, fmt.Sprintf("%d bytes", g.Size), err, syscall.EMSGSIZE)
			not = g.Size
		}
	}
	if fits+28 != 1337 {
		t.Errorf("packets of %d bytes come through", fits+28)
	}
}

// Bad pingers are told so.
func TestPingerErrors(t *testing.T) {
	addr := loopback
	_, err := new(Pinger).Ping(t.Context(), addr)
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "ping" || !errors.Is(err, errNoPinger) {
		t.Errorf("without a host: %v", err)
	}
	for _, bad := range []struct {
		set  func(g *Pinger)
		text string
	}{
		{func(g *Pinger) { g.Size = -1 }, "netfake: host server: there is no ping of -1 bytes with want"},
		{func(g *Pinger) { g.Discovery = 4 }, "netfake: host server: there is no ping of 0 bytes with mode 4"},
	} {
		got := fatal(t, func(tb TB) {
			h, _ := twoHosts(New(tb, Config{}))
			g := h.Pinger()
			bad.set(g)
			g.Ping(context.Background(), addr)
		})
		if got != bad.text {
			t.Errorf("got %q, want %q", got, bad.text)
		}
	}
}

// A ping of no address, and one whose reply nobody could tell from others', fail at once;
// one without a context fails the test.
func TestPingRefused(t *testing.T) { Run(t, testPingRefused) }

func testPingRefused(t *testing.T, w *World) {
	_, client := twoHosts(w)
	began := w.Now()
	if _, err := client.Ping(t.Context(), netip.Addr{}); err == nil || err.Error() != "ping icmp: missing address" {
		t.Errorf("of no address: %v", err)
	}
	if _, err := (&Pinger{}).Ping(t.Context(), netip.Addr{}); err == nil || err.Error() != "ping icmp: netfake: the Pinger has no Host" {
		t.Errorf("of nobody: %v", err)
	}
	addr := netip.MustParseAddr("203.0.113.10")
	for id := range 1 << 16 {
		client.echoes[echoID{addr, uint16(id)}] = &echoWait{}
	}
	if _, err := client.Ping(t.Context(), addr); !errors.Is(err, syscall.EAGAIN) || w.Now() != began {
		t.Errorf("beside 65536 others: %v", err)
	}
	delete(client.echoes, echoID{addr, 77})
	if _, err := client.Ping(t.Context(), addr); err != nil {
		t.Errorf("beside 65535 others: %v", err)
	}
}

// Whoever forgets the context is told so.
func TestNoContext(t *testing.T) {
	var nobody context.Context
	addr := netip.MustParseAddr("203.0.113.10")
	for want, f := range map[string]func(h *Host){
		"netfake: host a: Ping of 203.0.113.10 without a context":       func(h *Host) { h.Ping(nobody, addr) },
		"netfake: host a: Traceroute to 203.0.113.10 without a context": func(h *Host) { h.Traceroute(nobody, addr) },
	} {
		if got := fatal(t, func(tb TB) { f(New(tb, Config{}).NewHost("a", Place{})) }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A reply that comes late is not taken for that of another address.
func TestPingLateReply(t *testing.T) { Run(t, testPingLateReply) }

func testPingLateReply(t *testing.T, w *World) {
	r := newTrio(w)
	hold := r.b.Hold()
	if _, err := r.a.Ping(t.Context(), r.b.Addr()); err == nil {
		t.Error("b is held, and it answers")
	}
	lost := r.c.Partition()
	time.AfterFunc(time.Millisecond, hold.Undo)
	if rtt, err := r.a.Ping(t.Context(), r.c.Addr()); err == nil {
		t.Errorf("c is cut off, and it answers after %v", rtt)
	}
	lost.Undo()
	if _, err := r.a.Ping(t.Context(), r.c.Addr()); err != nil {
		t.Error(err)
	}
}

// Pings of several addresses at one instant are the same packets in every run, whoever
// comes first.
func TestPingsAtOneInstant(t *testing.T) {
	for range 20 {
		Run(t, func(t *testing.T, w *World) {
			r := newTrio(w)
			rec := w.Record(nil)
			var all sync.WaitGroup
			for _, h := range []*Host{r.b, r.c} {
				all.Go(func() {
					if _, err := r.a.Ping(t.Context(), h.Addr()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for _, trace := range rec.Traces() {
				if id := trace.Flow.Src.Port(); id != 1 {
					t.Errorf("%v has the identifier %d, want 1", trace.Flow, id)
				}
			}
			if n := len(rec.Traces()); n != 4 {
				t.Errorf("%d packets", n)
			}
		})
	}
}

// A probe asks with the identifier that the next ping has, and takes none away.
func TestProbeOfEcho(t *testing.T) { Run(t, testProbeOfEcho) }

func testProbeOfEcho(t *testing.T, w *World) {
	server, client := twoHosts(w)
	client.Ping(t.Context(), server.Addr())
	to := Endpoint{Proto: ICMP, Addr: netip.AddrPortFrom(server.Addr(), 99)}
	for range 2 {
		if r := client.Probe(to); r.Outcome != Answered || r.Forward.Flow.Src.Port() != 2 || r.Forward.Flow.Dst.Port() != 2 {
			t.Errorf("of the flow %+v:\n%v", r.Forward.Flow, r)
		}
	}
	rec := w.Record(nil)
	client.Ping(t.Context(), server.Addr())
	if f := rec.Traces()[0].Flow; f.Src.Port() != 2 {
		t.Errorf("the next ping is of the flow %+v", f)
	}
}

// A wildcard is the host itself, as on Linux: to pings, traceroutes and probes as to dials.
func TestPingWildcard(t *testing.T) {
	for _, row := range []struct {
		wildcard, loopback netip.Addr
		hosts              func(*World) (server, client *Host)
	}{
		{netip.IPv4Unspecified(), loopback, twoHosts},
		{netip.IPv4Unspecified(), loopback, onlyIPv6},
		{netip.IPv6Unspecified(), netip.IPv6Loopback(), onlyIPv6},
	} {
		Run(t, func(t *testing.T, w *World) {
			_, client := row.hosts(w)
			if rtt, err := client.Ping(t.Context(), row.wildcard); rtt != 0 || err != nil {
				t.Errorf("a ping of %v: %v, %v", row.wildcard, rtt, err)
			}
			hops, err := client.Traceroute(t.Context(), row.wildcard)
			if err != nil || len(hops) != 1 || hops[0].Addr != row.loopback || hops[0].Kind != PortUnreachable {
				t.Errorf("a traceroute to %v: %v, %v", row.wildcard, hops, err)
			}
			for proto, want := range map[Protocol]Outcome{TCP: Refused, UDP: Refused, ICMP: Answered} {
				if r := client.Probe(Endpoint{Proto: proto, Addr: netip.AddrPortFrom(row.wildcard, 7)}); r.Outcome != want {
					t.Errorf("a probe of %v: %v\n%v", row.wildcard, r.Outcome, r)
				}
			}
		})
	}
}
