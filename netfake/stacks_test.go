package netfake

import (
	"slices"
	"strings"
	"testing"
)

// stacks is what runtime.Stack says of a bubble in which a Read and a mutex wait, beside
// a goroutine of another bubble and one of none.
const stacks = `goroutine 7 [running, synctest bubble 1]:
runtime.Stack({0xc0000, 0x10, 0x10}, 0x1)
	/usr/local/go/src/runtime/mprof.go:1 +0x6c

goroutine 8 [sync.Cond.Wait (durable), synctest bubble 1]:
sync.runtime_notifyListWait(0x1, 0x0)
	/usr/local/go/src/runtime/sema.go:606 +0x165
sync.(*Cond).Wait(0x0?)
	/usr/local/go/src/sync/cond.go:71 +0x85
example.com/shop.(*Cart).load(0xc000123)
	/src/shop/cart.go:42 +0x1d
created by example.com/shop.Start in goroutine 7
	/src/shop/start.go:9 +0x25

goroutine 9 [sync.Mutex.Lock, 2 minutes, synctest bubble 1]:
internal/sync.runtime_SemacquireMutex(0x1?, 0x0?, 0x0?)
	/usr/local/go/src/runtime/sema.go:95 +0x25
example.com/shop.pay(...)
	/src/shop/pay.go:7

goroutine 10 [chan receive (durable), synctest bubble 2]:
example.com/shop.other()
	/src/shop/other.go:1 +0x1

goroutine 11 [synctest.Run (durable), synctest bubble 1]:
testing/synctest.Test(0x1, 0x2)
	/usr/local/go/src/testing/synctest/synctest.go:290 +0x90

goroutine 12 [select]:
example.com/shop.outside()
	/src/shop/outside.go:1 +0x1
`

func TestStuck(t *testing.T) {
	for _, row := range []struct {
		name     string
		durably  bool
		describe string
	}{
		{"a deadlock: all who wait durably", true, `goroutine 8 waits: sync.Cond.Wait (durable)
    example.com/shop.(*Cart).load (/src/shop/cart.go:42)
    example.com/shop.Start in goroutine 7 (/src/shop/start.go:9)
`},
		{"time stands still: who keeps it", false, `goroutine 9 waits: sync.Mutex.Lock, 2 minutes
    example.com/shop.pay (/src/shop/pay.go:7)
`},
	} {
		if got := describe(stuck(stacks, "1", row.durably)); got != row.describe {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, got, row.describe)
		}
	}
	if got := stuck(stacks, "3", true); got != nil {
		t.Errorf("of another bubble: %v", got)
	}
}

// Of a deadlock's goroutines those tell that run something of the test's; where there are
// none, all do.
func TestTestsOwn(t *testing.T) {
	const netspec = "github.com/netspec-go/netspec/"
	service := goroutine{id: "1", frames: []frame{
		{netspec + "netfake.(*Listener).Accept", "/src/netspec/netfake/listener.go:163"},
		{"net/http.(*Server).Serve", goRoot + "net/http/server.go:3434"},
		{netspec + "netfake.(*World).Serve.func2", "/src/netspec/netfake/http.go:116"},
	}}
	tests := goroutine{id: "2", frames: append(slices.Clone(service.frames[:1]), frame{"example.com/shop.TestCart", "/src/shop/cart_test.go:9"})}
	for _, row := range []struct{ all, want []goroutine }{
		{[]goroutine{service, tests}, []goroutine{tests}},
		{[]goroutine{service}, []goroutine{service}},
	} {
		if got := describe(testsOwn(row.all)); got != describe(row.want) {
			t.Errorf("%s\nwant\n%s", got, describe(row.want))
		}
	}
}

// The goroutines of the very test are found in the runtime's own words.
func TestStuckLive(t *testing.T) { Run(t, testStuckLive) }

func testStuckLive(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	if _, err := client.Dial("tcp", "203.0.113.10:7"); err != nil {
		t.Fatal(err)
	}
	text := describe(stuck(allStacks(), w.bubble, true))
	for _, says := range []string{"sync.Cond.Wait (durable)", "(*Listener).accept", "host_test.go"} {
		if !strings.Contains(text, says) {
			t.Errorf("the text does not say %q:\n%s", says, text)
		}
	}
	if strings.Contains(text, "keepTime") {
		t.Errorf("the text tells of the world's own goroutine:\n%s", text)
	}
}
