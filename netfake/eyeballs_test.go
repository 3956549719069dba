package netfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// handshake is how long connecting takes between two hosts of the internet.
const handshake = 4 * LastMile

// The addresses of a race, by what happens to who dials them.
var racers = map[string]string{
	"answers": "203.0.113.1",
	"refuses": "203.0.113.2", // after a handshake's time
	"silent":  "203.0.113.3",
	"slow":    "203.0.113.4", // answers after 300 ms and a handshake's time
	"no way":  "2001:db8::1", // a host without IPv6 knows at once
}

// raceWorld returns a client and starts the servers that a race may lead to.
func raceWorld(t *testing.T, w *World) *Host {
	n := w.Internet()
	echoServer(t, n.Host("answers", racers["answers"]), ":7")
	n.Host("refuses", racers["refuses"])
	slow := n.Host("slow", racers["slow"])
	slow.Uplink().Link().SetLatency(LastMile + 150*time.Millisecond)
	echoServer(t, slow, ":7")
	return n.Host("client", "198.51.100.1")
}

// runRace lets two lanes race, whatever the families of their addresses.
func runRace(ctx context.Context, d *Dialer, primaries, fallbacks []netip.AddrPort) (*TCPConn, error) {
	r := newRace(d, "tcp", primaries)
	r.primaries.init(r, primaries)
	r.fallback.init(r, fallbacks)
	return r.run(ctx)
}

func raceAddrs(names string) []netip.AddrPort {
	var peers []netip.AddrPort
	for _, name := range strings.Fields(strings.ReplaceAll(names, "no way", "no-way")) {
		addr := racers[strings.ReplaceAll(name, "-", " ")]
		peers = append(peers, netip.AddrPortFrom(netip.MustParseAddr(addr), 7))
	}
	return peers
}

// When the race is over, who has won or which error is told, and that nothing is left of
// the loser.
func TestRace(t *testing.T) {
	const delay = 300 * time.Millisecond
	const sixSYNs = 127 * time.Second
	for _, row := range []struct {
		primaries, fallbacks string
		timeout              time.Duration
		after                time.Duration
		winner               string // or the error, and which address it is about
	}{
		// The primaries answer: nobody else is asked.
		{"answers", "answers", 0, handshake, "answers"},
		{"answers", "silent", 0, handshake, "answers"},
		{"silent", "", 0, sixSYNs, "connection timed out: silent"},
		// The primaries are silent: the fallback starts after 300 ms.
		{"silent", "answers", 0, delay + handshake, "answers"},
		{"silent", "refuses answers", 0, delay + 2*handshake, "answers"},
		// The primaries fail: the fallback starts at once.
		{"no way", "answers", 0, handshake, "answers"},
		{"no way no way", "answers", 0, handshake, "answers"},
		{"refuses", "answers", 0, 2 * handshake, "answers"},
		{"refuses refuses", "answers", 0, 3 * handshake, "answers"},
		// One of the primaries after another; the fallback does not wait for them all.
		{"refuses answers", "silent", 0, 2 * handshake, "answers"},
		{"silent answers", "", 0, sixSYNs + handshake, "answers"},
		{"silent answers", "slow", 0, delay + 300*time.Millisecond + handshake, "slow"},
		// The slow primary is on its way when the fallback starts: in a dead heat it wins.
		{"slow", "answers", 0, delay + handshake, "slow"},
		{"slow", "refuses", 0, delay + handshake, "slow"},
		{"slow", "no way", 0, delay + handshake, "slow"},
		// All fail: the error of the first primary is told, after the last has failed.
		{"refuses", "refuses", 0, 2 * handshake, "connection refused: refuses"},
		{"refuses", "no way", 0, handshake, "connection refused: refuses"},
		{"no way", "refuses", 0, handshake, "network is unreachable: no way"},
		{"no way refuses", "", 0, handshake, "network is unreachable: no way"},
		{"silent", "refuses", 0, sixSYNs, "connection timed out: silent"},
		{"refuses", "silent", 0, handshake + sixSYNs, "connection refused: refuses"},
		// A timeout is shared by the addresses that are left, 2 s at least for each.
		{"silent answers", "", 10 * time.Second, 5*time.Second + handshake, "answers"},
		{"silent silent answers", "", 10 * time.Second, 10*time.Second*2/3 + handshake, "answers"},
		{"refuses silent answers", "", 10 * time.Second, handshake + (10*time.Second-handshake)/2 + handshake, "answers"},
		{"silent answers", "", 3 * time.Second, 2*time.Second + handshake, "answers"},
		{"silent silent answers", "", 4 * time.Second, 4 * time.Second, "i/o timeout: silent"},
		{"silent", "", time.Second, time.Second, "i/o timeout: silent"},
		{"silent", "silent", time.Second, time.Second, "i/o timeout: silent"},
		{"refuses", "silent", time.Second, time.Second, "connection refused: refuses"},
		{"silent", "answers", 200 * time.Millisecond, 200 * time.Millisecond, "i/o timeout: silent"},
		{"silent", "answers", delay + handshake, delay + handshake, "answers"},
	} {
		t.Run(fmt.Sprintf("%s, then %s, within %v", row.primaries, row.fallbacks, row.timeout), func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				client := raceWorld(t, w)
				ctx, cancel := context.WithCancel(t.Context())
				if row.timeout != 0 {
					ctx, cancel = context.WithTimeout(ctx, row.timeout)
				}
				defer cancel()
				began := w.Now()
				c, err := runRace(ctx, client.Dialer(), raceAddrs(row.primaries), raceAddrs(row.fallbacks))
				if got := w.Now() - began; got != row.after {
					t.Errorf("it took %v, want %v", got, row.after)
				}
				if got := raceResult(c, err); got != row.winner {
					t.Errorf("got %s, want %s", got, row.winner)
				}
				if left := connections(client); c != nil && !left[c] || len(left) > 1 {
					t.Errorf("%d connections are left", len(left))
				}
			})
		})
	}
}

