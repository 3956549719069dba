package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
)

// trio is three hosts, of which a pings the others.
type trio struct {
	w       *World
	a, b, c *Host
}

func newTrio(w *World) *trio {
	return &trio{
		w, w.Internet().Host("a", "203.0.113.1"),
		w.Internet().Host("b", "203.0.113.2"), w.Internet().Host("c", "203.0.113.3"),
	}
}

// answers returns who answers a ping of a: "b", "c", "bc" or "".
func (r *trio) answers(t *testing.T) (who string) {
	for _, h := range []*Host{r.b, r.c} {
		if (&duo{w: r.w, a: r.a, b: h}).ping(t) {
			who += h.name
		}
	}
	return who
}

// What befalls a set befalls each of its hosts and nobody else, by one fault that counts
// over all of them; one of them gets over it alone, and Undo and the set's own verb end it
// for all.
func TestFaultsOfSets(t *testing.T) {
	for _, row := range []struct {
		verb    func(Hosts) *Fault
		name    string
		one     func(h *Host)  // ends it for one host
		all     func(hs Hosts) // and for all
		partial bool           // whether one host gets over it alone
		other   func(hs Hosts) // ends another kind
	}{
		{Hosts.Crash, "crash of b, c", (*Host).Restart, Hosts.Restart, true, Hosts.Resume},
		{Hosts.Crash, "crash of b, c", (*Host).Repair, Hosts.Repair, true, Hosts.Release},
		{Hosts.Pause, "pause of b, c", (*Host).Resume, Hosts.Resume, true, Hosts.Restart},
		{Hosts.Pause, "pause of b, c", (*Host).Repair, Hosts.Repair, true, Hosts.Release},
		{Hosts.Hold, "hold on b, c ↔ everybody", (*Host).Release, Hosts.Release, false, Hosts.Resume},
		{Hosts.Hold, "hold on b, c ↔ everybody", (*Host).Repair, Hosts.Repair, false, Hosts.Restart},
		{Hosts.Partition, "partition of b, c ↔ everybody", (*Host).Repair, Hosts.Repair, false, Hosts.Release},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				r := newTrio(w)
				set := Hosts{r.b, r.c, r.b}[:2]
				want := func(when, who string) {
					t.Helper()
					if got := r.answers(t); got != who {
						t.Errorf("%s: %q answer, want %q", when, got, who)
					}
				}
				want("at first", "bc")
				f := row.verb(set)
				want("in force", "")
				if f.String() != row.name || f.Hits() != 2 || len(w.Faults()) != 1 {
					t.Errorf("%v: %d hits, in force are %v", f, f.Hits(), w.Faults())
				}
				row.other(set)
				row.all(Hosts{r.a})
				want("others are repaired", "")
				row.one(r.b)
				if row.partial {
					want("b is", "b")
				} else {
					want("b alone is", "")
				}
				f.Undo()
				want("undone", "bc")

				row.verb(set)
				row.verb(Hosts{r.c})
				row.all(Hosts{r.c, r.b, r.a})
				want("repaired", "bc")
				if faults := w.Faults(); len(faults) > 0 {
					t.Errorf("in force are %v", faults)
				}

				row.verb(set)
				row.one(r.b)
				row.one(r.c)
				if row.partial && len(w.Faults()) != 0 {
					t.Errorf("each is repaired, and in force are %v", w.Faults())
				}
				w.Repair()
				want("the world is repaired", "bc")
			})
		})
	}
}

// A crash of a set ends its hosts' connections without a word, one by one, and boots the
// hosts without sockets; each end that died counts.
func TestCrashOfSetKillsConnections(t *testing.T) { Run(t, testCrashOfSetKillsConnections) }

