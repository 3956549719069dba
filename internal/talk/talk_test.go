package talk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// pipes is a listener whose connections are pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return nil }

func (p pipes) dial(_ context.Context, _, address string) (net.Conn, error) {
	if address == "nobody" {
		return nil, errors.New("nobody")
	}
	a, b := net.Pipe()
	p <- b
	return &counted{Conn: a}, nil
}

// counted counts what is read.
type counted struct {
	net.Conn
	read int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

// Who is called answers a tenth of what he hears, on the connection on which it was said,
// until it is closed.
func TestTalk(t *testing.T) { synctest.Test(t, testTalk) }

func testTalk(t *testing.T) {
	l := make(pipes)
	go Answer(l)
	x := Talk{Sides: [2]Side{{Dial: l.dial, To: "somebody"}, {Dial: l.dial, To: "nobody"}}}
	x.Write(0, 100) // to nobody yet
	x.Hangup()
	for side, want := range []int{1, 1, 2} { // the second side finds nobody
		x.Call(side)
		if got := x.Connections(); got != want {
			t.Errorf("%d connections after call %d, want %d", got, side, want)
		}
	}
	first, second := x.conns[0].(*counted), x.conns[1].(*counted)
	x.Write(1, 200)
	x.Write(2, 1000)
	synctest.Wait()
	if first.read != 100 || second.read != 20 {
		t.Errorf("%d and %d bytes were answered, want 100 and 20", first.read, second.read)
	}
	x.Hangup()
	x.Hangup()
	l.Close()
	if x.Connections() != 0 {
		t.Errorf("%d connections are left", x.Connections())
	}
}

// A change is made, taken back, and made again; another one meanwhile does not matter.
func TestToggle(t *testing.T) {
	var x Talk
	var did strings.Builder
	toggle := func(what string) {
		x.Toggle(what, func() { did.WriteString("+" + what) }, func() { did.WriteString("-" + what) })
	}
	for _, what := range []string{"a", "b", "a", "a", "b"} {
		toggle(what)
	}
	if did.String() != "+a+b-a+a-b" {
		t.Errorf("did %s", &did)
	}
}

// Every life is lived twice, through the same acts, at first with memory.
func TestInvisible(t *testing.T) {
	var before []Act
	Invisible(t, 3, func(t *rapid.T, acts []Act, recorded bool) string {
		if recorded != (before != nil) || recorded && !slices.Equal(acts, before) {
			t.Errorf("recorded %v: %v after %v", recorded, acts, before)
		}
		for _, a := range acts {
			if a.Kind < 0 || a.Kind > 2 {
				t.Errorf("an act of kind %d of 3", a.Kind)
			}
		}
		if before = acts; recorded {
			before = nil
		}
		return fmt.Sprint(acts)
	})
	for _, row := range [][3]string{{"same", "same", ""}, {"", "", ""}, {"more", "less", "with memory\nmore\nwithout\nless"}} {
		if got := difference(row[0], row[1]); got != row[2] {
			t.Errorf("%q and %q differ: %q, want %q", row[0], row[1], got, row[2])
		}
	}
}
