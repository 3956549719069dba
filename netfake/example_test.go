package netfake_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// A client in Melbourne asks a server in Sydney, over a line that is cut for a while: an
// unchanged http.Client and http.Server, in virtual time.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	server := w.Internet().HostAt(netfake.Sydney, "server", "203.0.113.10")
	client := w.Internet().HostAt(netfake.Melbourne, "client", "198.51.100.20")
	server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, "hello")
	}))

	line := w.Internet().Between(netfake.Sydney, netfake.Melbourne)
	mend := line.Partition()
	go func() {
		w.Sleep(2 * time.Second)
		mend.Undo()
	}()
	began := w.Now()
	resp, err := client.HTTPClient().Get("http://203.0.113.10/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	// The SYN went out at 0 s and 1 s in vain, and at 3 s it arrived. Connecting and
	// asking take a round trip each.
	roundTrip := 2 * (2*netfake.LastMile + netfake.Sydney.Delay(netfake.Melbourne))
	if got, want := w.Now()-began, 3*time.Second+2*roundTrip; got != want {
		t.Errorf("it took %v, want %v", got, want)
	}
	if lost := line.Stats().Partitioned; lost != 2 {
		t.Errorf("the partition took %d packets, want two SYNs", lost)
	}
}

// censor is a middlebox of one's own: it resets connections that carry a word.
type censor struct{ word []byte }

func (c *censor) String() string { return "censor" }

func (c *censor) Step(p *netfake.Packet) netfake.Next {
	if bytes.Contains(p.Bytes(), c.word) {
		return p.Answer(p.Reset(), netfake.Hop{Place: "censor", By: c, Rule: "carries " + string(c.word)})
	}
	return p.Onward()
}

// Between a client and the internet stands somebody who does not want a word to be said.
func TestExampleMiddlebox(t *testing.T) { netfake.Run(t, testExampleMiddlebox) }

func testExampleMiddlebox(t *testing.T, w *netfake.World) {
	server := w.Internet().HostAt(netfake.Sydney, "server", "203.0.113.10")
	client := w.Internet().HostAt(netfake.Melbourne, "client", "198.51.100.20")
	server.ServeHTTP(":80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	remove := client.Uplink().Link().Insert(&censor{[]byte("tulips")})
	if _, err := client.HTTPClient().Get("http://203.0.113.10/roses"); err != nil {
		t.Error(err)
	}
	if _, err := client.HTTPClient().Get("http://203.0.113.10/tulips"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("of tulips: %v", err)
	}
	remove()
	if _, err := client.HTTPClient().Get("http://203.0.113.10/tulips"); err != nil {
		t.Error(err)
	}
}
