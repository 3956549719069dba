package netfake

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// twentyClients fetch pages from one server over a lossy link, all at the same instant.
func twentyClients(t *testing.T, w *World) {
	server := w.Internet().HostAt(Sydney, "server", "203.0.113.10")
	server.Uplink().Link().SetLoss(0.05)
	server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Write(make([]byte, 10_000))
	}))
	var group sync.WaitGroup
	for i := range 20 {
		place := []Place{Melbourne, Tokyo, London, Sydney}[i%4]
		client := w.Internet().HostAt(place, fmt.Sprint("client", i), fmt.Sprint("198.51.100.", i+1))
		group.Go(func() {
			resp, err := client.HTTPClient().Get("http://203.0.113.10/")
			if err != nil {
				t.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, resp.Body); n != 10_000 || err != nil {
				t.Errorf("client %d: %d bytes, %v", i, n, err)
			}
		})
	}
	group.Wait()
	if server.Uplink().Link().Stats().Lost == 0 {
		t.Error("nothing was lost")
	}
}

func TestCheckDeterministic(t *testing.T) { CheckDeterministic(t, 1, twentyClients) }

// The seed reaches the worlds of both runs, and 0 is the one that Run chooses.
func TestCheckDeterministicSeed(t *testing.T) {
	t.Setenv("NETSPEC_SEED", "")
	var seeds []uint64
	for _, seed := range []uint64{7, 0} {
		CheckDeterministic(t, seed, func(t *testing.T, w *World) {
			seeds = append(seeds, w.Seed())
			send(t, w, 1)
		})
	}
	if seeds[0] != 7 || seeds[1] != 7 || seeds[2] == 0 || seeds[2] != seeds[3] {
		t.Errorf("the worlds' seeds are %d", seeds)
	}
}

// send sends a datagram of each length, ten milliseconds apart, from client:40000 to
// server:1000, which are ten milliseconds away from each other.
func send(t *testing.T, w *World, lengths ...int) {
	server, client := twoHosts(w)
	w.Internet().Between(Sydney, Melbourne).SetLatency(8 * time.Millisecond)
	openUDP(t, server, 1000)
	from := openUDP(t, client, 40000)
	for _, n := range lengths {
		from.WriteToUDPAddrPort(make([]byte, n), server.UDP(1000).Addr)
		time.Sleep(10 * time.Millisecond)
	}
}

// checkRuns compares two runs of f, of which the first is told 0 and the second 1, and
// returns what the check fails with.
func checkRuns(t *testing.T, match func(Flow) bool, f func(t *testing.T, w *World, run int)) string {
	run := -1
	return fatal(t, func(tb TB) {
		compareRuns(tb, func() *tracedRun {
			run++
			return traceRun(t, 42, match, func(t *testing.T, w *World) { f(t, w, run) })
		})
	})
}

const hint = `  hint: the order of a map, a random number that is not of World.Rand, the machine's clock,
  or two goroutines that write to one connection or dial one destination at one instant`

// The text tells the line, what came before, and how each run goes on.
func TestCheckDeterministicText(t *testing.T) {
	for _, row := range []struct {
		name string
		f    func(t *testing.T, w *World, run int)
		text string
	}{
		{"a packet's length", func(t *testing.T, w *World, run int) { send(t, w, 5, 6+run) },
			`netfake: two runs with seed 42 differ at line 4 of their traces:
      1  +0s client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 5 bytes
      2    +1.000ms   internet  internet                 Melbourne → Sydney
      3    +10.000ms  server    server ingress  deliver  socket on udp/1000
  run 1:
      4  +10ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 6 bytes
      5    +1.000ms   internet  internet                 Melbourne → Sydney
      6    +10.000ms  server    server ingress  deliver  socket on udp/1000
    it ends after 6 lines
  run 2:
      4  +10ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 7 bytes
      5    +1.000ms   internet  internet                 Melbourne → Sydney
      6    +10.000ms  server    server ingress  deliver  socket on udp/1000
    it ends after 6 lines
` + hint},
		{"when a packet arrives", func(t *testing.T, w *World, run int) {
			if run == 1 {
				way := w.Internet().Between(Sydney, Melbourne)
				time.AfterFunc(time.Millisecond, func() { way.SetLatency(7 * time.Millisecond) })
			}
			send(t, w, 5, 6, 7)
		}, `netfake: two runs with seed 42 differ at line 6 of their traces:
      3    +10.000ms  server    server ingress  deliver  socket on udp/1000
      4  +10ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 6 bytes
      5    +1.000ms   internet  internet                 Melbourne → Sydney
  run 1:
      6    +10.000ms  server    server ingress  deliver  socket on udp/1000
      7  +20ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 7 bytes
      8    +1.000ms   internet  internet                 Melbourne → Sydney
      9    +10.000ms  server    server ingress  deliver  socket on udp/1000
  run 2:
      6    +9.000ms  server    server ingress  deliver  socket on udp/1000
      7  +20ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 7 bytes
      8    +1.000ms  internet  internet                 Melbourne → Sydney
      9    +9.000ms  server    server ingress  deliver  socket on udp/1000
` + hint},
		{"a packet more", func(t *testing.T, w *World, run int) { send(t, w, []int{5, 6}[:1+run]...) },
			`netfake: two runs with seed 42 differ at line 4 of their traces:
      1  +0s client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 5 bytes
      2    +1.000ms   internet  internet                 Melbourne → Sydney
      3    +10.000ms  server    server ingress  deliver  socket on udp/1000
  run 1:
    it ends after 3 lines
  run 2:
      4  +10ms client 198.51.100.20:40000 → server 203.0.113.10:1000 udp: delivered; 6 bytes
      5    +1.000ms   internet  internet                 Melbourne → Sydney
      6    +10.000ms  server    server ingress  deliver  socket on udp/1000
    it ends after 6 lines
` + hint},
	} {
		if text := checkRuns(t, nil, row.f); text != row.text {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, text, row.text)
		}
	}
}

