package netfake

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// LookupFunc finds a name's addresses: "ip" asks for all, "ip4" and "ip6" for those of
// one family. Host.LookupNetIP is one, and so is LookupNetIP of a net.Resolver, outside of
// a bubble. An error that is no *net.DNSError is put into one.
type LookupFunc func(ctx context.Context, network, name string) ([]netip.Addr, error)

// SetResolvers names the servers, at port 53, that the host asks for names, the first
// first. A host without any knows only addresses and localhost. What cannot be the address
// of a server fails the test.
func (h *Host) SetResolvers(addrs ...netip.Addr) {
	h.world.tb.Helper()
	for _, addr := range addrs {
		if !isPlain(addr.Unmap()) {
			h.world.tb.Fatalf("netfake: host %s: a resolver cannot have the address %v", h.name, addr)
		}
	}
	h.world.Do(func(time.Duration) { h.resolvers = slices.Clone(addrs) })
}

// SetLookup replaces the host's stub resolver: from now on f finds the addresses of the
// names that are dialled and looked up, in the order that it gives them. Addresses and
// localhost do not reach it. Nil is the stub resolver again.
func (h *Host) SetLookup(f LookupFunc) {
	h.world.Do(func(time.Duration) { h.lookup = f })
}

// LookupNetIP finds a name's addresses: "ip" for all, "ip4" or "ip6" for one family. The
// host's stub resolver does as net's own, without cgo: it asks for A and AAAA at once,
// from the host's own sockets, and sorts what it finds by RFC 6724. An IPv4 address is
// never mapped into IPv6. Nothing is cached. A name is absolute with a dot at its end and
// without, unless the host has a search list. Errors are *net.DNSError, or *net.AddrError
// where a name has addresses of the other family alone. It and the other lookups panic if
// ctx is nil, as net's do.
func (h *Host) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	switch network {
	case "ip", "ip4", "ip6":
		return h.lookupIP(ctx, network, name, nil)
	}
	return nil, net.UnknownNetworkError(network)
}

// LookupHost finds a name's addresses of both families.
func (h *Host) LookupHost(ctx context.Context, name string) ([]string, error) {
	addrs, err := h.lookupIP(ctx, "ip", name, nil)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return texts, nil
}

// LookupIP is LookupNetIP in the form of net.IP.
func (h *Host) LookupIP(ctx context.Context, network, name string) ([]net.IP, error) {
	addrs, err := h.LookupNetIP(ctx, network, name)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IP, len(addrs))
	for i, addr := range addrs {
		ips[i] = addr.AsSlice()
	}
	return ips, nil
}

// LookupIPAddr finds a name's addresses of both families.
func (h *Host) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	addrs, err := h.lookupIP(ctx, "ip", name, nil)
	if err != nil {
		return nil, err
	}
	all := make([]net.IPAddr, len(addrs))
	for i, addr := range addrs {
		all[i] = net.IPAddr{IP: addr.WithZone("").AsSlice(), Zone: addr.Zone()}
	}
	return all, nil
}

// lookupIP finds the addresses of a name, at least one; f does it if it is not nil.
func (h *Host) lookupIP(ctx context.Context, network, name string, f LookupFunc) ([]netip.Addr, error) {
	addrs, err := h.findIP(ctx, network, name, f)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(addr netip.Addr) bool {
		return network == "ip4" && !addr.Is4() || network == "ip6" && addr.Is4()
	})
	if len(addrs) == 0 {
		return nil, unsuitable(name)
	}
	return addrs, nil
}

func (h *Host) findIP(ctx context.Context, network, name string, f LookupFunc) ([]netip.Addr, error) {
	if name == "" {
		return nil, noSuchHost(name, "")
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	needContext(ctx)
	trace := traceOf(ctx)
	trace.lookupBegins(name)
	addrs, err := h.findName(ctx, network, name, f)
	trace.lookupEnds(addrs, err)
	return addrs, err
}

// findName finds the addresses of what is a name.
func (h *Host) findName(ctx context.Context, network, name string, f LookupFunc) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, dnsError(contextError(err), name, "")
	}
	if isLocalhost(name) {
		return localhost(network), nil
	}
	h.world.lock()
	if f == nil {
		f = h.lookup
	}
	h.world.unlock()
	if f == nil {
		return h.stubLookup(ctx, network, name)
	}
	addrs, err := f(ctx, network, name)
	if err != nil {
		return nil, lookupError(err, name)
	}
	return slices.DeleteFunc(unmap(addrs), func(addr netip.Addr) bool { return !addr.IsValid() }), nil
}

func isLocalhost(name string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}

// localhost is what the hosts file of Amazon Linux and of Ubuntu says of it; it has the
// IPv6 address for those who ask for it alone.
func localhost(network string) []netip.Addr {
	if network == "ip6" {
		return []netip.Addr{netip.IPv6Loopback()}
	}
	return []netip.Addr{loopback}
}

func unmap(addrs []netip.Addr) []netip.Addr {
	plain := make([]netip.Addr, len(addrs))
	for i, addr := range addrs {
		plain[i] = addr.Unmap()
	}
	return plain
}

// lookupError makes the error of a LookupFunc one of net's.
func lookupError(err error, name string) error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return err
	}
	return dnsError(contextError(err), name, "")
}

// dnsError puts an error into the form that net gives it.
func dnsError(err error, name, server string) *net.DNSError {
	e := &net.DNSError{Err: err.Error(), Name: name, Server: server}
	if err, ok := err.(interface{ Temporary() bool }); ok {
		e.IsTemporary = err.Temporary()
	}
	if err, ok := err.(net.Error); ok {
		e.IsTimeout = err.Timeout()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		e.UnwrapErr = err
	}
	return e
}

func noSuchHost(name, server string) *net.DNSError {
	return &net.DNSError{Err: "no such host", Name: name, Server: server, IsNotFound: true}
}

// isDomainName reports whether net would ask anybody for a name: labels of letters,
// digits, hyphens inside and underscores, up to 63 bytes each and 253 in all (RFC 1035,
// 2.3.1), not of digits alone.
func isDomainName(name string) bool {
	if name == "." {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 || strings.Trim(name, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// isOnion reports whether RFC 7686 forbids to ask the DNS for a name.
func isOnion(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return strings.HasSuffix(name, ".onion")
}
