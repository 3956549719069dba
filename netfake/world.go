package netfake

import (
	"context"
	"crypto/x509"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
	"github.com/netspec-go/netspec/internal/tcp"
)

// TB is what a World needs of a test. *testing.T, *testing.B and *rapid.T have it.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Config shapes a World. The zero Config is what Run uses.
type Config struct {
	// Seed is where all randomness comes from. If 0, it is the environment's
	// NETSPEC_SEED, and without that a number made of the test's name.
	Seed uint64

	// Instant makes every link that is not told otherwise carry packets in no
	// time. If false, links have the latency of their model: distance, last mile,
	// the racks between two hosts.
	Instant bool

	// SendBuffer is how many bytes a TCP connection takes from Write before it
	// blocks. If 0, there is no limit inside a synctest bubble, where a blocked
	// writer that holds a mutex would stop time, and DefaultSendBuffer outside.
	SendBuffer int

	// KeepAlive is after how much silence a TCP connection asks the other end whether
	// it is still there, until it is told otherwise: what net.Dialer and
	// net.ListenConfig call KeepAlive. If 0, 15 s; if negative, never.
	KeepAlive time.Duration
}

// DefaultSendBuffer is the limit of a TCP connection's send buffer outside a bubble. It
// and what it is copied to fit in a processor's cache. Linux begins with less and lets
// it grow to 4 MiB (net.ipv4.tcp_wmem).
const DefaultSendBuffer = 256 << 10

// World is one simulated network and everything in it. Its methods, and those of hosts,
// links and sockets, may be called from any goroutine of the test. Building is for the
// test's own: hosts, VPCs and what is in them, gateways.
//
// Inside a synctest bubble its time is the bubble's; outside, it is real.
type World struct {
	tb     TB
	cfg    Config
	seed   uint64
	bubble string // as stack traces call it, "" outside of one
	epoch  time.Time

	mu       sync.Mutex // guards everything below, and the state of everything in the world
	now      time.Duration
	queue    sched.Queue
	ready    fifo // packets that move on at once
	timer    *time.Timer
	armed    time.Duration // when timer goes off; 0 is never
	rest     rest
	settling bool         // somebody is in the middle of drain, or of a probe
	idle     bool         // what happens follows from an event that is Idle
	wakes    []*sync.Cond // whom to wake once mu is free

	packets   packetPool
	buffers   tcp.BufferPool
	done      tcp.Conn // in the place of machines that have been recycled
	internet  *Internet
	hosts     []*Host
	hostNames map[string]*Host
	links     map[string]uint64 // how many have a name
	faults    []*Fault          // in force, the oldest first
	traffic   []*trafficFault
	roots     *x509.CertPool
	closed    bool
	closers   []func()
	running   sync.WaitGroup // goroutines that the world itself started
	handlers  presence       // HTTP handlers at work

	recordings []*Recording
	captures   []*Capture
	taps       []*Tap
	dropped    *Tap      // where what is dropped is captured
	box        *blackBox // of a test that wants its last packets if it fails, else nil
	drops      dropLog
	shown      []func(netip.Addr) netip.Addr // see ShowAs
	events     uint64
	changes    uint64 // never 0
	injected   uint64 // packets that came from no socket
	alarms     []Alarm
	shared     map[reflect.Type]any // what rooms keep for the world, by type
}

// New builds an empty world for a test that has opened its own bubble, for a property
// under rapid, or for a benchmark. The world is closed when the test ends.
func New(tb TB, cfg Config) *World {
	tb.Helper()
	w := &World{tb: tb, cfg: cfg, bubble: bubbleName(), epoch: time.Now(), changes: 1, roots: x509.NewCertPool(), hostNames: map[string]*Host{}, links: map[string]uint64{}}
	w.handlers.changed.L = &w.handlers.mu
	w.seed = chooseSeed(tb, cfg)
	if cfg.SendBuffer < 0 {
		tb.Fatalf("netfake: Config.SendBuffer: %d bytes", cfg.SendBuffer)
	}
	if cfg.SendBuffer == 0 && w.bubble == "" {
		w.cfg.SendBuffer = DefaultSendBuffer
	}
	w.internet = newInternet(w)
	w.box = newBlackBox(tb)
	tb.Cleanup(func() {
		defer w.Close() // also if a Step that the report asks leaves it
		w.reportFailure()
	})
	return w
}

// bubbleName returns what stack traces call the synctest bubble of the calling
// goroutine, "" if it is in none.
func bubbleName() string {
	var buf [128]byte
	head, _, _ := strings.Cut(string(buf[:runtime.Stack(buf[:], false)]), "]:")
	_, name, _ := strings.Cut(head, "synctest bubble ")
	return name
}

// TB returns the test that the world was built for.
func (w *World) TB() TB { return w.tb }

// Seed returns the number from which all the world's randomness comes.
func (w *World) Seed() uint64 { return w.seed }

// Instant reports whether links carry packets in no time unless told otherwise.
func (w *World) Instant() bool { return w.cfg.Instant }

// Internet returns the world's public network.
func (w *World) Internet() *Internet { return w.internet }

// Now returns the time since the world's beginning.
func (w *World) Now() time.Duration { return time.Since(w.epoch) }

// Time turns a time since the world's beginning into a date.
func (w *World) Time(at time.Duration) time.Time { return w.epoch.Add(at) }

// Sleep lets d pass. When it returns, what the world had to do by then has been done.
func (w *World) Sleep(d time.Duration) {
	time.Sleep(d)
	w.lock()
	w.unlock()
}

// RootCAs returns the certificate authorities that every client in the world trusts.
func (w *World) RootCAs() *x509.CertPool {
	w.lock()
	defer w.unlock()
	return w.roots.Clone()
}

