package netfake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// box is a stage made of a function.
type box struct {
	name string
	step func(p *Packet) Next
}

func (b *box) String() string      { return b.name }
func (b *box) Step(p *Packet) Next { return b.step(p) }

// A stage may have a packet cross another link before it goes on, whatever stands on that one,
// or has stood there.
func TestLinkWithinALink(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		in := openUDP(t, server, 9)
		inner, seen := w.NewLink("inner", 0), 0
		client.Uplink().Link().Insert(&box{"box", func(p *Packet) Next {
			return p.Over(inner, &box{"far", func(p *Packet) Next { return p.Onward() }})
		}})
		count := func(p *Packet) Next {
			seen++
			return p.Onward()
		}
		arrives := func(when string, want int) {
			seen = 0
			if got := datagrams(t, client, 4000, in, 2); len(got) != 2 || seen != want {
				t.Errorf("%s: %d of 2 have come, and were seen %d times, want %d; %v", when, len(got), seen, want, w.Drops())
			}
			if r := client.Probe(server.UDP(9)); r.Outcome != Answered {
				t.Errorf("%s: %v", when, r)
			}
		}
		arrives("nothing stands there", 0)
		remove := inner.Insert(&box{"one", count})
		inner.Insert(&box{"two", count})()
		arrives("one stands there", 2)
		remove()
		arrives("one has stood there", 0)
	})
}

// towards is what a stage does that sees datagrams only on their way to the server.
func towards(server *Host, step func(p *Packet) Next) func(p *Packet) Next {
	return func(p *Packet) Next {
		if p.Flow.Dst.Addr() != server.Addr() {
			return p.Onward()
		}
		return step(p)
	}
}

// Each of the answers that a stage may give, by what arrives of ten datagrams, one a
// millisecond, and which of them arrive when the stage is gone.
func TestStage(t *testing.T) {
	all := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, row := range []struct {
		name string
		make func(server *Host) func(p *Packet) Next
		want []byte
	}{
		{"pass", func(*Host) func(p *Packet) Next { return (*Packet).Onward }, all},
		{"drop every third", func(s *Host) func(p *Packet) Next {
			n := 0
			return towards(s, func(p *Packet) Next {
				if n++; n%3 == 0 {
					return p.Drop(Hop{Place: "box", Rule: "every third"})
				}
				return p.Onward()
			})
		}, []byte{0, 1, 3, 4, 6, 7, 9}},
		{"no decision", func(*Host) func(p *Packet) Next { return func(*Packet) Next { return Next{} } }, nil},
		{"delay the first", func(s *Host) func(p *Packet) Next {
			n := 0
			return towards(s, func(p *Packet) Next {
				if n++; n == 1 {
					return p.OnwardAfter(3*time.Millisecond + time.Microsecond)
				}
				return p.OnwardAfter(-1)
			})
		}, []byte{1, 2, 3, 0, 4, 5, 6, 7, 8, 9}},
		{"send the first elsewhere, later", func(s *Host) func(p *Packet) Next {
			n := 0
			return towards(s, func(p *Packet) Next {
				if n++; n == 1 {
					return p.After(3*time.Millisecond+time.Microsecond, s)
				}
				return p.After(-1, s)
			})
		}, []byte{1, 2, 3, 0, 4, 5, 6, 7, 8, 9}},
		{"duplicate the last", func(s *Host) func(p *Packet) Next {
			return towards(s, func(p *Packet) Next {
				if p.Payload()[8] == 9 {
					p.Repeat()
				}
				return p.Onward()
			})
		}, append(slices.Clone(all), 9)},
		{"rewrite", func(s *Host) func(p *Packet) Next {
			return towards(s, func(p *Packet) Next {
				p.Payload()[8] += 100
				p.Seal()
				return p.Onward()
			})
		}, []byte{100, 101, 102, 103, 104, 105, 106, 107, 108, 109}},
		{"rewrite without a checksum", func(s *Host) func(p *Packet) Next {
			return towards(s, func(p *Packet) Next {
				p.Payload()[8]++
				return p.Onward()
			})
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				in := openUDP(t, server, 9000)
				remove := client.Uplink().Link().Insert(&box{"box", row.make(server)})
				if got := datagrams(t, client, 1000, in, 10); !bytes.Equal(got, row.want) {
					t.Errorf("got %d, want %d", got, row.want)
				}
				remove()
				remove()
				if got := datagrams(t, client, 1001, in, 10); !bytes.Equal(got, all) {
					t.Errorf("when it is gone: %d", got)
				}
			})
		})
	}
}

