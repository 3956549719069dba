package netfake

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

// A probe says what a caller would see, for each protocol.
func TestProbe(t *testing.T) {
	for _, row := range []struct {
		name    string
		to      Endpoint
		outcome Outcome
		blocker string // "" for none
	}{
		{"a port that is listened at", endpoint(TCP, "203.0.113.10:7"), Answered, ""},
		{"a closed port refuses", endpoint(TCP, "203.0.113.10:8"), Refused, "nobody listens on tcp/8"},
		{"a UDP socket", endpoint(UDP, "203.0.113.10:53"), Answered, ""},
		{"a closed UDP port refuses", endpoint(UDP, "203.0.113.10:54"), Refused, "nobody listens on udp/54"},
		{"an echo", endpoint(ICMP, "203.0.113.10:0"), Answered, ""},
		{"an address that nobody announces", endpoint(TCP, "203.0.113.99:7"), Silence, "nobody announces"},
		{"a private address", endpoint(TCP, "10.0.0.1:7"), Silence, "private address"},
		{"the host itself", endpoint(TCP, "198.51.100.20:7"), Refused, "nobody listens"},
		{"a host that is down", endpoint(TCP, "203.0.113.11:7"), Silence, "the host is down"},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				w.Internet().Host("dead", "203.0.113.11").Crash()
				echoServer(t, server, ":7")
				openUDP(t, server, 53)
				synctest.Wait() // for the servers to wait as they will
				before, events, sockets := w.Now(), w.Events(), w.Sockets()
				r := client.Probe(row.to)
				if r.Outcome != row.outcome {
					t.Errorf("the outcome is %v, want %v\n%v", r.Outcome, row.outcome, r.Forward)
				}
				b := r.Blocker()
				if (b == nil) != (row.blocker == "") || (b != nil && !strings.Contains(b.Rule, row.blocker)) {
					t.Errorf("blocked by %+v, want %q", b, row.blocker)
				}
				if w.Now() != before || w.Events() != events || w.Sockets() != sockets || len(w.Drops()) != 0 {
					t.Error("the probe left something behind")
				}
			})
		})
	}
}

func endpoint(p Protocol, addr string) Endpoint {
	return Endpoint{Proto: p, Addr: netip.MustParseAddrPort(addr)}
}

// A probe names every fault on its way and counts in none.
func TestProbeFindsAllBlockers(t *testing.T) { Run(t, testProbeFindsAllBlockers) }

func testProbeFindsAllBlockers(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	links := []*Link{client.Uplink().Link(), w.Internet().Between(Melbourne, Sydney), server.Uplink().Link()}
	for _, l := range links {
		l.Partition()
	}
	r := client.Probe(server.TCP(7))
	blockers := r.Forward.Blockers()
	if r.Outcome != Silence || len(blockers) != len(links) {
		t.Fatalf("%v with %d blockers\n%v", r.Outcome, len(blockers), r.Forward)
	}
	for i, l := range links {
		if blockers[i].By != Component(l) {
			t.Errorf("blocker %d is %v, want %v", i, blockers[i].By, l)
		}
		if l.Stats() != (LinkStats{}) {
			t.Errorf("%v counted the probe: %+v", l, l.Stats())
		}
	}
	if r.Return == nil || len(r.Return.Blockers()) != len(links) {
		t.Errorf("the way back: %v", r.Return)
	}
}

// A probe takes the same way, in the same time, as the packet that it stands for.
func TestProbeIsWhatHappens(t *testing.T) { Run(t, testProbeIsWhatHappens) }

func testProbeIsWhatHappens(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	probed := client.Probe(server.TCP(7)).Forward
	rec := w.Record(func(f Flow) bool { return f.Src.Addr() == client.Addr() })
	if _, err := client.Dial("tcp", "203.0.113.10:7"); err != nil {
		t.Fatal(err)
	}
	live := rec.Traces()[0]
	if live.HopLines() != probed.HopLines() || live.Headline() != probed.Headline() {
		t.Errorf("probed\n%v\nlive\n%v", probed, &live)
	}
	if last := live.Hops[len(live.Hops)-1]; last.At != oneWay || last.Verdict != Deliver || last.By != Component(server) {
		t.Errorf("the last hop is %+v", last)
	}
}

// A host without a way to the destination says so.
func TestProbeWithoutInterface(t *testing.T) { Run(t, testProbeWithoutInterface) }

func testProbeWithoutInterface(t *testing.T, w *World) {
	h := w.NewHost("lonely", Place{})
	if r := h.Probe(endpoint(TCP, "203.0.113.10:7")); r.Outcome != Silence || r.Blocker() == nil {
		t.Errorf("got %v", r.Outcome)
	}
}