// TrustCA makes every client in the world trust ca from now on.
func (w *World) TrustCA(ca *x509.Certificate) {
	w.tb.Helper()
	if ca == nil {
		w.tb.Fatalf("netfake: TrustCA of no certificate")
	}
	w.lock()
	defer w.unlock()
	w.roots.AddCert(ca)
}

// Events returns how many packet arrivals and timers the world has run.
func (w *World) Events() uint64 {
	w.lock()
	defer w.unlock()
	return w.events
}

// Do runs f inside the scheduler: no packet moves meanwhile. Rooms that keep state of
// their own change it there. f must not block and must not call methods of the world
// or its hosts that lock; those that may be called inside say so.
func (w *World) Do(f func(now time.Duration)) {
	if f == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: Do of no function")
	}
	w.lock()
	defer w.unlock()
	w.changes++
	f(w.now)
}

// Changes returns a number that grows with everything that a test or a timer does, and with
// Changed, so that a node may remember what it has decided until something may have changed.
// It may be called only inside the scheduler.
func (w *World) Changes() uint64 { return w.changes }

// Changed is for a Step that learns what others, or itself, may have decided by: Changes
// grows. It may be called only inside the scheduler.
func (w *World) Changed() { w.changes++ }

// Go runs f in a goroutine that Close waits for. f ends when ctx is done.
func (w *World) Go(f func(ctx context.Context)) {
	if f == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: Go of no function")
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.OnClose(cancel)
	w.running.Go(func() { f(ctx) })
}

// OnClose registers f to run when the world is closed, the last registered first.
func (w *World) OnClose(f func()) {
	if f == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: OnClose of no function")
	}
	w.lock()
	if !w.closed {
		w.closers = append(w.closers, f)
		f = nil
	}
	w.unlock()
	if f != nil {
		f()
	}
}

// Close ends everything in the world: servers, listeners, connections, timers. Calls
// that wait on them return net.ErrClosed. Closing twice is harmless.
func (w *World) Close() {
	w.lock()
	closers := w.closers
	w.closed, w.closers = true, nil
	if w.timer != nil {
		w.timer.Reset(0) // for keepTime to see it
	}
	w.unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
	w.lock()
	for _, h := range w.hosts {
		h.shutdown()
	}
	w.unlock()
	w.running.Wait()
	w.handlers.wait()

	w.lock()
	defer w.unlock()
	for _, c := range w.captures {
		c.finish()
	}
	w.captures = nil
}

// Shared returns what a room keeps for a world: the one *T of the world, which make
// makes when it is first asked for. It is guarded by the room itself. Make runs inside the
// scheduler; a nil one fails the test.
func Shared[T any](w *World, make func() *T) *T {
	if make == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: Shared of %v without a function that makes it", reflect.TypeFor[T]())
	}
	w.lock()
	defer w.unlock()
	key := reflect.TypeFor[T]()
	if w.shared == nil {
		w.shared = map[reflect.Type]any{}
	}
	if w.shared[key] == nil {
		w.shared[key] = make()
	}
	return w.shared[key].(*T)
}

// lock enters the scheduler and runs what is due, so that at one instant arrivals
// come before what applications do.
func (w *World) lock() {
	w.mu.Lock()
	w.enter()
}

// lockToTake is lock for who takes what has come. Outside of a bubble, where what is due
// comes with the timer, it saves looking at the clock.
func (w *World) lockToTake() {
	w.mu.Lock()
	if w.bubble != "" {
		w.enter()
	}
}

// enter runs what is due for somebody who uses the world.
func (w *World) enter() {
	w.catchUp()
	w.rest.since = w.now
	if w.due() {
		w.settle()
	}
}

// due reports whether a timer is to go off.
func (w *World) due() bool {
	head := w.queue.Head()
	return head != nil && head.At <= w.now
}

// unlock moves the packets that the caller set going, leaves the scheduler, and then
// wakes whom they concern.
func (w *World) unlock() {
	if len(w.ready.items) > 0 || w.due() {
		w.settle()
	}
	w.arm()
	if len(w.wakes) == 0 {
		w.mu.Unlock()
		return
	}
	var wakes [4]*sync.Cond
	n := copy(wakes[:], w.wakes)
	for _, c := range w.wakes[n:] {
		c.Broadcast()
	}
	clear(w.wakes)
	w.wakes = w.wakes[:0]
	w.mu.Unlock()
	for _, c := range wakes[:n] {
		c.Broadcast()
	}
}

// wait leaves the scheduler until c is woken. Whoever calls it checks its condition
// again afterwards, and defers unlock if he has set packets going.
func (w *World) wait(c *sync.Cond) {
	w.settleHeld()
	w.arm()
	woken := false // by what the caller itself has set going
	for _, other := range w.wakes {
		woken = woken || other == c
		other.Broadcast()
	}
	clear(w.wakes)
	w.wakes = w.wakes[:0]
	if woken {
		return
	}
	c.Wait() // in a bubble no time passes from the waking to here, and outside of one little
}

// wake has c's waiters woken when the scheduler is left. The segments of a burst all
// wake the same.
func (w *World) wake(c *sync.Cond) {
	if n := len(w.wakes); n == 0 || w.wakes[n-1] != c {
		w.wakes = append(w.wakes, c)
	}
}

// drain runs to completion all that is due.
func (w *World) drain() {
	for {
		if p := w.ready.pop(); p != nil {
			w.idle = p.event.Idle
			w.move(p)
			continue
		}
		e := w.queue.Pop(w.now)
		if e == nil {
			w.idle = false
			return
		}
		w.events++
		if w.idle = e.Idle; !e.Idle {
			w.rest.since = w.now
		}
		e.Task.Fire(w.now)
	}
}
