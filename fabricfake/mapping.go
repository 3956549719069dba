package fabricfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// MappingService knows where everything is: for an address of a VPC, the interface
// that has it and the physical host where that is. Nothing outside a VPC can be named
// by it, which is what keeps VPCs apart.
type MappingService struct {
	region  *Region
	entries map[mappingKey]*Interface
}

type mappingKey struct {
	vni  uint32
	addr netip.Addr
}

func newMappingService(r *Region) *MappingService {
	return &MappingService{region: r, entries: map[mappingKey]*Interface{}}
}

// String returns "mapping".
func (m *MappingService) String() string { return "mapping" }

// find returns the interface that has an address in a VPC, nil if there is none.
func (m *MappingService) find(vni uint32, addr netip.Addr) *Interface {
	return m.entries[mappingKey{vni, addr}]
}

func (m *MappingService) add(vni uint32, addr netip.Addr, f *Interface) {
	m.entries[mappingKey{vni, addr}] = f
}

func (m *MappingService) remove(vni uint32, addr netip.Addr) {
	delete(m.entries, mappingKey{vni, addr})
}

// describe returns an entry as traces print it.
func (m *MappingService) describe(f *Interface, addr netip.Addr) string {
	return fmt.Sprintf("%v is %s on %s (%v), vni %d", addr, f.name, f.device.name, f.device.addr, f.vpc.vni)
}

// groups makes a VPC's mappings the identities that its security groups refer to.
type groups struct {
	mapping *MappingService
	vni     uint32
}

func (g *groups) groupsAt(addr netip.Addr) []*SecurityGroup {
	if f := g.mapping.find(g.vni, addr); f != nil {
		return f.groups
	}
	return nil
}

// The codes of what the fabric itself refuses. There is none of AWS for it.
const (
	codeMappingInvalid netfake.Code = "MAPPING_INVALID"
	codeUnknownAddress netfake.Code = "NO_POSSIBLE_DESTINATION"
	codeSourceCheck    netfake.Code = "ENI_SOURCE_DEST_CHECK_RESTRICTION"
	codeBadState       netfake.Code = "BAD_STATE"
)
