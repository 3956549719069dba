package dnsfake

import (
	"slices"

	"github.com/miekg/dns"
)

// creating returns a zone's sets with s among them, or why Route 53 would refuse it.
func (d *zoneData) creating(s *recordSet) ([]*recordSet, error) {
	for _, other := range d.group(s.name, s.typ) {
		if other.id == s.id {
			return nil, changeError("Tried to create resource record set [%s] but it already exists", s.title())
		}
	}
	if err := d.permits(s); err != nil {
		return nil, err
	}
	return append(slices.Clip(d.sets), s), nil
}

// replacing returns a zone's sets with s in place of the one with the same name, type
// and set identifier, if there is one.
func (d *zoneData) replacing(s *recordSet) ([]*recordSet, error) {
	rest := slices.DeleteFunc(slices.Clone(d.sets), func(other *recordSet) bool {
		return other.name == s.name && other.typ == s.typ && other.id == s.id
	})
	return buildZone(d.apex, rest).creating(s)
}

// removing returns a zone's sets without those of a name and type.
func (d *zoneData) removing(name string, typ uint16) ([]*recordSet, error) {
	s := &recordSet{name: name, typ: typ}
	switch {
	case len(d.group(name, typ)) == 0:
		return nil, changeError("Tried to delete resource record set [%s] but it was not found", s.title())
	case name == d.apex && typ == dns.TypeSOA:
		return nil, changeError("A HostedZone must contain exactly one SOA record.")
	case name == d.apex && typ == dns.TypeNS:
		return nil, changeError("A HostedZone must contain at least one NS record for the zone itself.")
	}
	return slices.DeleteFunc(slices.Clone(d.sets), func(other *recordSet) bool {
		return other.name == name && other.typ == typ
	}), nil
}

// title returns "name='www.example.com.', type='A'", as the API's messages do.
func (s *recordSet) title() string {
	title := "name='" + shown(s.name) + "', type='" + Type(s.typ).String() + "'"
	if s.id != "" {
		title += ", set identifier='" + s.id + "'"
	}
	return title
}

// permits says whether s may stand beside what the zone has.
func (d *zoneData) permits(s *recordSet) error {
	typ, name, apex := Type(s.typ), shown(s.name), shown(d.apex)
	switch {
	case !within(s.name, d.apex):
		return changeError("RRSet with DNS name %s is not permitted in zone %s.", name, apex)
	case typ == CNAME && s.name == d.apex:
		return changeError("RRSet of type CNAME with DNS name %s is not permitted at apex in zone %s.", name, apex)
	case typ == NS && isWildcard(s.name):
		return changeError("RRSet of type NS with DNS name %s is not permitted: a wildcard cannot be delegated.", name)
	case typ == CNAME && d.hasOther(s):
		return changeError("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same DNS name in zone %s.", name, apex)
	case typ != CNAME && len(d.group(s.name, dns.TypeCNAME)) > 0:
		return changeError("RRSet of type %v with DNS name %s is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone %s.", typ, name, apex)
	}
	if err := d.permitsBeside(s, d.group(s.name, s.typ)); err != nil {
		return err
	}
	return d.permitsTarget(s)
}

// hasOther reports whether the name of s has records of another type.
func (d *zoneData) hasOther(s *recordSet) bool {
	n := d.nodes[s.name]
	if n == nil {
		return false
	}
	for typ := range n.groups {
		if typ != s.typ {
			return true
		}
	}
	return false
}

// permitsBeside says whether s may join a group: all members follow one policy, and a
// failover pair has one of each half.
func (d *zoneData) permitsBeside(s *recordSet, group []*recordSet) error {
	for _, other := range group {
		switch {
		case s.role == Simple || other.role == Simple:
			return changeError("RRSet with DNS name %s, type %v cannot be created as other RRSets exist with the same name and type.", shown(s.name), Type(s.typ))
		case s.role == other.role:
			return changeError("RRSet with DNS name %s, type %v, SetIdentifier %s cannot be created as a failover %v with that name and type exists.", shown(s.name), Type(s.typ), s.id, s.role)
		}
	}
	return nil
}

// permitsTarget says whether an alias's target, if it is a record, is there.
func (d *zoneData) permitsTarget(s *recordSet) error {
	if s.alias == nil {
		return nil
	}
	target, ok := s.alias.Target.(*recordTarget)
	if !ok {
		return nil
	}
	switch {
	case target.zone.apex != d.apex || !within(target.name, d.apex):
		return changeError("Tried to create an alias that targets %s, type %v in zone %s, but the alias target name does not lie within the target zone", target.name, Type(s.typ), d.apex)
	case len(d.group(target.name, s.typ)) == 0 || target.name == s.name:
		return changeError("Tried to create an alias that targets %s, type %v in zone %s, but that target was not found", target.name, Type(s.typ), d.apex)
	}
	return nil
}