// Stages stand one behind the other, in both directions, and a stream passes them as it
// was sent; a trace has them and the time that they take.
func TestStagesInARow(t *testing.T) { Run(t, testStagesInARow) }

func testStagesInARow(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	var seen []string
	for _, name := range []string{"first", "second"} {
		client.Uplink().Link().Insert(&box{name, func(p *Packet) Next {
			if !p.Probing() {
				seen = append(seen, name)
			}
			return p.OnwardAfter(time.Millisecond)
		}})
	}
	rec := w.Record(func(f Flow) bool { return f.Dst.Port() == 7 })
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	w.Sleep(time.Second)
	var handshake []string
	w.Do(func(time.Duration) { handshake = slices.Clone(seen) })
	if !slices.Equal(handshake, []string{"first", "second", "first", "second", "first", "second"}) {
		t.Errorf("of a handshake they have seen %q", handshake)
	}
	rec.Stop()
	if way := rec.String(); !strings.Contains(way, "first") || !strings.Contains(way, "held up for 1ms") {
		t.Errorf("a trace:\n%s", way)
	}
	data := bytes.Repeat([]byte("0123456789"), 30000)
	go c.Write(data)
	got := make([]byte, len(data))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("an echo through the stages: %v", err)
	}
	r := client.Probe(server.TCP(7))
	if r.Outcome != Answered || !strings.Contains(r.String(), "second") {
		t.Errorf("a probe:\n%v", r)
	}
}

// A probe asks a stage as a live packet does, names it where it blocks, and leaves its
// counter as it was.
func TestStageProbe(t *testing.T) { Run(t, testStageProbe) }

func testStageProbe(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	n := 0
	b := &box{name: "one in two"}
	b.step = towards(server, func(p *Packet) Next {
		n++
		p.Undo(func() { n-- })
		if n%2 == 0 {
			return p.Answer(p.Reset(), Hop{Place: "box", By: b, Rule: "the second"})
		}
		return p.Onward()
	})
	client.Uplink().Link().Insert(b)
	for range 3 {
		if r := client.Probe(server.TCP(7)); r.Outcome != Answered || !r.Forward.Passed(b) || n != 0 {
			t.Fatalf("%d counted\n%v", n, r)
		}
	}
	n = 1
	if r := client.Probe(server.TCP(7)); r.Blocker() == nil || r.Blocker().By != Component(b) || n != 1 {
		t.Errorf("%d counted\n%v", n, r)
	}
}

// A stage that answers with a RST refuses, to a probe as to a dial, unless the RST is
// lost on its way.
func TestStageRefuses(t *testing.T) {
	for _, row := range []struct {
		name    string
		thief   Node // another stage, at the client; nil for none
		outcome Outcome
		errno   error
	}{
		{"the RST arrives", nil, Refused, syscall.ECONNREFUSED},
		{"it is lost on the way back", &box{"thief", func(p *Packet) Next {
			if p.TCPFlags()&wire.RST != 0 {
				return p.Drop(Hop{Place: "thief", Rule: "stolen"})
			}
			return p.Onward()
		}}, Silence, context.DeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				echoServer(t, server, ":7")
				b := &box{name: "refuser"}
				b.step = towards(server, func(p *Packet) Next {
					return p.Answer(p.Reset(), Hop{Place: "box", By: b, Rule: "not here"})
				})
				server.Uplink().Link().Insert(b)
				if row.thief != nil {
					client.Uplink().Link().Insert(row.thief)
				}
				r := client.Probe(server.TCP(7))
				if by := r.Forward.Blocker(); r.Outcome != row.outcome || by == nil || by.Rule != "not here: answered with RST" || r.Return.From != "refuser" {
					t.Errorf("a probe: %v\n%v", r.Outcome, r)
				}
				d := Dialer{Host: client, Timeout: time.Minute}
				if _, err := d.DialContext(t.Context(), "tcp", "203.0.113.10:7"); !errors.Is(err, row.errno) {
					t.Errorf("a dial: %v, want %v", err, row.errno)
				}
			})
		})
	}
}

