package dnsfake

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// Reply is a name server's answer, in the terms of dig.
type Reply struct {
	Status        string // NOERROR, NXDOMAIN, SERVFAIL, REFUSED …
	Authoritative bool   // the server speaks for the zone
	Truncated     bool   // the answer did not fit; never so by Dig, which turns to TCP
	Answer        []Resource
	Authority     []Resource
	Additional    []Resource // without EDNS0's own record
}

// Resource is one record of a reply.
type Resource struct {
	Name  string // fully qualified, with the last dot
	TTL   time.Duration
	Type  Type
	Value string // the data as a zone file has it
}

// String returns the record as a line of a zone file, with blanks between the columns.
func (r Resource) String() string {
	return fmt.Sprintf("%s %d IN %v %s", r.Name, int(r.TTL.Seconds()), r.Type, r.Value)
}

// Dig asks one name server one question from a host, with recursion desired, by UDP and
// if the answer does not fit by TCP. It returns an error only if no answer comes within
// ExchangeTimeout of either.
func Dig(ctx context.Context, from *netfake.Host, server netip.Addr, name string, typ Type) (*Reply, error) {
	if err := checkName(name); err != nil && name != "." {
		return nil, err
	}
	q := question{canonical(name), uint16(typ)}
	key := keyed(from.World().Seed(), "dig", from.Name(), server.String(), q.name, typ.String())
	query := newQuery(q, uint16(key))
	query.RecursionDesired = true
	m, _, err := asker{from, key >> 16}.exchange(ctx, server, query)
	if err != nil {
		return nil, fmt.Errorf("dnsfake: dig @%v %s %v: %w", server, name, typ, err)
	}
	return &Reply{
		Status: dns.RcodeToString[m.Rcode], Authoritative: m.Authoritative, Truncated: m.Truncated,
		Answer: resources(m.Answer), Authority: resources(m.Ns), Additional: resources(m.Extra),
	}, nil
}

func resources(rrs []dns.RR) []Resource {
	var out []Resource
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype == dns.TypeOPT {
			continue
		}
		value := strings.TrimPrefix(rr.String(), h.String())
		out = append(out, Resource{canonical(h.Name), time.Duration(h.Ttl) * time.Second, Type(h.Rrtype), value})
	}
	return out
}

// String returns the status and the answer section, a record a line.
func (r *Reply) String() string {
	lines := []string{r.Status}
	for _, a := range r.Answer {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n")
}

// Values returns the data of the answer's records of a type, in the order in which they
// came.
func (r *Reply) Values(typ Type) []string {
	var out []string
	for _, a := range r.Answer {
		if a.Type == typ {
			out = append(out, a.Value)
		}
	}
	return out
}
