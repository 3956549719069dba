package wire

import "encoding/binary"

// VXLANPort is the UDP destination port of VXLAN (RFC 7348 section 5).
const VXLANPort = 4789

// Lengths in bytes.
const (
	VXLANHeaderLen    = 8
	EthernetHeaderLen = 14
)

// vxlanValid is the I bit, which says that the VNI is valid.
const vxlanValid = 0x08

// PutVXLAN writes the header (RFC 7348 section 5) to the first [VXLANHeaderLen] bytes of
// b. Of vni the low 24 bits count.
func PutVXLAN(b []byte, vni uint32) {
	binary.BigEndian.PutUint32(b, vxlanValid<<24)
	binary.BigEndian.PutUint32(b[4:], vni<<8)
}

// ParseVXLAN reads the header at the front of b and returns the frame behind it, an
// Ethernet frame without its checksum. A header without a valid VNI is an error.
func ParseVXLAN(b []byte) (vni uint32, frame []byte, err error) {
	if len(b) < VXLANHeaderLen {
		return 0, nil, ErrShort
	}
	if b[0]&vxlanValid == 0 {
		return 0, nil, ErrVersion
	}
	return binary.BigEndian.Uint32(b[4:]) >> 8, b[VXLANHeaderLen:], nil
}

// PutEthernet writes an Ethernet header to the first [EthernetHeaderLen] bytes of b.
func PutEthernet(b []byte, dst, src [6]byte, etherType uint16) {
	copy(b, dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], etherType)
}
