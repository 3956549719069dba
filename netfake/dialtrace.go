package netfake

import (
	"context"
	"net"
	"net/http/httptrace"
	"net/netip"
)

// dialTrace tells who asked for it through net/http/httptrace what net would tell: about
// the lookup of a name, and about each attempt to connect. The zero value tells nobody.
// Its methods are called without the world's lock, as hooks may do anything.
type dialTrace struct{ hooks *httptrace.ClientTrace }

// needContext panics for a caller who forgets the context, as net.Dialer does: it may be an
// application's goroutine, which cannot end the test.
func needContext(ctx context.Context) {
	if ctx == nil {
		panic("nil context")
	}
}

func traceOf(ctx context.Context) dialTrace {
	return dialTrace{httptrace.ContextClientTrace(ctx)}
}

// lookupBegins and lookupEnds enclose the lookup of a name.
func (t dialTrace) lookupBegins(name string) {
	if t.hooks != nil && t.hooks.DNSStart != nil {
		t.hooks.DNSStart(httptrace.DNSStartInfo{Host: name})
	}
}

func (t dialTrace) lookupEnds(addrs []netip.Addr, err error) {
	if t.hooks == nil || t.hooks.DNSDone == nil {
		return
	}
	info := httptrace.DNSDoneInfo{Err: err}
	for _, addr := range addrs {
		info.Addrs = append(info.Addrs, net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()})
	}
	t.hooks.DNSDone(info)
}

// connectBegins and connectEnds enclose an attempt to connect.
func (t dialTrace) connectBegins(network string, peer netip.AddrPort) {
	if t.hooks != nil && t.hooks.ConnectStart != nil {
		t.hooks.ConnectStart(network, netAddr(network, peer).String())
	}
}

func (t dialTrace) connectEnds(network string, peer netip.AddrPort, err error) {
	if t.hooks != nil && t.hooks.ConnectDone != nil {
		t.hooks.ConnectDone(network, netAddr(network, peer).String(), err)
	}
}
