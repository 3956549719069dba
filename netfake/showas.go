package netfake

import (
	"net/netip"
	"time"
)

// ShowAs has Drops, Sockets and Report show addresses as f says, which returns one itself where
// there is nothing else to show; a socket's own they show as it is. It is for rooms whose nodes
// put addresses of their own making in the place of those that a test's author knows. Of several
// functions the first that knows an address decides. They are called inside the scheduler.
func (w *World) ShowAs(f func(netip.Addr) netip.Addr) {
	if f == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: ShowAs of no function")
	}
	w.Do(func(time.Duration) { w.shown = append(w.shown, f) })
}

// show returns the address that is to be shown for one.
func (w *World) show(at netip.AddrPort) netip.AddrPort {
	for _, f := range w.shown {
		if as := f(at.Addr()); as != at.Addr() {
			return netip.AddrPortFrom(as, at.Port())
		}
	}
	return at
}

// showFlow returns the flow that is to be shown for one.
func (w *World) showFlow(f Flow) Flow {
	f.Src, f.Dst = w.show(f.Src), w.show(f.Dst)
	return f
}