func testCrashOfSetKillsConnections(t *testing.T, w *World) {
	r := newTrio(w)
	echoServer(t, r.b, ":7")
	echoServer(t, r.c, ":7")
	dial := func(from *Host, to string) net.Conn {
		t.Helper()
		c, err := from.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	outside, inside := dial(r.a, "203.0.113.2:7"), dial(r.b, "203.0.113.3:7")
	w.Sleep(time.Second)
	rec := w.Record(nil)
	f := Hosts{r.b, r.c}.Crash()
	if _, err := inside.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("on a host that has crashed: %v", err)
	}
	w.Sleep(time.Second)
	if n := len(rec.Traces()); n != 0 || f.Hits() != 3 {
		t.Errorf("%d packets; %v: %d hits, want 3 ends of connections", n, f, f.Hits())
	}
	outside.Write([]byte("x"))
	w.Sleep(10 * time.Millisecond)
	if f.Hits() != 4 {
		t.Errorf("%v: %d hits with the packet", f, f.Hits())
	}
	f.Undo()
	if p := r.a.Probe(r.b.TCP(7)); p.Outcome != Refused {
		t.Errorf("booted:\n%v", p)
	}
}

// Paused hosts go on at one instant: what they had to send each other then arrives.
func TestPauseOfSet(t *testing.T) { Run(t, testPauseOfSet) }

func testPauseOfSet(t *testing.T, w *World) {
	p := newDuo(t, w)
	f := Hosts{p.a, p.b}.Pause()
	p.send(0)
	p.at(10)
	p.a.Resume()
	p.at(20)
	p.inA.want(t, "b is paused", "")
	p.inB.want(t, "b is paused", "")
	f.Undo()
	p.at(30)
	p.inA.want(t, "resumed", "0@22ms")
	p.inB.want(t, "resumed", "0@20ms")
	if f.Hits() != 2 {
		t.Errorf("%v: %d hits", f, f.Hits())
	}
}

// Release and Repair of traffic end what was done to it, one way and between fewer hosts
// too, and leave all else.
func TestTrafficRepair(t *testing.T) { Run(t, testTrafficRepair) }

