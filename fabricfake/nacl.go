package fabricfake

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Limits of network ACLs. Source of the numbers: CreateNetworkAclEntry in the EC2 API
// reference; of the quota
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const (
	maxACLNumber  = 32766
	lastACLNumber = 32767 // of the "*" entry, which refuses what nothing else matched
	lastACLIPv6   = 32768 // of the "*" entry for IPv6, in a VPC that has it
	maxACLEntries = 20    // in each direction and for each address family, "*" not counted
	maxACLs       = 200   // in a VPC
)

// NetworkACL is the stateless filter at a subnet's border: a reply needs an entry of
// its own. Entries are tried by ascending number and the first that matches decides.
// Its methods may be called at any time and take effect at once, for established
// connections too.
type NetworkACL struct {
	world           *netfake.World
	vpc             *VPC // which it is in
	name            string
	ingress, egress []ACLEntry // by number, the "*" entry last
	deleted         bool
}

// ACLEntry is one numbered entry of a network ACL, in one direction.
type ACLEntry struct {
	Number     int // 1 to 32766, and 32767 and 32768 for the "*" of IPv4 and IPv6 that come last
	Allow      bool
	Permission Permission
	CIDR       netip.Prefix // source of what comes in, destination of what leaves
	Hits       uint64       // packets that it decided about
}

// ACLAction is what an entry does with the packets that it matches. The zero ACLAction is
// Deny.
type ACLAction uint8

// What entries do.
const (
	Deny ACLAction = iota
	Allow
)

// String returns "deny" or "allow".
func (a ACLAction) String() string {
	if a == Allow {
		return "allow"
	}
	return "deny"
}

// newNetworkACL returns an ACL as the API makes it: it refuses everything.
func newNetworkACL(w *netfake.World, name string) *NetworkACL {
	last := ACLEntry{Number: lastACLNumber, CIDR: anywhereRule().prefix}
	return &NetworkACL{world: w, name: name, ingress: []ACLEntry{last}, egress: []ACLEntry{last}}
}

// newDefaultACL returns the ACL that a VPC comes with: it lets everything through.
func newDefaultACL(w *netfake.World) *NetworkACL {
	a := newNetworkACL(w, "default")
	all := ACLEntry{Number: 100, Allow: true, CIDR: anywhereRule().prefix}
	a.ingress = slices.Insert(a.ingress, 0, all)
	a.egress = slices.Insert(a.egress, 0, all)
	return a
}

// addIPv6 gives the ACL of a VPC that has become one with IPv6 its last entry for it,
// and, if it is the default ACL and has the entries that it came with, one that lets
// everything through. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html
func (a *NetworkACL) addIPv6(isDefault bool) {
	everyone := anywhereIPv6Rule().prefix
	for _, side := range []*[]ACLEntry{&a.ingress, &a.egress} {
		if slices.ContainsFunc(*side, func(e ACLEntry) bool { return e.Number == lastACLIPv6 }) {
			continue
		}
		*side = append(*side, ACLEntry{Number: lastACLIPv6, CIDR: everyone})
		if isDefault && a.untouched() {
			*side = slices.Insert(*side, 1, ACLEntry{Number: 101, Allow: true, CIDR: everyone})
		}
	}
}

// untouched reports whether the ACL has what a default ACL comes with, the entries for
// IPv6 aside.
func (a *NetworkACL) untouched() bool {
	for _, side := range [][]ACLEntry{a.ingress, a.egress} {
		own := 0
		for _, e := range side {
			switch {
			case e.Number >= lastACLNumber || e.Number == 101 && e.CIDR == anywhereIPv6Rule().prefix:
			case e.Number == 100 && e.Allow && e.Permission == Permission{} && e.CIDR == anywhereRule().prefix:
				own++
			default:
				return false
			}
		}
		if own != 1 {
			return false
		}
	}
	return true
}

// String returns "acl name", as traces print it.
func (a *NetworkACL) String() string { return "acl " + a.name }

// Name returns the ACL's name.
func (a *NetworkACL) Name() string { return a.name }

// AllowIngress adds an entry that lets traffic into the subnet: perm in the notation
// of ParsePermission, cidr the source, IPv4 or IPv6. Its number is from 1 to 32766 and
// new.
func (a *NetworkACL) AllowIngress(number int, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	return a.edit(netfake.Ingress, ACLEntry{Number: number, Allow: true}, perm, cidr, (*NetworkACL).addEntry)
}