// What a dual-stack name costs a client whose IPv6 works, is swallowed, is refused, or is
// not there: each row dials a name that a server answers for, over the network given.
func TestHappyEyeballs(t *testing.T) {
	const ask = 4 * LastMile // both questions at once
	for _, row := range []struct {
		name    string
		client  string // its addresses
		network string
		address string
		after   time.Duration
		remote  string // or the error
	}{
		{"both work: IPv6", "both", "tcp", "both.example:7", ask + handshake, "[2001:db8:1::1]:7"},
		{"IPv6 is a black hole", "both", "tcp", "hole6.example:7", ask + 300*time.Millisecond + handshake, "203.0.113.1:7"},
		{"IPv6 is refused", "both", "tcp", "refused6.example:7", ask + 2*handshake, "203.0.113.1:7"},
		{"IPv4 is a black hole, which nobody notices", "both", "tcp", "hole4.example:7", ask + handshake, "[2001:db8:1::1]:7"},
		{"both are black holes", "both", "tcp", "holes.example:7", ask + 300*time.Millisecond + 127*time.Second, "dial tcp [2001:db8:dead::1]:7: connect: connection timed out"},
		{"both are refused", "both", "tcp", "refused.example:7", ask + 2*handshake, "dial tcp [2001:db8:1::2]:7: connect: connection refused"},
		// Who has one family sorts the other last and never tries it in vain.
		{"the client has IPv4 alone", "four", "tcp", "both.example:7", ask + handshake, "203.0.113.1:7"},
		{"the client has IPv6 alone", "six", "tcp", "both.example:7", ask + handshake, "[2001:db8:1::1]:7"},
		{"IPv4 alone, and the name has IPv6 alone", "four", "tcp", "six.example:7", ask, "dial tcp [2001:db8:1::1]:7: connect: network is unreachable"},
		{"IPv6 alone, and the name has IPv4 alone", "six", "tcp", "four.example:7", ask, "dial tcp 203.0.113.1:7: connect: network is unreachable"},
		{"IPv4 alone, and its address is a black hole", "four", "tcp", "hole4.example:7", ask + 127*time.Second, "dial tcp 203.0.113.99:7: connect: connection timed out"},
		// A network of one family asks for it alone and does not fall back.
		{"tcp4", "both", "tcp4", "hole6.example:7", ask + handshake, "203.0.113.1:7"},
		{"tcp6", "both", "tcp6", "hole4.example:7", ask + handshake, "[2001:db8:1::1]:7"},
		{"tcp6 of a black hole", "both", "tcp6", "hole6.example:7", ask + 127*time.Second, "dial tcp6 [2001:db8:dead::1]:7: connect: connection timed out"},
		{"tcp6 of a name without", "both", "tcp6", "four.example:7", ask, "dial tcp6: lookup four.example on NS: no such host"},
		{"tcp4 of an IPv6 literal", "both", "tcp4", "[2001:db8:1::1]:7", 0, "dial tcp4: address 2001:db8:1::1: no suitable address found"},
		// Datagrams go to the first address; nobody waits for an answer.
		{"udp", "both", "udp", "hole6.example:7", ask, "[2001:db8:dead::1]:7"},
		{"udp of a client without IPv6", "four", "udp", "hole6.example:7", ask, "203.0.113.1:7"},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				ns, client := dualStackWorld(t, w, row.client)
				began := w.Now()
				c, err := client.DialContext(t.Context(), row.network, row.address)
				got := ""
				if err != nil {
					got = strings.Replace(err.Error(), netip.AddrPortFrom(ns, 53).String(), "NS", 1)
				} else {
					got = c.RemoteAddr().String()
				}
				if took := w.Now() - began; got != row.remote || took != row.after {
					t.Errorf("after %v: %s\nwant after %v: %s", took, got, row.after, row.remote)
				}
				if left := connections(client); len(left) > 1 || err != nil && len(left) > 0 {
					t.Errorf("%d connections are left", len(left))
				}
			})
		})
	}
}

