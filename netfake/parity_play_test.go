package netfake

import (
	"fmt"
	"hash/crc32"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A play is what applications may do with their sockets, in random order. It is acted on
// the kernel's loopback and on hosts of a world, one act after the other, and after each
// of them both must have told the same and show their sockets in the same states.
//
// No act is judged before the kernel has settled. On loopback a system call returns after
// its packets have arrived and were answered, in the softirq that sending them raises; where
// that is put off, under load, the kernel gets the time that it takes to come into the
// world's states. Only a state that does not come is a difference.
//
// Left out is what depends on more than the order of acts:
//   - writes that fill a buffer, whose size depends on memory and on what was read;
//   - Nagle's algorithm, under which a small segment waits for an ACK that is delayed;
//   - deadlines that pass while something waits, and two calls that wait for one thing;
//   - what becomes of a port that is free again where both hosts have one address: the
//     machine may give it to anybody;
//   - more than icmpBurst datagrams that nobody takes: between hosts Linux limits the ICMP
//     errors that answer them, over loopback it does not;
//   - net.Buffers, which writes to no other type as to *net.TCPConn: see doc.go.

// verb is something that is done: with the socket who, in the way n.
type verb struct {
	name  string
	often int // how often it is drawn, in relation to others
	do    func(t *troupe, who, n int)
}

// act is a verb that was drawn.
type act struct {
	verb   string
	who, n int
}

func (a act) String() string { return fmt.Sprintf("%s(%d, %d)", a.verb, a.who, a.n) }

// sizes are of what is written and of buffers; an act's n is an index.
var sizes = []int{1, 2, 5, 0, 9, 100, 3000}

// plays draws plays of certain verbs.
func plays(verbs []verb) *rapid.Generator[[]act] {
	var names []string
	for _, v := range verbs {
		names = append(names, slices.Repeat([]string{v.name}, v.often)...)
	}
	acts := rapid.Custom(func(t *rapid.T) act {
		return act{
			rapid.SampledFrom(names).Draw(t, "verb"),
			rapid.IntRange(0, 5).Draw(t, "who"),
			rapid.IntRange(0, len(sizes)-1).Draw(t, "n"),
		}
	})
	return rapid.Custom(func(t *rapid.T) []act {
		n := rapid.IntRange(1, 80).Draw(t, "length")
		return rapid.SliceOfN(acts, n, n).Draw(t, "acts")
	})
}

// checkPlays has plays acted on both sides. To begin with, the sockets of open are there.
func checkPlays(t *testing.T, verbs []verb, open func(t *troupe)) {
	if kernelLook == nil {
		t.Skip("the hosts behave like Linux, and this machine is none to compare them with")
	}
	for _, s := range sides {
		if s.name != "IPv4" && !machineHasIPv6() {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				kernel := &troupe{scene: s.kernel(t), look: lookAtKernel}
				world := &troupe{scene: s.world(t), look: lookAtWorld}
				t.Cleanup(kernel.leave)
				t.Cleanup(world.leave)
				open(kernel)
				open(world)
				compareActs(t, plays(verbs).Draw(t, "play"), verbs, kernel, world)
			})
		})
	}
}

// compareActs acts on both sides until they differ.
func compareActs(t TB, play []act, verbs []verb, kernel, world *troupe) {
	var before []string
	for _, a := range play {
		v := verbs[slices.IndexFunc(verbs, func(v verb) bool { return v.name == a.verb })]
		v.do(world, a.who, a.n)
		woken := world.woken()
		want, state := world.told(), world.states()
		v.do(kernel, a.who, a.n)
		kernel.await(woken, state)
		got, now := kernel.told(), kernel.states()
		if got != want || now != state {
			t.Fatalf("%v\nkernel:  %s\n         %s\nnetfake: %s\n         %s\nbefore it, on both sides:\n%s",
				a, got, now, want, state, strings.Join(before, "\n"))
		}
		before = append(before, fmt.Sprintf("  %v: %s\n    %s", a, got, now))
	}
}

// troupe acts a play on one side.
type troupe struct {
	*scene
	look    func(socket any) glance
	cast    []*actor
	door    *actor // the listener
	dials   int
	dialled []string // who waits to be accepted
	words   int      // bytes that were written
	lost    int      // datagrams that nobody took
}

// actor is a socket of an application.
type actor struct {
	name     string
	at, peer string // what its ports are called
	tcp      tcpConn
	udp      udpConn
	listener tcpListener
	late     bool       // the deadline of its reads has passed
	deaf     bool       // it has called CloseRead
	waits    chan []any // where a call that waits will tell what it got; nil if none does
}

func (x *actor) socket() any {
	switch {
	case x.listener != nil:
		return x.listener
	case x.udp != nil:
		return x.udp
	}
	return x.tcp
}

func (x *actor) conn() net.Conn { return x.socket().(net.Conn) }

// everybody is the cast with the listener.
func (t *troupe) everybody() []*actor {
	if t.door == nil {
		return t.cast
	}
	return append([]*actor{t.door}, t.cast...)
}

// says tells what x has got. The machine may give a port to a later socket, when that of
// an earlier one is over: x's ports are called what they are called by x.
func (t *troupe) says(x *actor, what string, got ...any) {
	if x.listener == nil {
		t.call(x.conn().LocalAddr(), x.at)
		t.call(x.conn().RemoteAddr(), x.peer)
	}
	if len(got) > 0 {
		if c, ok := got[0].(net.Conn); ok {
			t.enters(c)
			got = got[1:]
		}
	}
	t.tell(x.name+" "+what, got...)
}