// AllowEgress adds an entry that lets traffic out of the subnet, to cidr.
func (a *NetworkACL) AllowEgress(number int, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	return a.edit(netfake.Egress, ACLEntry{Number: number, Allow: true}, perm, cidr, (*NetworkACL).addEntry)
}

// DenyIngress adds an entry that keeps traffic out of the subnet.
func (a *NetworkACL) DenyIngress(number int, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	return a.edit(netfake.Ingress, ACLEntry{Number: number}, perm, cidr, (*NetworkACL).addEntry)
}

// DenyEgress adds an entry that keeps traffic in the subnet.
func (a *NetworkACL) DenyEgress(number int, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	return a.edit(netfake.Egress, ACLEntry{Number: number}, perm, cidr, (*NetworkACL).addEntry)
}

// RemoveIngress removes the entry with that number. It fails the test if there is
// none.
func (a *NetworkACL) RemoveIngress(number int) *NetworkACL {
	a.tb().Helper()
	return a.remove(netfake.Ingress, number)
}

// RemoveEgress removes the entry with that number. It fails the test if there is none.
func (a *NetworkACL) RemoveEgress(number int) *NetworkACL {
	a.tb().Helper()
	return a.remove(netfake.Egress, number)
}

// ReplaceIngress puts another entry in the place of the one with that number, which
// counts its hits from 0. It fails the test if there is none.
func (a *NetworkACL) ReplaceIngress(number int, action ACLAction, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	a.mustKnow(action)
	return a.edit(netfake.Ingress, ACLEntry{Number: number, Allow: action == Allow}, perm, cidr, (*NetworkACL).replaceEntry)
}

// ReplaceEgress puts another entry in the place of the one with that number.
func (a *NetworkACL) ReplaceEgress(number int, action ACLAction, perm, cidr string) *NetworkACL {
	a.tb().Helper()
	a.mustKnow(action)
	return a.edit(netfake.Egress, ACLEntry{Number: number, Allow: action == Allow}, perm, cidr, (*NetworkACL).replaceEntry)
}

// mustKnow fails the test for an action that is none.
func (a *NetworkACL) mustKnow(action ACLAction) {
	if tb := a.tb(); action > Allow {
		tb.Helper()
		tb.Fatalf("%v (%v)", refuse(codeParameterValue, "ACLAction is %d", action), a)
	}
}

// Delete deletes the ACL. It fails the test for the default ACL
// (InvalidParameterValue), and while a subnet has the ACL (DependencyViolation).
func (a *NetworkACL) Delete() {
	tb := a.tb()
	tb.Helper()
	var err error
	a.world.Do(func(time.Duration) {
		if err = a.checkDelete(); err == nil {
			a.deleted = true
			a.vpc.acls = slices.DeleteFunc(a.vpc.acls, func(o *NetworkACL) bool { return o == a })
		}
	})
	if err != nil {
		tb.Fatalf("%v (%v)", err, a)
	}
}

func (a *NetworkACL) checkDelete() error {
	if err := a.checkAlive(); err != nil {
		return err
	}
	if a == a.vpc.acl {
		return refuse(codeParameterValue, "a VPC keeps its default network ACL")
	}
	for _, s := range a.vpc.subnets {
		if s.acl == a {
			return refuse(codeDependency, "the subnet %v has the ACL", s)
		}
	}
	return nil
}

// checkAlive refuses what is done with an ACL that was deleted.
func (a *NetworkACL) checkAlive() error {
	if a.deleted {
		return refuse(codeACLNotFound, "%v was deleted", a)
	}
	return nil
}

// IngressEntries returns the entries for what enters the subnet, by number and with
// their hits so far.
func (a *NetworkACL) IngressEntries() []ACLEntry { return a.snapshot(netfake.Ingress) }

// EgressEntries returns the entries for what leaves the subnet.
func (a *NetworkACL) EgressEntries() []ACLEntry { return a.snapshot(netfake.Egress) }

func (a *NetworkACL) snapshot(dir netfake.Direction) (entries []ACLEntry) {
	a.world.Do(func(time.Duration) { entries = slices.Clone(*a.side(dir)) })
	return entries
}