// dualStackWorld has a server that listens at port 7, one that does not, a name server,
// and a client of one family or "both".
func dualStackWorld(t *testing.T, w *World, families string) (ns netip.Addr, client *Host) {
	n := w.Internet()
	echoServer(t, n.Host("server", "203.0.113.1", "2001:db8:1::1"), ":7")
	n.Host("closed", "203.0.113.2", "2001:db8:1::2")
	names := n.Host("ns", "203.0.113.53", "2001:db8:1::53")
	serveZone(t, names, zone{
		"both.example":     {"203.0.113.1", "2001:db8:1::1"},
		"four.example":     {"203.0.113.1"},
		"six.example":      {"2001:db8:1::1"},
		"hole6.example":    {"203.0.113.1", "2001:db8:dead::1"},
		"hole4.example":    {"203.0.113.99", "2001:db8:1::1"},
		"holes.example":    {"203.0.113.99", "2001:db8:dead::1"},
		"refused6.example": {"203.0.113.1", "2001:db8:1::2"},
		"refused.example":  {"203.0.113.2", "2001:db8:1::2"},
	})
	addrs := map[string][]string{
		"both": {"198.51.100.1", "2001:db8:2::1"}, "four": {"198.51.100.1"}, "six": {"2001:db8:2::1"},
	}
	client = n.Host("client", addrs[families]...)
	if ns = names.Addr(); families == "six" {
		ns = names.Addr6()
	}
	client.SetResolvers(ns)
	return ns, client
}

// FallbackDelay moves the fallback's start; below zero the families are tried in series.
func TestFallbackDelay(t *testing.T) {
	const forever = 127 * time.Second
	for _, row := range []struct {
		delay, after time.Duration
	}{
		{0, 300*time.Millisecond + handshake},
		{time.Millisecond, time.Millisecond + handshake},
		{5 * time.Second, 5*time.Second + handshake},
		{-1, forever + handshake},
	} {
		Run(t, func(t *testing.T, w *World) {
			raceWorld(t, w)
			d := w.Internet().Host("dual-stack client", "198.51.100.2", "2001:db8:2::2").Dialer()
			d.FallbackDelay = row.delay
			d.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr(racers["answers"])}, nil
			}
			began := w.Now()
			c, err := d.Dial("tcp", "both.example:7")
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if got := w.Now() - began; got != row.after {
				t.Errorf("with a delay of %v it took %v, want %v", row.delay, got, row.after)
			}
		})
	}
}

