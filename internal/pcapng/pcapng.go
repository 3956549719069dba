// Package pcapng writes packet captures in the pcapng format, for Wireshark and
// tshark to read.
//
// The same calls give the same bytes: nothing about the machine, the user or
// the hour goes into the file but the times that the caller hands in. Packets are
// raw IP (no link layer), times are in nanoseconds.
//
// Not modelled: reading, other link types, name resolution and statistics
// blocks, truncated packets, packet flags.
//
// The format is draft-ietf-opsawg-pcapng; link types are those of
// https://www.tcpdump.org/linktypes.html.
package pcapng

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Block types, option codes and values that the writer uses.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	byteOrderMagic = 0x1a2b3c4d

	linkTypeRaw = 101 // IPv4 or IPv6, told apart by the version

	optEnd      = 0
	optComment  = 1
	optUserAppl = 4
	optName     = 2
	optTSResol  = 9

	tsNano       = 9 // 10^-9 s
	maxOptionLen = 0xffff
)

// Writer writes one capture. It does not buffer, makes one Write per block, and
// is not safe for concurrent use. After the first failed Write every method
// returns that error.
type Writer struct {
	w          io.Writer
	block      []byte // reused
	interfaces int
	err        error
}

// NewWriter writes the section header to w.
func NewWriter(w io.Writer) (*Writer, error) {
	p := &Writer{w: w}
	p.begin(blockSection)
	p.put32(byteOrderMagic)
	p.put32(1)                   // version 1.0, major in the low half
	p.put64(0xffffffff_ffffffff) // section length: not stated
	p.putOption(optUserAppl, "netspec")
	p.endOptions()
	if err := p.flush(); err != nil {
		return nil, err
	}
	return p, nil
}

// AddInterface describes one more capture point and returns its number, counted
// from 0. It may be called between packets.
func (p *Writer) AddInterface(name string) (int, error) {
	p.begin(blockInterface)
	p.put32(linkTypeRaw) // and two reserved bytes
	p.put32(0)           // snapshot length: no limit
	p.putOption(optName, name)
	p.putOption(optTSResol, string([]byte{tsNano}))
	p.endOptions()
	if err := p.flush(); err != nil {
		return 0, err
	}
	p.interfaces++
	return p.interfaces - 1, nil
}

// WritePacket writes data, an IP packet, as seen on the interface with the
// number iface at the time at, which must be between 1970 and 2262. A comment
// that is not empty goes with it, cut to 65535 bytes. An interface that was not
// added is an error, but not a lasting one: the next packet may be written.
func (p *Writer) WritePacket(iface int, at time.Time, data []byte, comment string) error {
	if p.err != nil {
		return p.err
	}
	if iface < 0 || iface >= p.interfaces {
		return fmt.Errorf("pcapng: interface %d of %d", iface, p.interfaces)
	}
	ns := uint64(at.UnixNano())
	p.begin(blockPacket)
	p.put32(uint32(iface))
	p.put32(uint32(ns >> 32))
	p.put32(uint32(ns))
	p.put32(uint32(len(data))) // captured
	p.put32(uint32(len(data))) // on the wire
	p.block = append(p.block, data...)
	p.pad()
	if comment != "" {
		p.putOption(optComment, comment)
		p.endOptions()
	}
	return p.flush()
}

// begin starts a block; flush fills in its length, which is not known yet.
func (p *Writer) begin(blockType uint32) {
	p.block = p.block[:0]
	p.put32(blockType)
	p.put32(0)
}

func (p *Writer) put16(v uint16) { p.block = binary.LittleEndian.AppendUint16(p.block, v) }
func (p *Writer) put32(v uint32) { p.block = binary.LittleEndian.AppendUint32(p.block, v) }
func (p *Writer) put64(v uint64) { p.block = binary.LittleEndian.AppendUint64(p.block, v) }

func (p *Writer) putOption(code uint16, value string) {
	value = value[:min(len(value), maxOptionLen)]
	p.put16(code)
	p.put16(uint16(len(value)))
	p.block = append(p.block, value...)
	p.pad()
}

func (p *Writer) endOptions() { p.put32(optEnd) }

// pad fills up with zeros to a multiple of 4; every block starts at one.
func (p *Writer) pad() {
	for len(p.block)%4 != 0 {
		p.block = append(p.block, 0)
	}
}

// flush closes the block with its length, which also stands at its front, and
// writes it.
func (p *Writer) flush() error {
	if p.err != nil {
		return p.err
	}
	n := uint32(len(p.block) + 4)
	binary.LittleEndian.PutUint32(p.block[4:], n)
	p.put32(n)
	if _, err := p.w.Write(p.block); err != nil {
		p.err = fmt.Errorf("pcapng: %w", err)
	}
	return p.err
}