func testTrafficRepair(t *testing.T, w *World) {
	r := newTrio(w)
	a, b, bc := Hosts{r.a}, Hosts{r.b}, Hosts{r.b, r.c}
	for _, row := range []struct {
		name    string
		traffic Traffic
		left    []int // of those below
	}{
		{"both ways", w.Between(a, bc), []int{2, 4, 5, 6}},
		{"the other way round", w.Between(bc, a), []int{2, 4, 5, 6}},
		{"fewer hosts", w.Between(a, b), []int{0, 2, 4, 5, 6}},
		{"one way", w.Toward(bc, a), []int{0, 1, 2, 4, 5, 6}},
		{"with everybody", w.Between(a, nil), []int{0, 1, 3, 4, 6}},
		{"from everybody", w.Toward(nil, a), []int{0, 1, 2, 3, 4, 6}},
		{"between all others", w.Between(nil, nil), []int{0, 1, 2, 3, 5, 6}},
		{"none", Traffic{}, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		parts := []Traffic{
			w.Between(a, bc), w.Between(b, a), w.Toward(a, nil), w.Toward(b, a), w.Between(nil, nil), w.Toward(nil, a), w.Between(b, Hosts{r.c}),
		}
		for _, verb := range []func(Traffic) *Fault{Traffic.Hold, Traffic.Partition} {
			var all []*Fault
			for _, part := range parts {
				all = append(all, verb(part))
			}
			crash := r.a.Crash()
			row.traffic.Release()
			isHold := strings.HasPrefix(all[0].String(), "hold")
			if n := len(w.Faults()); isHold == (n == len(all)+1) && row.traffic.world != nil {
				t.Errorf("%s is released, and %d are in force", row.name, n)
			}
			row.traffic.Repair()
			var want []*Fault
			for _, i := range row.left {
				want = append(want, all[i])
			}
			if got := w.Faults(); fmt.Sprint(got) != fmt.Sprint(append(want, crash)) {
				t.Errorf("%s is repaired, and in force are %v, want %v", row.name, got, want)
			}
			w.Repair()
		}
	}
}

// setVerbs are what can be done to a set of hosts.
var setVerbs = []struct {
	name string
	f    func(Hosts) *Fault
}{
	{"crash of nobody", Hosts.Crash},
	{"pause of nobody", Hosts.Pause},
	{"partition of no traffic", Hosts.Partition},
	{"hold on no traffic", Hosts.Hold},
	{"", func(hs Hosts) *Fault { hs.Restart(); return nil }},
	{"", func(hs Hosts) *Fault { hs.Resume(); return nil }},
	{"", func(hs Hosts) *Fault { hs.Release(); return nil }},
	{"", func(hs Hosts) *Fault { hs.Repair(); return nil }},
	{"partition of no traffic", func(Hosts) *Fault { return Traffic{}.Partition() }},
	{"hold on no traffic", func(Hosts) *Fault { return Traffic{}.Hold() }},
}

// A set without hosts and the zero Traffic have faults that hit nothing.
func TestFaultsOfNobody(t *testing.T) {
	for _, verb := range setVerbs {
		for _, set := range []Hosts{nil, {}, {nil}, {(*Host)(nil)}} {
			f := verb.f(set)
			if f == nil {
				continue
			}
			f.Undo()
			if f.String() != verb.name || f.Hits() != 0 {
				t.Errorf("%v: %d hits, want %s", f, f.Hits(), verb.name)
			}
		}
	}
	if s := fmt.Sprint(Hosts{nil, (*instance)(nil)}, Traffic{}); s != "nil, nil no traffic" {
		t.Errorf("they are called %s", s)
	}
}

// instance is what embeds a host.
type instance struct{ *Host }

// A set with a host that is nil or another world's fails the test; a host that is in it
// twice is in it once.
func TestBadSets(t *testing.T) {
	for _, verb := range setVerbs[:8] {
		for _, row := range []struct {
			other interface{ NetHost() *Host }
			says  string
		}{
			{nil, "netfake: host 1 of a set is nil"},
			{(*Host)(nil), "netfake: host 1 of a set is nil"},
			{(*instance)(nil), "netfake: host 1 of a set is nil"},
			{instance{}, "netfake: host 1 of a set is nil"},
			{New(t, Config{}).NewHost("stranger", Place{}), "netfake: host stranger of a set is another world's"},
		} {
			text := faketb.Fatal(t, func(tb *faketb.TB) { verb.f(Hosts{New(tb, Config{}).NewHost("a", Place{}), row.other}) })
			if text != row.says {
				t.Errorf("%s: %q, want %q", verb.name, text, row.says)
			}
		}
		text := faketb.Fatal(t, func(tb *faketb.TB) {
			w := New(tb, Config{})
			h := w.NewHost("a", Place{})
			if f := verb.f(Hosts{h, instance{h}}); f != nil && len(f.stopped) > 1 {
				t.Errorf("%v stops %v", f, f.stopped)
			}
			w.Repair()
		})
		if text != "" {
			t.Errorf("%s of a host that is in the set twice: %s", verb.name, text)
		}
	}
}

// Repairing nothing leaves what was done to no component in particular.
func TestRepairAtNil(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		r := newTrio(w)
		w.Partition(Hosts{r.a}, Hosts{r.b})
		w.RepairAt(nil)
		if got := r.answers(t); got != "c" {
			t.Errorf("%q answer, want c", got)
		}
		w.RepairAt(r.b)
		if got := r.answers(t); got != "c" {
			t.Errorf("b is repaired, and %q answer, want c", got)
		}
	})
}

// What is to run after a crash runs in the order in which it was named, once for each boot.
func TestOnRestart(t *testing.T) {
	var ran []string
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		server.OnRestart(func() { ran = append(ran, "first") })
		server.OnRestart(func() { ran = append(ran, "second"); server.ServeHTTP(":80", http.NotFoundHandler()) })
		crash := server.Crash()
		if _, err := client.HTTPClient().Do(requestFor(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("of a server that is down: %v", err)
		}
		server.Restart()
		crash.Undo()
		synctest.Wait()
		resp, err := client.HTTPClient().Do(requestFor(t, time.Second))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
	if want := []string{"first", "second"}; !slices.Equal(ran, want) {
		t.Errorf("%q ran, want %q", ran, want)
	}
	text := fatal(t, func(tb TB) { New(tb, Config{}).Internet().Host("h", "203.0.113.10").OnRestart(nil) })
	if text != "netfake: host h: OnRestart of no function" {
		t.Errorf("nothing to run: %q", text)
	}
}

// requestFor asks the server of twoHosts, with so much patience.
func requestFor(t *testing.T, patience time.Duration) *http.Request {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://203.0.113.10/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
