package netfake

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// What one host does with a closed port does not move with what its neighbour does
// meanwhile: randomness is keyed.
func TestNeighboursLuck(t *testing.T) {
	run := func(noisy bool) (pattern string) {
		RunConfig(t, Config{Seed: 3}, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			neighbour := w.Internet().Host("neighbour", "192.0.2.1")
			link := server.Uplink().Link()
			link.SetLoss(0.5)
			for i := range 20 {
				w.Sleep(time.Duration(i+1)*time.Minute - w.Now())
				if noisy {
					go neighbour.Ping(t.Context(), server.Addr())
					go client.Ping(t.Context(), neighbour.Addr())
				}
				began := w.Now()
				client.Dial("tcp", "203.0.113.10:81") // closed: RST, if nothing is lost
				pattern += (w.Now() - began).String() + " "
			}
			if link.Stats().Lost == 0 {
				t.Error("nothing was lost")
			}
		})
		return pattern
	}
	if quiet, noisy := run(false), run(true); quiet != noisy {
		t.Errorf("alone:  %s\nbeside: %s", quiet, noisy)
	}
}

// A response whose body nobody closed does not outlive the world.
func TestForgottenBody(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }))
		if _, err := client.HTTPClient().Get("http://203.0.113.10/"); err != nil {
			t.Fatal(err)
		}
	})
}

// circle is a node that sends every packet to itself.
type circle struct{}

func (*circle) String() string        { return "circle" }
func (c *circle) Step(p *Packet) Next { return p.To(c) }

// A packet that goes round in circles ends, live and as a probe.
func TestCircle(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		h := w.NewHost("h", Place{})
		h.AddNIC(netip.MustParseAddr("10.0.0.1"), 1500, &circle{})
		if _, err := h.Ping(t.Context(), netip.MustParseAddr("10.0.0.2")); err == nil {
			t.Error("somebody answered")
		}
		drops := w.Drops()
		if len(drops) != 1 || drops[0].Hop.Rule != roundInCircles {
			t.Errorf("dropped: %v", drops)
		}
		r := h.Probe(Endpoint{Proto: TCP, Addr: netip.MustParseAddrPort("10.0.0.2:80")})
		if b := r.Blocker(); b == nil || b.Rule != roundInCircles {
			t.Errorf("the probe says\n%v", r)
		}
	})
}

// The copies of a packet that goes round in circles end with it.
func TestCircleOfCopies(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		l := w.NewLink("ring", time.Millisecond)
		l.SetFaults(Faults{Duplicate: 0.01})
		var last time.Duration
		b := &box{name: "box"}
		b.step = func(p *Packet) Next {
			last = p.At()
			return p.Over(l, b)
		}
		w.Do(func(time.Duration) { w.Send(packetOf(w, UDP), b) })
		w.Sleep(400 * time.Millisecond)
		if n := l.Stats().Duplicated; n == 0 || last != (maxSteps-1)*time.Millisecond {
			t.Errorf("%d copies; one of them was seen after %v", n, last)
		}
	})
}

// A link between two places is one, whoever asks for it from which side.
func TestOneLinkBetweenTwoPlaces(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		p, q := Place{Lat: 1, Lon: 2}, Place{Lat: 3, Lon: 4}
		for _, pair := range [][2]Place{{p, q}, {Sydney, Melbourne}, {Sydney, Place{}}} {
			if w.Internet().Between(pair[0], pair[1]) != w.Internet().Between(pair[1], pair[0]) {
				t.Errorf("two links between %v and %v", pair[0], pair[1])
			}
		}
		if w.Internet().Between(p, q) == w.Internet().Between(p, Place{Lat: 3, Lon: 5}) {
			t.Error("one link to two places")
		}
	})
}

// What a shell is handed to repeat a test reaches go test as it is meant.
func TestReplayQuotes(t *testing.T) {
	Run(t, func(t *testing.T, _ *World) {
		w := New(&named{TB: t, name: "TestX/it's a+b (c)"}, Config{Seed: 5})
		if got, want := w.Replay(), `-run '^TestX$/^it'\''s a\+b \(c\)$' -cpu=1 ./netfake`; !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	})
}

type named struct {
	TB
	name string
}

func (n *named) Name() string { return n.name }