// A line far down in a trace is shown with the packet that it belongs to, whichever of
// the runs has more of it.
func TestCheckDeterministicFarDown(t *testing.T) {
	long, short := &tracedRun{seed: 42}, &tracedRun{seed: 42}
	hops := make([]Hop, 6)
	for i := range hops {
		hops[i] = Hop{Place: fmt.Sprint("edge", i), Verdict: Forward}
	}
	trace := Trace{Flow: Flow{Proto: UDP}, From: "client", Summary: "5 bytes", Hops: hops}
	long.add(&trace)
	trace.Hops = hops[:5]
	short.add(&trace)
	short.add(&Trace{Flow: Flow{Proto: UDP}, From: "other", Summary: "6 bytes"})
	const head = `two runs with seed 42 differ at line 7 of their traces:
      1  +0s client invalid AddrPort → invalid AddrPort udp: on its way; 5 bytes
      ...
      4    +0.000ms  edge2  edge2
      5    +0.000ms  edge3  edge3
      6    +0.000ms  edge4  edge4
`
	const (
		hop  = "      7    +0.000ms  edge5  edge5\n    it ends after 7 lines\n"
		next = "      7  +0s other invalid AddrPort → invalid AddrPort udp: on its way; 6 bytes\n    it ends after 7 lines\n"
	)
	for _, row := range []struct{ got, text string }{
		{long.differs(short), head + "  run 1:\n" + hop + "  run 2:\n" + next + hint},
		{short.differs(long), head + "  run 1:\n" + next + "  run 2:\n" + hop + hint},
		{long.differs(long), ""},
	} {
		if row.got != row.text {
			t.Errorf("got\n%s\nwant\n%s", row.got, row.text)
		}
	}
}

// What chance decides is caught.
func TestCheckDeterministicCatches(t *testing.T) {
	lengths := map[int]bool{}
	for n := range 40 {
		lengths[n] = true
	}
	for name, f := range map[string]func(t *testing.T, w *World, run int){
		"the order of a map": func(t *testing.T, w *World, _ int) {
			var all []int
			for range 6 { // a walk begins at one of 64 places
				all = slices.AppendSeq(all, maps.Keys(lengths))
			}
			send(t, w, all...)
		},
		"a random length": func(t *testing.T, w *World, _ int) {
			send(t, w, rand.IntN(1400), rand.IntN(1400), rand.IntN(1400), rand.IntN(1400))
		},
	} {
		if text := checkRuns(t, nil, f); !strings.HasPrefix(text, "netfake: two runs with seed 42 differ at line ") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// Flows that are left out may differ, and only they; a check of nothing fails.
func TestCheckDeterministicFlows(t *testing.T) {
	port := func(port uint16) func(Flow) bool { return func(f Flow) bool { return f.Dst.Port() == port } }
	chance := func(t *testing.T, w *World, run int) {
		send(t, w, 5)
		server := w.Internet().Host("other", "203.0.113.11")
		dialUDPFrom(t, server, 2000, openUDP(t, server, 3000)).Write(make([]byte, run))
	}
	for _, row := range []struct {
		port  uint16
		fails string
	}{
		{1000, ""},
		{3000, "netfake: two runs with seed 42 differ at line 1 of their traces:\n"},
		{4000, "netfake: the run with seed 42 sent no packet that could be compared"},
	} {
		text := checkRuns(t, port(row.port), chance)
		if (text == "") != (row.fails == "") || !strings.HasPrefix(text, row.fails) {
			t.Errorf("only port %d: got %q, want %q", row.port, text, row.fails)
		}
	}
	CheckDeterministicFlows(t, 42, port(1000), func(t *testing.T, w *World) { chance(t, w, rand.Int()%1000) })
}

// What Cleanups of the scenario send is compared too; what closing the world sends is
// not.
func TestCheckDeterministicCleanup(t *testing.T) {
	for _, row := range []struct {
		late  func(t *testing.T, w *World, f func())
		fails bool
	}{
		{func(t *testing.T, _ *World, f func()) { t.Cleanup(f) }, true},
		{func(_ *testing.T, w *World, f func()) { w.OnClose(f) }, false},
	} {
		text := checkRuns(t, nil, func(t *testing.T, w *World, run int) {
			send(t, w, 5)
			h := w.Internet().Host("late", "203.0.113.11")
			c := dialUDPFrom(t, h, 2000, openUDP(t, h, 3000))
			row.late(t, w, func() { c.Write(make([]byte, run)) })
		})
		if (text != "") != row.fails {
			t.Errorf("failed with %q, want a failure: %v", text, row.fails)
		}
	}
}

// What goroutines are still about to send when the scenario returns is waited for.
func TestCheckDeterministicWaits(t *testing.T) {
	const senders = 50
	run := traceRun(t, 42, nil, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		in := openUDP(t, server, 1000)
		for i := range uint16(senders) {
			c := dialUDPFrom(t, client, 40000+i, in)
			go c.Write(make([]byte, i))
		}
	})
	if n := strings.Count(strings.Join(run.lines, "\n"), "on its way"); n != senders {
		t.Errorf("%d packets, want %d", n, senders)
	}
}
