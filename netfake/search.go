package netfake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// SearchList is how a host completes names that do not end with a dot: search and ndots of
// resolv.conf(5). The zero SearchList completes none.
type SearchList struct {
	// Domains are put behind a name, one after the other, until one of them makes it a
	// name that is found.
	Domains []string

	// Ndots is how many dots a name has that is asked for as it is before the domains are
	// tried, and not after. If 0, 1; as with net no more than 15. Kubernetes sets 5.
	Ndots int
}

// mostNdots is what resolv.conf(5) takes at most.
const mostNdots = 15

// SetSearchList sets how the host completes names, as a VPC's DHCP options or a cluster do.
// It is for the host's stub resolver: the function of SetLookup gets names as they are. A
// domain that is none, and a negative Ndots, fail the test.
func (h *Host) SetSearchList(s SearchList) {
	h.world.tb.Helper()
	if err := s.Check(); err != nil {
		h.world.tb.Fatalf("netfake: host %s: %v", h.name, err)
	}
	s.Domains = slices.Clone(s.Domains)
	h.world.Do(func(time.Duration) { h.search = s })
}

// Check tells what is wrong with the list, nil for nothing.
func (s SearchList) Check() error {
	if s.Ndots < 0 {
		return fmt.Errorf("ndots of %d", s.Ndots)
	}
	for _, domain := range s.Domains {
		if domain == "." || !isDomainName(domain) {
			return fmt.Errorf("%q is no domain to search in", domain)
		}
	}
	return nil
}

// searchList returns how the host completes names.
func (h *Host) searchList() SearchList {
	h.world.lock()
	defer h.world.unlock()
	return h.search
}

// complete returns the absolute names that a name may stand for, in the order in which
// they are asked for. There is none where nobody may be asked.
func (s SearchList) complete(name string) []string {
	if strings.HasSuffix(name, ".") {
		return withoutOnion([]string{name})
	}
	absolute := name + "."
	var all []string
	for _, domain := range s.Domains {
		if full := absolute + strings.TrimSuffix(domain, ".") + "."; len(full) <= 254 {
			all = append(all, full)
		}
	}
	ndots := min(max(s.Ndots, 1), mostNdots)
	if strings.Count(name, ".") >= ndots {
		return withoutOnion(append([]string{absolute}, all...))
	}
	return withoutOnion(append(all, absolute))
}

func withoutOnion(names []string) []string { return slices.DeleteFunc(names, isOnion) }

// searches returns how to ask the host's resolvers for a name: a search for each absolute
// name that it may stand for.
func (h *Host) searches(name string) ([]*search, error) {
	if !isDomainName(name) {
		return nil, noSuchHost(name, "")
	}
	h.world.lock()
	servers, list := h.resolvers, h.search
	h.world.unlock()
	var all []*search
	for _, full := range list.complete(name) {
		all = append(all, &search{h, name, dnsmessage.MustNewName(full), servers})
	}
	switch {
	case len(all) == 0:
		return nil, noSuchHost(name, "")
	case len(servers) == 0:
		return nil, dnsError(errNoResolver, name, "")
	}
	return all, nil
}