// edit changes an entry inside the scheduler.
func (a *NetworkACL) edit(dir netfake.Direction, e ACLEntry, perm, cidr string, change func(*NetworkACL, netfake.Direction, ACLEntry) error) *NetworkACL {
	tb := a.tb()
	tb.Helper()
	var err error
	if e.Permission, err = ParsePermission(perm); err == nil {
		e.CIDR, err = parseAnyBlock(cidr)
	}
	if err == nil {
		e.Permission = aclPermission(e.Permission, e.CIDR)
		a.world.Do(func(time.Duration) {
			if err = a.checkAlive(); err == nil {
				err = change(a, dir, e)
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (%v %v entry %d)", err, a, dir, e.Number)
	}
	return a
}

// aclPermission returns what an entry with a block lets through or not: one for ICMPv6
// with a block of IPv4 is for every message. Source: CreateNetworkAclEntry in the EC2 API
// reference.
func aclPermission(p Permission, block netip.Prefix) Permission {
	if p.Proto == netfake.ICMPv6 && block.Addr().Is4() {
		return Permission{p.Proto, anyICMP, anyICMP}
	}
	return p
}

func (a *NetworkACL) remove(dir netfake.Direction, number int) *NetworkACL {
	tb := a.tb()
	tb.Helper()
	var err error
	a.world.Do(func(time.Duration) {
		if err = a.checkAlive(); err == nil {
			err = a.deleteEntry(dir, number)
		}
	})
	if err != nil {
		tb.Fatalf("%v (%v %v)", err, a, dir)
	}
	return a
}

func (a *NetworkACL) side(dir netfake.Direction) *[]ACLEntry {
	if dir == netfake.Egress {
		return &a.egress
	}
	return &a.ingress
}

func (a *NetworkACL) find(dir netfake.Direction, number int) (int, bool) {
	return slices.BinarySearchFunc(*a.side(dir), number, func(e ACLEntry, n int) int {
		return cmp.Compare(e.Number, n)
	})
}

func (a *NetworkACL) addEntry(dir netfake.Direction, e ACLEntry) error {
	if err := checkACLNumber(e.Number); err != nil {
		return err
	}
	at, exists := a.find(dir, e.Number)
	side := a.side(dir)
	switch {
	case exists:
		return refuse(codeACLEntryExists, "there is an entry %d", e.Number)
	case countACLEntries(*side, e.CIDR.Addr().Is4()) >= a.vpc.quotas().EntriesPerACL:
		return refuse(codeACLEntryLimit, "an ACL has %d entries in each direction at most", a.vpc.quotas().EntriesPerACL)
	}
	*side = slices.Insert(*side, at, e)
	return nil
}

// replaceEntry puts an entry in the place of the one with its number.
func (a *NetworkACL) replaceEntry(dir netfake.Direction, e ACLEntry) error {
	if err := checkACLNumber(e.Number); err != nil {
		return err
	}
	at, exists := a.find(dir, e.Number)
	side := *a.side(dir)
	if !exists {
		return refuse(codeACLEntryNotFound, "there is no entry %d", e.Number)
	}
	family := e.CIDR.Addr().Is4()
	if family != side[at].CIDR.Addr().Is4() && countACLEntries(side, family) >= a.vpc.quotas().EntriesPerACL {
		return refuse(codeACLEntryLimit, "an ACL has %d entries in each direction at most", a.vpc.quotas().EntriesPerACL)
	}
	side[at] = e
	return nil
}

// countACLEntries returns how many entries count against the quota of a family.
func countACLEntries(entries []ACLEntry, ipv4 bool) (n int) {
	for _, e := range entries {
		if e.Number <= maxACLNumber && e.CIDR.Addr().Is4() == ipv4 {
			n++
		}
	}
	return n
}

func (a *NetworkACL) deleteEntry(dir netfake.Direction, number int) error {
	if err := checkACLNumber(number); err != nil {
		return err
	}
	at, exists := a.find(dir, number)
	if !exists {
		return refuse(codeACLEntryNotFound, "there is no entry %d", number)
	}
	side := a.side(dir)
	*side = slices.Delete(*side, at, at+1)
	return nil
}

func checkACLNumber(number int) error {
	if number < 1 || number > maxACLNumber {
		return refuse(codeParameterValue, "%d: an entry's number is from 1 to %d", number, maxACLNumber)
	}
	return nil
}
