package fabricfake_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// flock is a client, and two servers between which an address moves.
type flock struct {
	w       *netfake.World
	subnet  *fabricfake.Subnet
	group   *fabricfake.SecurityGroup
	client  *fabricfake.Instance
	servers [2]*fabricfake.Instance
	mapping *fabricfake.MappingService

	mu  sync.Mutex
	got []string
}

// floating is the address that moves.
const floating = "10.0.0.99"

func newFlock(t *testing.T, w *netfake.World) *flock {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	f := &flock{w: w, mapping: vpc.Region().Mapping()}
	f.subnet = vpc.Subnet("app", "10.0.0.0/24", "a")
	f.group = vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
	f.client = f.subnet.Instance("client", f.open())
	for i := range f.servers {
		f.servers[i] = f.subnet.Instance(fmt.Sprint("server", i), f.open())
		f.listen(t, f.servers[i])
	}
	f.servers[0].Interface().AssignPrivateIP(floating)
	return f
}

func (f *flock) open() fabricfake.InstanceConfig {
	return fabricfake.InstanceConfig{Groups: fabricfake.Groups{f.group}}
}

// listen notes what comes to an instance: "server0 x 100µs".
func (f *flock) listen(t *testing.T, i *fabricfake.Instance) {
	u, err := i.ListenPacket("udp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	f.w.Go(func(context.Context) {
		b := make([]byte, 100)
		for {
			n, _, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.got = append(f.got, fmt.Sprintf("%s %s %v", i.Name(), b[:n], f.w.Now()))
			f.mu.Unlock()
		}
	})
}

