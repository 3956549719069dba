package assert

import "github.com/netspec-go/netspec/netfake"

// Fault is what counts the packets that it has affected: a *netfake.Fault, or a *netfake.Link
// for everything that was ever wrong with it.
type Fault interface {
	String() string
	Hits() uint64
}

// Bit fails the test unless a fault has dropped, held, delayed or changed at least one
// packet: a fault that hit nothing proves nothing.
func Bit(t netfake.TB, f Fault) {
	t.Helper()
	if f.Hits() > 0 {
		return
	}
	if l, ok := f.(*netfake.Link); ok {
		t.Errorf("no fault of %v hit a packet, so the test proves nothing about what it breaks", l)
		return
	}
	t.Errorf("%v hit nothing, so the test proves nothing about it", f)
}
