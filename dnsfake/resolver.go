package dnsfake

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// Resolver is a recursive, caching name server, such as an internet provider, a public
// service or a VPC runs. It asks the root and whoever it is sent to, over its host's
// own sockets, and remembers what it hears for as long as the TTLs say. All methods are
// safe for concurrent use.
//
// It gives every server ExchangeTimeout and a question ResolveTimeout. A server that
// did not answer is asked last for a minute. Which of several servers it asks first
// depends on the world's seed and the question.
type Resolver struct {
	host    *netfake.Host
	key     uint64
	network Network // whose host names it knows, nil for none

	mu       sync.Mutex
	cache    *cache
	inFlight map[question]*flight
	stats    ResolverStats
}

// ResolverStats counts what a resolver did.
type ResolverStats struct {
	Queries  int // questions of clients
	Hits     int // of these, answered from memory alone
	Shared   int // of these, answered with what another client was already waiting for
	Upstream int // questions that the resolver sent to servers
	OverTCP  int // of these, asked again by TCP since the answer did not fit
}

// flight is a search that clients wait for.
type flight struct {
	done    chan struct{}
	outcome outcome
	err     error
}

// Resolver puts a host with a recursive resolver on the internet.
func (sys *System) Resolver(place netfake.Place, name, addr string) *Resolver {
	sys.tb.Helper()
	return sys.ResolverOn(sys.world.Internet().HostAt(place, name, addr))
}

// ResolverOn makes a host that is there already a recursive resolver. Its port 53 must
// be free, UDP and TCP, and it must reach the internet; it answers whoever reaches it. No
// host fails the test.
func (sys *System) ResolverOn(h *netfake.Host) *Resolver {
	sys.tb.Helper()
	if h == nil {
		sys.tb.Fatalf("%v", inputError("there is no host that could be a resolver"))
	}
	return sys.resolverOn(h, nil)
}

// resolverOn makes a host a resolver: of a network, or of whoever reaches it.
func (sys *System) resolverOn(h *netfake.Host, n Network) *Resolver {
	sys.tb.Helper()
	r := &Resolver{host: h, key: keyed(sys.world.Seed(), "resolver", h.Name()), network: n, inFlight: map[question]*flight{}}
	r.Flush()
	var at []netip.Addr
	if n != nil {
		at = n.ResolverAddrs()
	}
	if err := serve(h, together, r.handle, at...); err != nil {
		sys.tb.Fatalf("dnsfake: resolver on %s: %v", h.Name(), err)
	}
	return r
}

// String returns the name of the resolver's host.
func (r *Resolver) String() string { return r.host.Name() }

// Host returns the machine that the resolver runs on.
func (r *Resolver) Host() *netfake.Host { return r.host }

// Addr returns where to ask; give it to netfake.Host.SetResolvers.
func (r *Resolver) Addr() netip.Addr { return r.host.Addr() }

// Stats returns what the resolver did so far.
func (r *Resolver) Stats() ResolverStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Flush makes the resolver forget everything but the root's address.
func (r *Resolver) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache = newCache()
	r.cache.zones["."] = delegation{zone: ".", servers: []NameServer{{RootServer, netip.MustParseAddr(RootServerAddr)}}}
}

// handle answers a client's message.
func (r *Resolver) handle(ctx context.Context, b []byte, via transport) []byte {
	req, refusal := readQuery(b)
	if req == nil {
		return refusal
	}
	q := req.Question[0]
	if q.Qclass != dns.ClassINET || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		return finish(req, reply(req, dns.RcodeRefused), via)
	}
	asked := question{canonical(q.Name), q.Qtype}
	out, known := r.hostname(asked)
	var err error
	if !known {
		out, err = r.lookup(ctx, asked)
	}
	m := reply(req, out.rcode)
	m.RecursionAvailable = true
	if err != nil {
		m.Rcode = dns.RcodeServerFailure
		return finish(req, m, via)
	}
	m.Answer = out.answer
	if out.soa != nil {
		m.Ns = []dns.RR{out.soa}
	}
	return finish(req, m, via)
}

// lookup answers from memory, or waits for the one search that is under way for the
// question, or begins it.
func (r *Resolver) lookup(ctx context.Context, q question) (outcome, error) {
	r.mu.Lock()
	r.stats.Queries++
	if out, ok := r.remembered(q); ok {
		r.stats.Hits++
		r.mu.Unlock()
		return out, nil
	}
	f := r.inFlight[q]
	if f != nil {
		r.stats.Shared++
		r.mu.Unlock()
		return f.wait(ctx)
	}
	f = &flight{done: make(chan struct{})}
	r.inFlight[q] = f
	r.mu.Unlock()

	limited, cancel := context.WithTimeout(ctx, ResolveTimeout)
	defer cancel()
	f.outcome, f.err = (&search{r: r}).resolve(limited, q, 0)
	r.mu.Lock()
	delete(r.inFlight, q)
	r.mu.Unlock()
	close(f.done)
	return f.outcome, f.err
}

func (f *flight) wait(ctx context.Context) (outcome, error) {
	select {
	case <-f.done:
		return f.outcome, f.err
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}

// remembered answers a question from the cache alone, through all its CNAMEs. The
// caller holds mu.
func (r *Resolver) remembered(q question) (outcome, bool) {
	var out outcome
	for range maxCNAMEs {
		st, ok := r.cache.get(q, time.Now())
		if !ok {
			return outcome{}, false
		}
		out.answer = append(out.answer, st.answer...)
		if st.next == "" {
			out.rcode, out.soa = st.rcode, st.soa
			return out, true
		}
		q.name = st.next
	}
	return outcome{}, false
}

// The search's view of the resolver's memory.

func (r *Resolver) cached(q question) (step, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.get(q, time.Now())
}

func (r *Resolver) remember(q question, s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.put(q, s, time.Now())
}

func (r *Resolver) closest(name string) delegation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.closest(name, time.Now())
}

func (r *Resolver) learn(d delegation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.zones[d.zone] = d
}

func (r *Resolver) order(d delegation, q question) []NameServer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.order(d, keyed(r.key, "order", q.name), time.Now())
}

func (r *Resolver) avoid(server string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.slow[server] = time.Now().Add(avoidance)
}

func (r *Resolver) count(overTCP bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Upstream++
	if overTCP {
		r.stats.OverTCP++
	}
}