// call gives the port of an address a name.
func (t *troupe) call(at net.Addr, name string) {
	if at == nil {
		return
	}
	names := strings.NewReplacer(t.server.String(), "server", t.client.String(), t.clientName, "[", "", "]", "")
	t.ports[names.Replace(at.String())] = ":" + name
}

// told takes what was told.
func (t *troupe) told() string {
	text := strings.Join(t.log, "; ")
	t.log = nil
	return text
}

// states shows all sockets.
func (t *troupe) states() string {
	var all []string
	for _, x := range t.everybody() {
		all = append(all, x.name+" "+t.look(x.socket()).text)
	}
	return strings.Join(all, " | ")
}

// wouldWait reports whether a read of x, or an Accept, has to wait.
func (t *troupe) wouldWait(x *actor) bool {
	return x.waits != nil || !x.late && !t.look(x.socket()).ready
}

// now does what does not wait, or tells that it would.
func (t *troupe) now(x *actor, what string, do func() []any) {
	if t.wouldWait(x) {
		t.tell(x.name + " would wait")
		return
	}
	t.says(x, what, do()...)
}

// later has a call wait, if it would. In a world it does when later returns. The kernel's
// may as well be about to, which gives the same.
func (t *troupe) later(x *actor, do func() []any) {
	if x.waits != nil || !t.wouldWait(x) {
		return
	}
	x.waits = make(chan []any, 1)
	go func() { x.waits <- do() }()
	for isOfWorld(x.socket()) && waitingAt(x.socket()) == 0 {
		runtime.Gosched()
	}
	t.tell(x.name + " waits")
}

// woken has the calls of a world that wait no more tell what they got, and names them.
func (t *troupe) woken() []string {
	var names []string
	for _, x := range t.everybody() {
		if x.waits != nil && (x.late || waitingAt(x.socket()) == 0 || t.look(x.socket()).ready) {
			t.ends(x)
			names = append(names, x.name)
		}
	}
	return names
}

// settles reports whether something comes true. Loopback needs no time at all if the
// machine has it, and gets two seconds of being looked at.
func settles(is func() bool) bool {
	for i := range 3000 {
		switch {
		case is():
			return true
		case i < 1000:
			runtime.Gosched()
		default:
			<-time.After(time.Millisecond)
		}
	}
	return false
}

// ends tells what a call got that waits no more.
func (t *troupe) ends(x *actor) {
	ended := settles(func() bool { return len(x.waits) > 0 })
	if !ended {
		t.tell(x.name + " waits on")
		return
	}
	got := <-x.waits
	x.waits = nil
	t.says(x, "has waited", got...)
}

// await has the kernel settle: the calls that end in the world end here too, and the
// sockets come into the world's states.
func (t *troupe) await(woken []string, state string) {
	for _, x := range t.everybody() {
		if slices.Contains(woken, x.name) {
			t.ends(x)
		}
	}
	settles(func() bool { return t.states() == state })
}

// leave closes all sockets, without a TIME-WAIT that would keep a port of the machine.
func (t *troupe) leave() {
	for _, x := range t.everybody() {
		switch {
		case x.listener != nil:
			x.listener.Close()
		case x.tcp != nil:
			x.tcp.SetLinger(0)
			x.tcp.Close()
		default:
			x.udp.Close()
		}
		if x.waits != nil {
			<-x.waits
		}
	}
}

// portsAreShared reports whether both hosts have one address.
func (t *troupe) portsAreShared() bool { return t.clientName == "server" || t.server == t.client }

// text returns n bytes that continue those before. A play has no more than the smallest
// buffer takes.
func (t *troupe) text(n int) []byte {
	if t.words+n > 30_000 {
		n = min(n, 1)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz"[t.words%26]
		t.words++
	}
	return b
}

// shown is what was read, or the sum of what is long.
func shown(b []byte) string {
	if len(b) > 20 {
		return fmt.Sprintf("%d bytes %08x", len(b), crc32.ChecksumIEEE(b))
	}
	return fmt.Sprintf("%q", b)
}

// by makes a verb's deed of what one of the cast does.
func by(do func(t *troupe, x *actor, n int)) func(t *troupe, who, n int) {
	return func(t *troupe, who, n int) { do(t, t.cast[who%len(t.cast)], n) }
}

// deadlines are the verbs that set them.
var deadlines = []verb{
	{"SetReadDeadline", 2, by(func(t *troupe, x *actor, n int) { t.setDeadline(x, n, x.conn().SetReadDeadline) })},
	{"SetDeadline", 1, by(func(t *troupe, x *actor, n int) { t.setDeadline(x, n, x.conn().SetDeadline) })},
	{"SetWriteDeadline", 1, by(func(t *troupe, x *actor, n int) {
		t.says(x, "SetWriteDeadline", x.conn().SetWriteDeadline(whens[n%3]()))
	})},
}

// whens are deadlines: one that has passed, none, and one that will not pass.
var whens = []func() time.Time{
	func() time.Time { return past }, func() time.Time { return time.Time{} }, later,
}

// setDeadline sets a deadline of what waits.
func (t *troupe) setDeadline(x *actor, n int, set func(time.Time) error) {
	err := set(whens[n%3]())
	if err == nil {
		x.late = n%3 == 0
	}
	t.says(x, "sets its deadline", n%3, err)
}
