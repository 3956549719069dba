package netfake

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// The lookups of this file are those of net.Resolver, without cgo, by the host's stub
// resolver: SetLookup does not reach them. What net draws by lot, such as the order of
// mail servers that are equal, depends on the world's seed, the host, the name and the time.

// LookupCNAME returns a name's canonical name: the one that has its addresses, after all
// aliases. A name that has no address but is an alias has its target.
func (h *Host) LookupCNAME(ctx context.Context, name string) (string, error) {
	if isLocalhost(name) {
		return "localhost", nil
	}
	findings, err := h.askAll(ctx, name, []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME})
	if err != nil {
		return "", err
	}
	for _, f := range findings {
		if len(f.records) > 0 {
			return checked(canonical(f.records[0]), name)
		}
	}
	return "", errorOf(findings)
}

// canonical returns what the first record of an answer says.
func canonical(r dnsmessage.Resource) string {
	if alias, ok := r.Body.(*dnsmessage.CNAMEResource); ok {
		return alias.CNAME.String()
	}
	return r.Header.Name.String()
}

func checked(found, name string) (string, error) {
	if !isDomainName(found) {
		return "", malformed(name)
	}
	return found, nil
}

// LookupTXT returns a name's texts, each with its strings joined.
func (h *Host) LookupTXT(ctx context.Context, name string) ([]string, error) {
	records, err := h.records(ctx, name, dnsmessage.TypeTXT)
	var all []string
	for _, r := range records {
		all = append(all, strings.Join(r.Body.(*dnsmessage.TXTResource).TXT, ""))
	}
	return all, err
}

// LookupMX returns a domain's mail servers, the preferred first. Those whose name is none
// are left out, and an error tells of it.
func (h *Host) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	records, err := h.records(ctx, name, dnsmessage.TypeMX)
	if err != nil {
		return nil, err
	}
	var all []*net.MX
	for _, r := range records {
		mx := r.Body.(*dnsmessage.MXResource)
		all = append(all, &net.MX{Host: mx.MX.String(), Pref: mx.Pref})
	}
	h.lots("mx", name).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return wellFormed(all, name, func(mx *net.MX) bool {
		_, err := netip.ParseAddr(strings.TrimSuffix(mx.Host, "."))
		return err == nil || isDomainName(mx.Host)
	})
}

// LookupNS returns a domain's name servers. Those whose name is none are left out, and an
// error tells of it.
func (h *Host) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	records, err := h.records(ctx, name, dnsmessage.TypeNS)
	if err != nil {
		return nil, err
	}
	var all []*net.NS
	for _, r := range records {
		all = append(all, &net.NS{Host: r.Body.(*dnsmessage.NSResource).NS.String()})
	}
	return wellFormed(all, name, func(ns *net.NS) bool { return isDomainName(ns.Host) })
}

// LookupSRV returns where a service is, and the name that was asked for:
// _service._proto.name, or name itself where both are empty. The records are in the order
// of RFC 2782: by priority, and by lot according to weight. Those whose target is no name
// are left out, and an error tells of it.
func (h *Host) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	target := name
	if service != "" || proto != "" {
		target = "_" + service + "._" + proto + "." + name
	}
	records, err := h.records(ctx, target, dnsmessage.TypeSRV)
	if err != nil {
		return "", nil, err
	}
	var all []*net.SRV
	for _, r := range records {
		srv := r.Body.(*dnsmessage.SRVResource)
		all = append(all, &net.SRV{Target: srv.Target.String(), Port: srv.Port, Priority: srv.Priority, Weight: srv.Weight})
	}
	sortSRV(all, h.lots("srv", target))
	all, err = wellFormed(all, name, func(srv *net.SRV) bool { return isDomainName(srv.Target) })
	return records[0].Header.Name.String(), all, err
}

// LookupAddr returns an address's names.
func (h *Host) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr}
	}
	if ip.IsLoopback() {
		return []string{"localhost"}, nil
	}
	records, err := h.records(ctx, reverseName(ip.Unmap()), dnsmessage.TypePTR)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, r := range records {
		all = append(all, r.Body.(*dnsmessage.PTRResource).PTR.String())
	}
	return wellFormed(all, addr, isDomainName)
}

// reverseName returns the name under which an address's PTR records are (RFC 1035, 3.5,
// and RFC 3596, 2.5).
func reverseName(ip netip.Addr) string {
	var b strings.Builder
	for _, octet := range slices.Backward(ip.AsSlice()) {
		if ip.Is4() {
			fmt.Fprintf(&b, "%d.", octet)
		} else {
			fmt.Fprintf(&b, "%x.%x.", octet&0xf, octet>>4)
		}
	}
	if ip.Is4() {
		return b.String() + "in-addr.arpa."
	}
	return b.String() + "ip6.arpa."
}

// records returns a name's records of one type, at least one.
func (h *Host) records(ctx context.Context, name string, typ dnsmessage.Type) ([]dnsmessage.Resource, error) {
	findings, err := h.askAll(ctx, name, []dnsmessage.Type{typ})
	if err != nil {
		return nil, err
	}
	found := findings[len(findings)-1]
	if found.err != nil {
		return nil, found.err
	}
	return slices.DeleteFunc(found.records, func(r dnsmessage.Resource) bool { return r.Header.Type != typ }), nil
}

// lots draws what is left to chance for one purpose and one name.
func (h *Host) lots(purpose, name string) *rand.Rand {
	key := mix(mix(h.world.seed, hashString(purpose)), h.key)
	return rand.New(rand.NewPCG(mix(key, hashString(name)), uint64(h.world.Now())))
}

// sortSRV orders records by priority, and within one by lot: a record of twice the weight
// is first twice as often.
func sortSRV(all []*net.SRV, lots *rand.Rand) {
	slices.SortStableFunc(all, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	for len(all) > 0 {
		n, sum := 0, 0
		for n < len(all) && all[n].Priority == all[0].Priority {
			sum += int(all[n].Weight)
			n++
		}
		if sum > 0 {
			lot := lots.IntN(sum)
			chosen := slices.IndexFunc(all[:n], func(srv *net.SRV) bool { lot -= int(srv.Weight); return lot < 0 })
			all[0], all[chosen] = all[chosen], all[0]
		}
		all = all[1:]
	}
}

// wellFormed leaves out the records that are not, and tells of it.
func wellFormed[T any](all []T, name string, ok func(T) bool) ([]T, error) {
	n := len(all)
	all = slices.DeleteFunc(all, func(r T) bool { return !ok(r) })
	if len(all) < n {
		return all, malformed(name)
	}
	return all, nil
}

func malformed(name string) error {
	return &net.DNSError{Err: "DNS response contained records which contain invalid names", Name: name}
}