func (f *flock) dial(t *testing.T, from *fabricfake.Instance, to string) net.Conn {
	c, err := from.Dial("udp", to+":9")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until lets time pass up to a moment since the world's beginning, and says something then.
func (f *flock) until(at time.Duration, c net.Conn, say string) {
	f.w.Sleep(at - f.w.Now())
	c.Write([]byte(say))
}

// want compares what has arrived at each instance, in the order of their names, by the end
// of the second that has begun.
func (f *flock) want(t *testing.T, want ...string) {
	t.Helper()
	f.w.Sleep(time.Second - f.w.Now()%time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortStableFunc(f.got, func(a, b string) int { // goroutines may have been late
		a, _, _ = strings.Cut(a, " ")
		b, _, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	if diff := cmp.Diff(want, f.got); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
	f.got = nil
}

// A change is known at once, unless a test says how long it takes to get about.
// fact: cache.push
func TestMoveIsKnownAtOnce(t *testing.T) { netfake.Run(t, testMoveIsKnownAtOnce) }

func testMoveIsKnownAtOnce(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	c := f.dial(t, f.client, floating)
	f.until(0, c, "old")
	f.w.Sleep(time.Millisecond)
	f.servers[1].Interface().MovePrivateIP(floating)
	f.until(time.Millisecond, c, "new")
	f.want(t, "server0 old 100µs", "server1 new 1.1ms")
	if len(w.Alarms()) != 0 {
		t.Errorf("alarms: %v", w.Alarms())
	}
}

// Until the push arrives, frames go to the host where the address was, which drops them.
// From that instant on they go where it is.
// fact: cache.delay
func TestPushTakesTime(t *testing.T) { netfake.Run(t, testPushTakesTime) }

func testPushTakesTime(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetDelay(2 * time.Second)
	c := f.dial(t, f.client, floating)
	f.until(500*time.Millisecond, c, "old")
	f.want(t, "server0 old 500.1ms")

	f.servers[1].Interface().MovePrivateIP(floating) // at 1 s
	b := f.client.Probe(f.servers[0].UDP(9)).Blocker()
	if b != nil {
		t.Errorf("where nothing has moved: blocked by %v", b)
	}
	f.until(2999*time.Millisecond, c, "lost")
	f.until(3*time.Second, c, "new")
	f.until(3*time.Second+time.Millisecond, c, "again")
	f.want(t, "server1 new 3.0001s", "server1 again 3.0011s")

	d := w.Drops()
	if len(d) != 1 || d[0].Hop.Place != "server0" || d[0].Hop.Rule != "destination check: 10.0.0.99 is not 10.0.0.5" ||
		d[0].Hop.Hint != "host of client has yet to be told where 10.0.0.99 is now" || len(w.Alarms()) != 0 {
		t.Errorf("drops: %+v, alarms: %v", d, w.Alarms())
	}
}

// A host with a time of its own is told after that. One that has not been told yet takes
// what comes from the new place for forged, and so does one that has been told what comes
// from the old.
func TestPushTakesEachHostItsTime(t *testing.T) { netfake.Run(t, testPushTakesEachHostItsTime) }

func testPushTakesEachHostItsTime(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.listen(t, f.client)
	f.mapping.SetDelay(3 * time.Second)
	f.client.Interface().PhysicalHost().SetMappingDelay(time.Second)
	f.servers[0].Interface().PhysicalHost().SetMappingDelay(0) // where the address is from
	c := f.dial(t, f.client, floating)
	other := f.dialFrom(t, f.servers[0], f.servers[0].Addr().String(), floating)

	f.until(900*time.Millisecond, c, "before")
	f.w.Sleep(100 * time.Millisecond)
	f.servers[1].Interface().MovePrivateIP(floating)
	back := f.dialFrom(t, f.servers[1], floating, f.client.Addr().String())
	f.until(1500*time.Millisecond, back, "forged")
	f.until(1999*time.Millisecond, c, "lost")
	f.until(2*time.Second, c, "there")
	f.until(2*time.Second, back, "and back")
	f.until(2*time.Second, other, "from where it was")
	f.want(t, "client and back 2.0001s", "server0 before 900.1ms", "server1 there 2.0001s", "server1 from where it was 2.0001s")
	if n := f.client.Interface().PhysicalHost().Rejected(); n != 1 {
		t.Errorf("%d frames rejected", n)
	}
	d := w.Drops()
	if len(d) != 2 || d[0].Hop.Hint != "host of client has yet to be told where 10.0.0.99 is now" || d[0].Hop.Rule != "a frame from 192.168.0.5 with the source 10.0.0.99, which is not mapped there" {
		t.Errorf("drops: %+v", d)
	}
}

func (f *flock) dialFrom(t *testing.T, from *fabricfake.Instance, source, to string) net.Conn {
	d := from.Dialer()
	d.LocalAddr = netip.AddrPortFrom(netip.MustParseAddr(source), 0)
	c, err := d.Dial("udp", to+":9")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An instance that is new is known to its own host, and to the others once they have been
// told. Pushes arrive in the order of the changes, however short the time has become.
// fact: cache.miss, cache.delay
func TestNewInstanceGetsKnown(t *testing.T) { netfake.Run(t, testNewInstanceGetsKnown) }

func testNewInstanceGetsKnown(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetDelay(2 * time.Second)
	cfg := f.open()
	cfg.On = f.servers[0].Interface().PhysicalHost()
	late := f.subnet.Instance("late", cfg)
	f.mapping.SetDelay(time.Second)
	later := f.subnet.Instance("later", f.open())
	f.listen(t, late)
	f.listen(t, later)
	neighbour, stranger, second := f.dial(t, f.servers[0], late.Addr().String()), f.dial(t, f.client, late.Addr().String()), f.dial(t, f.client, later.Addr().String())

	f.until(0, neighbour, "hello")
	f.until(1999*time.Millisecond, stranger, "lost")
	f.until(1999*time.Millisecond, second, "lost as well")
	f.until(2*time.Second, stranger, "hello")
	f.until(2*time.Second, second, "hello")
	f.want(t, "late hello 20µs", "late hello 2.0001s", "later hello 2.0001s")
	d := w.Drops()
	if len(d) != 2 || d[0].Hop.Rule != "no interface has 10.0.0.7, vni 1" || d[0].Hop.Code != "NO_POSSIBLE_DESTINATION" || len(w.Alarms()) != 0 ||
		d[0].Hop.Hint != "host of client has yet to be told where 10.0.0.7 is now" {
		t.Errorf("drops: %+v, alarms: %v", d, w.Alarms())
	}
}

// Where caches ask, the first packet waits for the answer, those that follow wait with it in
// their order, and later ones wait no more. Whoever is asked about nobody is told so.
// fact: cache.miss
func TestCachesAsk(t *testing.T) { netfake.Run(t, testCachesAsk) }

func testCachesAsk(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetMissPolicy(fabricfake.MissAsk)
	f.client.Interface().PhysicalHost().SetMappingDelay(time.Second)
	c := f.dial(t, f.client, floating)
	f.until(0, c, "one")
	f.until(0, c, "two")
	f.until(150*time.Microsecond, c, "three")
	f.until(200*time.Microsecond, c, "four")
	f.until(time.Millisecond, c, "five")
	// 200 µs for the question of where to, 100 µs for the way, 200 µs for the one of who
	// sends: the receiver too asks only once.
	f.want(t, "server0 one 500µs", "server0 two 500µs", "server0 three 500µs", "server0 four 500µs", "server0 five 1.1ms")

	f.servers[1].Interface().MovePrivateIP(floating) // at 1 s
	f.until(1999*time.Millisecond, c, "lost")
	f.until(2*time.Second, c, "six")
	f.want(t, "server1 six 2.0003s")

	f.until(3*time.Second, f.dial(t, f.client, "10.0.0.200"), "nobody")
	f.w.Sleep(199 * time.Microsecond)
	if d := w.Drops(); len(d) != 1 {
		t.Errorf("before the answer: %v", d)
	}
	f.w.Sleep(time.Microsecond)
	if d := w.Drops(); len(d) != 2 || d[1].Hop.Rule != "no interface has 10.0.0.200, vni 1" {
		t.Errorf("after the answer: %v", d)
	}
}

// A probe asks too, and leaves nothing behind of it.
func TestProbesAsk(t *testing.T) { netfake.Run(t, testProbesAsk) }

func testProbesAsk(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetMissPolicy(fabricfake.MissAsk)
	for range 2 {
		r := f.client.Probe(f.servers[0].TCP(80))
		if r.Outcome != netfake.Refused || !strings.Contains(r.Forward.String(), "asks where 10.0.0.5 is\n  +0.200ms  client ") {
			t.Errorf("%v: %v", r.Outcome, r)
		}
	}
	f.until(0, f.dial(t, f.client, floating), "one")
	f.want(t, "server0 one 500µs")
}

// With the mapping service down what is known keeps working. Changes arrive when it has
// recovered, and questions have no answer until then.
// fact: static
func TestMappingServiceFails(t *testing.T) { netfake.Run(t, testMappingServiceFails) }

func testMappingServiceFails(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetDelay(500 * time.Millisecond)
	c, still := f.dial(t, f.client, floating), f.dial(t, f.client, f.servers[0].Addr().String())
	failure := f.mapping.Fail()
	f.until(900*time.Millisecond, c, "as before")
	f.w.Sleep(100 * time.Millisecond)
	f.servers[1].Interface().MovePrivateIP(floating)
	f.until(5*time.Second, c, "lost")
	f.until(5*time.Second, c, "lost")
	f.until(5*time.Second, still, "still works")
	f.want(t, "server0 as before 900.1ms", "server0 still works 5.0001s")
	if failure.Hits() != 2 || failure.String() != "failure of the mapping service of ap-southeast-2" {
		t.Errorf("%v: %d hits", failure, failure.Hits())
	}
	f.until(6900*time.Millisecond, c, "lost")
	f.servers[1].Interface().AssignPrivateIP("10.0.0.77") // known half a second later
	next := f.dial(t, f.client, "10.0.0.77")
	f.w.Sleep(100 * time.Millisecond)
	failure.Undo() // at 7 s
	f.until(7*time.Second, c, "new")
	f.until(7399*time.Millisecond, next, "lost")
	f.until(7400*time.Millisecond, next, "new as well")
	f.want(t, "server1 new 7.0001s", "server1 new as well 7.4001s")
}

// A question to the mapping service while it is down has no answer.
func TestMappingServiceDoesNotAnswer(t *testing.T) {
	netfake.Run(t, testMappingServiceDoesNotAnswer)
}

func testMappingServiceDoesNotAnswer(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	f.mapping.SetMissPolicy(fabricfake.MissAsk)
	c, other := f.dial(t, f.client, floating), f.dial(t, f.client, f.servers[1].Addr().String())
	f.until(0, c, "known")
	f.want(t, "server0 known 500µs")
	failure := f.mapping.Fail()
	f.until(time.Second, c, "still known")
	f.until(time.Second, other, "lost")
	f.want(t, "server0 still known 1.0001s")
	if d := w.Drops(); len(d) != 1 || d[0].Hop.Rule != "the mapping service does not answer" || d[0].Hop.By != netfake.Component(f.mapping) || failure.Hits() != 1 {
		t.Errorf("drops %v, %d hits", d, failure.Hits())
	}
	f.mapping.Repair()
	f.until(2*time.Second, other, "found")
	f.want(t, "server1 found 2.0005s")
}

// Who is a member of a group is pushed as well: a rule that refers to it admits a new
// member, and no longer an old one, when the host of the interface has been told.
func TestGroupMembersGetKnown(t *testing.T) { netfake.Run(t, testGroupMembersGetKnown) }

func testGroupMembersGetKnown(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	vpc := f.subnet.VPC()
	members := vpc.SecurityGroup("members")
	inner := vpc.SecurityGroup("inner").AllowIngress("udp/9", members)
	f.servers[0].Interface().SetGroups(fabricfake.Groups{inner})
	f.mapping.SetDelay(time.Second)
	c, same := f.dial(t, f.client, f.servers[0].Addr().String()), f.client.Interface()

	f.until(time.Second, c, "no member")
	same.SetGroups(fabricfake.Groups{f.group, members})
	f.until(1999*time.Millisecond, c, "not yet")
	f.until(2*time.Second, c, "member")
	f.until(3*time.Second, c, "member")
	same.SetGroups(fabricfake.Groups{f.group})
	f.until(3999*time.Millisecond, f.dial(t, f.client, f.servers[0].Addr().String()), "still")
	f.until(4*time.Second, f.dial(t, f.client, f.servers[0].Addr().String()), "no more")
	f.want(t, "server0 member 2.0001s", "server0 member 3.0001s", "server0 still 3.9991s")
}

// What passes a route to an interface finds it where the host believes it to be.
func TestRouteToInterfaceIsLookedUp(t *testing.T) { netfake.Run(t, testRouteToInterfaceIsLookedUp) }

func testRouteToInterfaceIsLookedUp(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	cfg := f.open()
	cfg.SourceDestCheck = fabricfake.SourceDestCheckOff
	router := f.subnet.Instance("router", cfg)
	f.subnet.VPC().MainRouteTable().Route("198.51.100.0/24", &throughInterface{router.Interface()})
	f.mapping.SetMissPolicy(fabricfake.MissAsk)
	failure := f.mapping.Fail()
	to := netfake.Endpoint{Proto: netfake.UDP, Addr: netip.MustParseAddrPort("198.51.100.1:9")}
	if b := f.client.Probe(to).Blocker(); b == nil || b.Rule != "the mapping service does not answer" {
		t.Errorf("the way to the router is known: %v", b)
	}
	failure.Undo()
	if b := f.client.Probe(to).Blocker(); b == nil || b.Place != "router" {
		t.Errorf("blocked by %v", b)
	}
}

// What no clock can do fails the test.
func TestMappingDelayErrors(t *testing.T) {
	for name, f := range map[string]func(i *fabricfake.Instance, e *fabricfake.Edge){
		"region": func(i *fabricfake.Instance, _ *fabricfake.Edge) {
			i.Interface().VPC().Region().Mapping().SetDelay(-1)
		},
		"host": func(i *fabricfake.Instance, _ *fabricfake.Edge) { i.Interface().PhysicalHost().SetMappingDelay(-1) },
		"edge": func(_ *fabricfake.Instance, e *fabricfake.Edge) { e.SetMappingDelay(-1) },
	} {
		text := fatal(t, func(w *netfake.World) {
			vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			f(vpc.Subnet("app", "10.0.0.0/24", "a").Instance("web", fabricfake.InstanceConfig{}), fabricfake.NewEdge(vpc, "edge", swallow{}))
		})
		if !strings.HasPrefix(text, "fabricfake: ") || !strings.HasSuffix(text, "a delay of -1ns is negative") {
			t.Errorf("%s: %q", name, text)
		}
	}
	for policy, want := range map[fabricfake.MissPolicy]string{fabricfake.MissAsk: "", 2: "fabricfake: region ap-southeast-2: MissPolicy is 2"} {
		if text := fatal(t, func(w *netfake.World) { fabricfake.DefaultRegion(w).Mapping().SetMissPolicy(policy) }); text != want {
			t.Errorf("policy %d: %q", policy, text)
		}
	}
}
