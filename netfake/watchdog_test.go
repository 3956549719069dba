package netfake

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// cupboard is an application's type that holds a mutex for too long.
type cupboard struct{ mu sync.Mutex }

func (c *cupboard) fill(from net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from.Read(make([]byte, 1))
}

func (c *cupboard) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
}

// outsider was made by no bubble.
var outsider chan int

// freezes are ways to stop virtual time, which a child process does in earnest, and what
// the watchdog says of them.
var freezes = []struct {
	name   string
	freeze func(t *testing.T, w *World)
	says   []string
}{
	{"mutex", freezeMutex, []string{
		"waits for a sync.Mutex: netfake.(*cupboard).open (netfake/watchdog_test.go:",
		"probably holds it and waits (sync.Cond.Wait (durable)): netfake.(*cupboard).fill (netfake/watchdog_test.go:",
		" called netfake.(*TCPConn).Read",
		"hint: nobody may wait for the network or for time while holding a mutex",
	}},
	{"socket", freezeSocket, []string{
		"waits for the real network or a real file: netfake.freezeSocket (netfake/watchdog_test.go:",
		" called net.(*TCPListener).Accept", "hint: dial and listen through a Host",
	}},
	{"call", func(*testing.T, *World) { os.Stdin.Read(make([]byte, 1)) }, []string{
		"waits for a system call: netfake.init.func", " called os.(*File).Read", "hint: a test in virtual time",
	}},
	{"channel", func(*testing.T, *World) { <-outsider }, []string{
		"waits for a channel that was made outside of the bubble (chan receive): netfake.init.func", "hint: make the channel inside",
	}},
	{"loop", func(*testing.T, *World) {
		for outsider != nil {
			runtime.Gosched()
		}
	}, []string{"computes: ", "a loop that polls must sleep"}},
}

func freezeMutex(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	var c cupboard
	go func() {
		peer, _ := l.Accept()
		time.Sleep(time.Second)
		c.open() // while fill has the lock and waits for what is written next
		peer.Write([]byte("x"))
	}()
	c.fill(conn)
}

func freezeSocket(t *testing.T, _ *World) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l.Accept()
}

// TestFreeze stops virtual time for ever where TestWatchdog asks it to.
func TestFreeze(t *testing.T) {
	for _, row := range freezes {
		if row.name == os.Getenv("NETFAKE_FREEZE") {
			stallAfter, outsider = 50*time.Millisecond, make(chan int)
			Run(t, func(t *testing.T, w *World) { row.freeze(t, w) })
		}
	}
}

// The watchdog says which goroutine keeps virtual time, for what it waits and what to do.
func TestWatchdog(t *testing.T) {
	for _, row := range freezes {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			text := freezeChild(t, row.name)
			for _, says := range append(row.says, "netfake: TestFreeze: virtual time stands still:\ngoroutine ") {
				if !strings.Contains(text, says) {
					t.Errorf("the text does not say %q:\n%s", says, text)
				}
			}
		})
	}
}

// freezeChild runs TestFreeze in a process of its own and returns what that says until it
// has given a hint.
func freezeChild(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFreeze$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), "NETFAKE_FREEZE="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // in which nobody writes
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var text strings.Builder
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		fmt.Fprint(&text, line)
		if err == io.EOF || strings.Contains(line, "hint: ") {
			return text.String()
		}
	}
}

// The words of the runtime, and what they are taken for.
func TestWaits(t *testing.T) {
	for _, row := range []struct {
		reason, what string
		lock         bool
	}{
		{"sync.Mutex.Lock", "a sync.Mutex", true},
		{"semacquire", "a sync.Mutex", true},
		{"sync.RWMutex.RLock", "a sync.RWMutex", true},
		{"IO wait", "the real network or a real file", false},
		{"syscall", "a system call", false},
		{"select", "a channel that was made outside of the bubble (select)", false},
		{"chan send", "a channel that was made outside of the bubble (chan send)", false},
		{"chan receive (durable)", "somebody in the bubble", false},
		{"sync.WaitGroup.Wait", "a sync.WaitGroup that is not the bubble's", false},
		{"flushing proc caches", "something that is not the bubble's (flushing proc caches)", false},
	} {
		if got := waits(row.reason); got.what != row.what || got.lock != row.lock {
			t.Errorf("%s: %q, lock %v; want %q, %v", row.reason, got.what, got.lock, row.what, row.lock)
		}
	}
}

// The whole text for a mutex and who has it, from recorded stacks.
func TestStallText(t *testing.T) {
	const want = `goroutine 9 waits for a sync.Mutex: shop.(*Cart).pay (shop/pay.go:7)
    goroutine 8 probably holds it and waits (sync.Cond.Wait (durable)): shop.(*Cart).load (shop/cart.go:42)
    hint: nobody may wait for the network or for time while holding a mutex: unlock before the call, or let a channel of capacity 1 be the lock
goroutine 9 waits: sync.Mutex.Lock
    example.com/shop.(*Cart).pay (/src/shop/pay.go:7)
`
	if got := stall(strings.Replace(stacks, "shop.pay(...)", "shop.(*Cart).pay(...)", 1), "1"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := stall(stacks, "2"); got != "" {
		t.Errorf("a bubble in which all wait durably: %s", got)
	}
}