// Whoever ends a race, nothing of it is left: no connection, no timer.
func TestRaceEnds(t *testing.T) {
	for _, row := range []struct {
		name  string
		end   func(client *Host, cancel func())
		error error
		after time.Duration
	}{
		{"the context, before the fallback starts", func(_ *Host, cancel func()) { time.AfterFunc(100*time.Millisecond, cancel) }, context.Canceled, 100 * time.Millisecond},
		{"the context, while both lanes run", func(_ *Host, cancel func()) { time.AfterFunc(time.Second, cancel) }, context.Canceled, time.Second},
		{"the context, at the fallback's start", func(_ *Host, cancel func()) { time.AfterFunc(300*time.Millisecond, cancel) }, context.Canceled, 300 * time.Millisecond},
		{"the context, before the race", func(_ *Host, cancel func()) { cancel() }, context.Canceled, 0},
		{"the host crashes", func(h *Host, _ func()) { time.AfterFunc(time.Second, func() { h.Crash() }) }, net.ErrClosed, time.Second},
		{"the world closes", func(h *Host, _ func()) { time.AfterFunc(time.Second, h.world.Close) }, net.ErrClosed, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				client := raceWorld(t, w)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				row.end(client, cancel)
				began := w.Now()
				r := newRace(client.Dialer(), "tcp", raceAddrs("silent silent"))
				r.fallback.init(r, raceAddrs("silent"))
				c, err := r.run(ctx)
				if got := w.Now() - began; c != nil || got != row.after || !errors.Is(err, row.error) {
					t.Errorf("after %v: %v, want after %v: %v", got, err, row.after, row.error)
				}
				if left := connections(client); len(left) > 0 {
					t.Errorf("%d connections are left", len(left))
				}
				for _, timer := range []*deadline{&r.headStart, &r.primaries.share, &r.fallback.share} {
					if timer.event.Queued() {
						t.Error("a timer is still set")
					}
				}
			})
		})
	}
}

// The loser of a dead heat says goodbye with FIN, as net does, and the server that it
// reached sees the end of its input.
func TestLoserCloses(t *testing.T) { Run(t, testLoserCloses) }

func testLoserCloses(t *testing.T, w *World) {
	client := raceWorld(t, w)
	loser := w.Internet().Host("loser", "203.0.113.9")
	l, err := loser.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	fallback := []netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:7")}
	c, err := runRace(t.Context(), client.Dialer(), raceAddrs("slow"), fallback)
	if err != nil || racerAt(c.RemoteAddr()) != "slow" {
		t.Fatalf("%v won, %v", c.RemoteAddr(), err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := other.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the loser's server reads %d bytes, %v; want io.EOF", n, err)
	}
}

// The same race twice gives the same packets, though two connections are opened at once.
func TestRaceDeterministic(t *testing.T) {
	CheckDeterministic(t, 3, func(t *testing.T, w *World) {
		client := raceWorld(t, w)
		for _, row := range [][2]string{{"slow", "answers"}, {"refuses", "answers"}, {"silent", "refuses answers"}} {
			if c, err := runRace(t.Context(), client.Dialer(), raceAddrs(row[0]), raceAddrs(row[1])); err != nil {
				t.Error(err)
			} else {
				c.Close()
			}
		}
	})
}

// raceResult is the name of the winner, or an error's innermost text and whom it is about.
func raceResult(c *TCPConn, err error) string {
	if err == nil {
		return racerAt(c.RemoteAddr())
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || op.Net != "tcp" {
		return fmt.Sprintf("%#v", err)
	}
	text := strings.TrimPrefix(op.Err.Error(), "connect: ")
	return text + ": " + racerAt(op.Addr)
}

func racerAt(addr net.Addr) string {
	at := addr.(*net.TCPAddr).AddrPort().Addr().String()
	for name, other := range racers {
		if at == other {
			return name
		}
	}
	return at
}

// connections are those that a host has, and that are not closing.
func connections(h *Host) map[*TCPConn]bool {
	all := map[*TCPConn]bool{}
	h.world.lock()
	defer h.world.unlock()
	for _, c := range h.conns {
		for ; c != nil; c = c.next {
			if !c.closed {
				all[c] = true
			}
		}
	}
	return all
}
