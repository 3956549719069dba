package fabricfake_test

import (
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A packet of an established connection costs no memory, through groups, ACLs, a route,
// the mapping service and a frame.
func TestPacketsAllocateNothing(t *testing.T) {
	w := netfake.New(t, netfake.Config{Instant: true})
	p := newPlace(t, w)
	p.webGroup.AllowIngress("tcp/81", fabricfake.Anywhere)
	l, err := p.web.Listen("tcp", ":81")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.app.Dial("tcp", p.web.Addr().String()+":81")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 20_000) // three segments each way
	n := testing.AllocsPerRun(1000, func() {
		c.Write(b)
		for got := 0; got < len(b); {
			k, _ := s.Read(b)
			got += k
		}
		s.Write(b)
		for got := 0; got < len(b); {
			k, _ := c.Read(b)
			got += k
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a round trip", n)
	}
}