// An answer finds back from either end of a last mile, and from a long-distance link.
func TestStageAnswers(t *testing.T) {
	for _, row := range []struct {
		name string
		link func(server, client *Host) *Link
		at   time.Duration // when the client knows
	}{
		{"at the client", func(_, c *Host) *Link { return c.Uplink().Link() }, 0},
		{"in between", func(s, c *Host) *Link { return s.World().Internet().Between(s.Place(), c.Place()) }, 2 * LastMile},
		{"at the server", func(s, _ *Host) *Link { return s.Uplink().Link() }, 2 * (LastMile + Sydney.Delay(Melbourne))},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server := w.Internet().HostAt(Sydney, "a", "203.0.113.10")
				client := w.Internet().HostAt(Melbourne, "b", "198.51.100.20")
				echoServer(t, server, ":7")
				b := &box{name: "refuser"}
				b.step = towards(server, func(p *Packet) Next {
					return p.Answer(p.Reset(), Hop{Place: "box", By: b, Rule: "refused"})
				})
				row.link(server, client).Insert(b)
				began := w.Now()
				_, err := client.Dial("tcp", "203.0.113.10:7")
				if err == nil || !strings.Contains(err.Error(), "refused") {
					t.Errorf("dial: %v", err)
				}
				if took := w.Now() - began; took != row.at {
					t.Errorf("it took %v, want %v", took, row.at)
				}
			})
		})
	}
}

// What cannot be a stage: nobody, and a node that goes onward where it stands on no link.
func TestStageEdges(t *testing.T) {
	text := fatal(t, func(tb TB) { New(tb, Config{}).NewLink("l", 0).Insert(nil) })
	if text != "netfake: link l: Insert of no node" {
		t.Errorf("no node: %q", text)
	}
	Run(t, func(t *testing.T, w *World) {
		h := w.NewHost("h", Place{})
		h.AddNIC(netip.MustParseAddr("10.0.0.1"), 1500, &box{"lost", func(p *Packet) Next { p.Repeat(); return p.Onward() }})
		to := Endpoint{Proto: UDP, Addr: netip.MustParseAddrPort("10.0.0.2:9")}
		if r := h.Probe(to); r.Blocker() == nil || r.Blocker().Rule != "there is no link to go on over" {
			t.Errorf("a probe:\n%v", r)
		}
	})
}

// A stage sees every packet by itself, also of a burst that a link with an MTU checks.
func TestStageSeesSegments(t *testing.T) { Run(t, testStageSeesSegments) }

func testStageSeesSegments(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	for _, mtu := range []int{0, 1500} {
		bytes, longest := 0, 0
		client.Uplink().Link().SetMTU(mtu)
		remove := client.Uplink().Link().Insert(&box{"meter", towards(server, func(p *Packet) Next {
			bytes, longest = bytes+p.DataLen(), max(longest, p.Len())
			return p.Onward()
		})})
		c.Write(make([]byte, 300_000))
		w.Sleep(time.Minute)
		remove()
		if bytes < 100_000 || longest > InternetMTU { // a window's worth, as nobody reads
			t.Errorf("MTU %d: %d bytes seen, the longest packet %d", mtu, bytes, longest)
		}
		if mtu == 0 {
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, peer)
			w.Sleep(time.Minute)
		}
	}
}
