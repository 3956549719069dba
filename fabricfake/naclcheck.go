package fabricfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// codeACL is the explanation code for a packet that a network ACL refuses. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const codeACL netfake.Code = "SUBNET_ACL_RESTRICTION"

// aclDecision is what an ACL says about a packet. Its zero value refuses. It is valid
// until an entry is changed.
type aclDecision struct {
	allowed bool
	entry   *ACLEntry // that decided
}

// code returns the explanation code: none for a packet that is allowed.
func (d aclDecision) code() netfake.Code {
	if d.allowed {
		return ""
	}
	return codeACL
}

// count adds hits to the entry that decided.
func (d aclDecision) count(packets int) {
	if d.entry != nil {
		d.entry.Hits += uint64(packets)
	}
}

// describe returns the entry that decided, as traces print it: "rule 100  allow
// tcp/443 0.0.0.0/0", and "rule *" for the last.
func (d aclDecision) describe() string {
	if d.entry == nil || d.entry.Number >= lastACLNumber {
		return "rule *"
	}
	return fmt.Sprintf("rule %d  %v %v %v", d.entry.Number, d.entry.action(), d.entry.Permission, d.entry.CIDR)
}

func (e *ACLEntry) action() ACLAction {
	if e.Allow {
		return Allow
	}
	return Deny
}

// check judges a packet that crosses the subnet's border.
func (a *NetworkACL) check(dir netfake.Direction, f netfake.Flow, icmpType, icmpCode uint8) aclDecision {
	peer := peerOf(dir, f)
	entries := *a.side(dir)
	for i := range entries {
		e := &entries[i]
		if e.Permission.matches(f.Proto, f.Dst.Port(), icmpType, icmpCode) && e.CIDR.Contains(peer) {
			return aclDecision{e.Allow, e}
		}
	}
	return aclDecision{}
}

// peerOf returns the address of a packet that rules and entries are compared with: the one
// that is not the own side's.
func peerOf(dir netfake.Direction, f netfake.Flow) netip.Addr {
	if dir == netfake.Egress {
		return f.Dst.Addr()
	}
	return f.Src.Addr()
}

// nearest describes the entry that came nearest to letting a refused packet through,
// "" if none came near: "acl data egress 120 allows tcp/443 to 0.0.0.0/0".
func (a *NetworkACL) nearest(dir netfake.Direction, f netfake.Flow, icmpType, icmpCode uint8) string {
	peer := peerOf(dir, f)
	nearest, least := "", 0
	for _, e := range *a.side(dir) {
		if !e.Allow {
			continue
		}
		text := fmt.Sprintf("%v %v %d allows %v %s %v", a, dir, e.Number, e.Permission, preposition(dir), e.CIDR)
		samePeer := e.CIDR.Contains(peer)
		if samePeer && e.Permission.matches(f.Proto, f.Dst.Port(), icmpType, icmpCode) {
			return text + ", but comes too late"
		}
		miss := e.Permission.miss(samePeer, f.Proto, f.Dst.Port(), icmpType, icmpCode)
		if miss > 0 && (least == 0 || miss < least) {
			nearest, least = text, miss
		}
	}
	return nearest
}
