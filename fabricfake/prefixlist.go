package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// PrefixList is a managed list of blocks of one family, which the rules of security
// groups and routes name in place of a block each. What is added to it or removed takes
// effect at once wherever it is named. Against quotas it counts with its maximum, however
// few entries it has. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/managed-prefix-lists.html
type PrefixList struct {
	region  *Region
	name    string
	ipv4    bool
	max     int
	entries []netip.Prefix
	tables  []*RouteTable // that route to it
}

// maxPrefixListEntries is how many entries a list may be made for. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const maxPrefixListEntries = 1000

// PrefixList makes a prefix list for at most max entries, from 1 to 1000, with the blocks
// that are given: all IPv4 or all IPv6. It fails the test for a name that is empty or
// taken, for no block at all, which would leave the family open, and for what Add refuses.
func (r *Region) PrefixList(name string, max int, blocks ...string) *PrefixList {
	tb := r.tb()
	tb.Helper()
	l := &PrefixList{region: r, name: name, max: max}
	err := checkName("prefix list", name)
	switch {
	case err != nil:
	case slices.ContainsFunc(r.prefixLists, func(o *PrefixList) bool { return o.name == name }):
		err = refuse(codeParameterValue, "region %s has a prefix list %s", r.name, name)
	case max < 1 || max > maxPrefixListEntries:
		err = refuse(codeParameterValue, "a prefix list for %d entries: it is from 1 to %d", max, maxPrefixListEntries)
	case len(blocks) == 0:
		err = refuse(codeParameterValue, "a prefix list without a block has no address family")
	}
	for i, s := range blocks {
		var p netip.Prefix
		if err == nil {
			p, err = parseAnyBlock(s)
		}
		if i == 0 && err == nil {
			l.ipv4 = p.Addr().Is4()
		}
		if err == nil {
			err = l.add(p)
		}
	}
	if err != nil {
		tb.Fatalf("%v (prefix list %s)", err, name)
	}
	r.prefixLists = append(r.prefixLists, l)
	return l
}

// String returns "pl name", as traces print it.
func (l *PrefixList) String() string { return "pl " + l.name }

// Name returns the list's name.
func (l *PrefixList) Name() string { return l.name }

// ID returns the list's identifier, "pl-" and 17 digits.
func (l *PrefixList) ID() string { return resourceID("pl", l.region.name, l.name) }

// MaxEntries returns how many entries the list is for.
func (l *PrefixList) MaxEntries() int { return l.max }

// Entries returns the list's blocks, in the order in which they were added.
func (l *PrefixList) Entries() (entries []netip.Prefix) {
	l.region.world.Do(func(time.Duration) { entries = slices.Clone(l.entries) })
	return entries
}

// Add adds a block. It fails the test for a block of the other family, one that is there,
// and one more than the list is for.
func (l *PrefixList) Add(block string) *PrefixList {
	l.tb().Helper()
	return l.edit(block, func(p netip.Prefix) error {
		if err := l.add(p); err != nil {
			return err
		}
		for _, t := range l.tables {
			t.follow(l)
		}
		return nil
	})
}

// Remove removes a block. It fails the test if the list has none such.
func (l *PrefixList) Remove(block string) *PrefixList {
	l.tb().Helper()
	return l.edit(block, func(p netip.Prefix) error {
		i := slices.Index(l.entries, p)
		if i < 0 {
			return refuse(codeParameterValue, "%v is no entry", p)
		}
		l.entries = slices.Delete(l.entries, i, i+1)
		for _, t := range l.tables {
			t.follow(l)
		}
		return nil
	})
}

// edit changes the list inside the scheduler.
func (l *PrefixList) edit(block string, change func(netip.Prefix) error) *PrefixList {
	l.tb().Helper()
	w := l.region.world
	p, err := parseAnyBlock(block)
	if err == nil {
		w.Do(func(time.Duration) { err = change(p) })
	}
	if err != nil {
		w.TB().Fatalf("%v (%v)", err, l)
	}
	return l
}

func (l *PrefixList) add(p netip.Prefix) error {
	switch {
	case p.Addr().Is4() != l.ipv4:
		return refuse(codeParameterValue, "%v is not of the list's address family", p)
	case slices.Contains(l.entries, p):
		return refuse(codeParameterValue, "%v is an entry already", p)
	case len(l.entries) == l.max:
		return refuse("PrefixListMaxEntriesExceeded", "the list is for %d entries", l.max)
	}
	l.entries = append(l.entries, p)
	return nil
}

// cost tells what a list counts against a quota, "" for no list.
func (l *PrefixList) cost() string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf(", and %v counts as the %d that it is for", l, l.max)
}

// contains reports whether one of the list's blocks has an address.
func (l *PrefixList) contains(addr netip.Addr) bool {
	for _, p := range l.entries {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func (l *PrefixList) resolve() (ruleTarget, error) {
	if l == nil {
		return ruleTarget{}, refuse(codeParameterValue, "the rule's prefix list is nil")
	}
	return ruleTarget{list: l}, nil
}
