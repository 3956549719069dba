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

// Whoever ends a race, nothing of it is left: no connection, no timer that goes off.
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
				ctx, cancel := context.WithCancel(t.Context())
				row.end(client, cancel)
				began := w.Now()
				c, err := runRace(ctx, client.Dialer(), raceAddrs("silent silent"), raceAddrs("silent"))
				if got := w.Now() - began; c != nil || got != row.after || !errors.Is(err, row.error) {
					t.Errorf("after %v: %v, want after %v: %v", got, err, row.after, row.error)
				}
				if left := connections(client); len(left) > 0 {
					t.Errorf("%d connections are left", len(left))
				}
				before := w.Events()
				w.Sleep(time.Hour)
				if after := w.Events(); after > before+4 { // packets on their way
					t.Errorf("%d events after the race", after-before)
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
