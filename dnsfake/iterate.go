package dnsfake

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// The limits of one question, so that no zone however made can keep a resolver busy.
const (
	// ResolveTimeout is when a resolver gives up and says SERVFAIL, counted from the
	// client's question: BIND's resolver-query-timeout.
	ResolveTimeout = 10 * time.Second

	maxUpstream  = 64 // questions to servers
	maxReferrals = 24 // steps down the tree
	maxDepth     = 4  // name servers whose address needs name servers whose address …
	maxRounds    = 3  // times to ask a zone's servers over
)

var errServers = errors.New("dnsfake: no server of the zone gave an answer")
var errLimit = errors.New("dnsfake: the question led too far")

// outcome is the answer to a client's question: CNAMEs first, the records last.
type outcome struct {
	rcode  int
	answer []dns.RR
	soa    dns.RR
}

// search is one client's question on its way through the tree.
type search struct {
	r     *Resolver
	asked int // questions sent to servers
}

// resolve finds the answer to a question and follows CNAMEs from zone to zone.
func (s *search) resolve(ctx context.Context, q question, depth int) (outcome, error) {
	var out outcome
	for range maxCNAMEs {
		st, ok := s.r.cached(q)
		if !ok {
			var err error
			if st, err = s.descend(ctx, q, depth); err != nil {
				return out, err
			}
		}
		out.answer = append(out.answer, st.answer...)
		if st.next == "" {
			out.rcode, out.soa = st.rcode, st.soa
			return out, nil
		}
		q.name = st.next
	}
	return out, errLimit
}

// descend asks the servers of the nearest zone that is known, and follows their
// referrals down to the one that answers.
func (s *search) descend(ctx context.Context, q question, depth int) (step, error) {
	zone := s.r.closest(q.name)
	for range maxReferrals {
		v, st, next, err := s.askZone(ctx, zone, q, depth)
		if err != nil {
			return step{}, err
		}
		if v == answered {
			s.r.remember(q, st)
			return st, nil
		}
		s.r.learn(next)
		zone = next
		if glue := next.glue(q.name); depth > 0 && glue.IsValid() {
			// It is a name server's address that is wanted, and the referral has it.
			return step{answer: []dns.RR{addrRecord(q.name, glue, 0)}}, nil
		}
	}
	return step{}, errLimit
}

// askZone asks a zone's servers, one after the other, until one says something useful.
// Those that stay silent are asked again; those that answer nonsense are not.
func (s *search) askZone(ctx context.Context, zone delegation, q question, depth int) (verdict, step, delegation, error) {
	useless := map[string]bool{}
	for range maxRounds {
		for _, server := range s.r.order(zone, q) {
			if useless[server.Name] {
				continue
			}
			m, err := s.askServer(ctx, server, q, depth)
			if isOver(ctx) || errors.Is(err, errLimit) {
				return lame, step{}, delegation{}, errLimit
			}
			if err != nil {
				useless[server.Name] = !isTimeout(err)
				continue
			}
			if v, st, next := judge(m, q, zone.zone); v != lame {
				next.expires = time.Now().Add(time.Duration(referralTTL(m, next)) * time.Second)
				return v, st, next, nil
			}
			useless[server.Name] = true
		}
	}
	return lame, step{}, delegation{}, errServers
}

// isTimeout reports whether a server stayed silent, as opposed to saying no.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// askServer sends the question to one server, whose address it finds first if the
// referral came without.
func (s *search) askServer(ctx context.Context, server NameServer, q question, depth int) (*dns.Msg, error) {
	addr := server.Addr
	if !addr.IsValid() {
		var err error
		if addr, err = s.serverAddr(ctx, server.Name, depth); err != nil {
			return nil, err
		}
	}
	if s.asked++; s.asked > maxUpstream {
		return nil, errLimit
	}
	key := keyed(s.r.key, "query", q.name, Type(q.typ).String(), server.Name, strconv.Itoa(s.asked))
	from := asker{s.r.host, key >> 16}
	m, overTCP, err := from.exchange(ctx, addr, newQuery(q, uint16(key)))
	s.r.count(overTCP)
	if err != nil && !isOver(ctx) {
		s.r.avoid(server.Name)
	}
	return m, err
}

// serverAddr resolves a name server's own name.
func (s *search) serverAddr(ctx context.Context, name string, depth int) (netip.Addr, error) {
	if depth >= maxDepth {
		return netip.Addr{}, errServers
	}
	if glue := s.r.closest(name).glue(name); glue.IsValid() {
		return glue, nil
	}
	out, err := s.resolve(ctx, question{name, dns.TypeA}, depth+1)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, rr := range out.answer {
		if addr, ok := addrOf(rr); ok {
			return addr, nil
		}
	}
	return netip.Addr{}, errServers
}
