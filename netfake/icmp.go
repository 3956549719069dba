package netfake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// receiveICMP answers echoes, and tells sockets and those who ping what has come
// about them.
func (h *Host) receiveICMP(p *Packet, hop Hop) Next {
	head, body, err := wire.ParseICMP(p.Payload())
	if err != nil {
		hop.Rule = err.Error()
		return p.Drop(hop)
	}
	hop.Rule = fmt.Sprintf("icmp type %d code %d", head.Type, head.Code)
	switch head.Type {
	case wire.ICMPEchoRequest:
		reply := wire.ICMP{Type: wire.ICMPEchoReply, ID: head.ID, Seq: head.Seq}
		h.send(h.echoPacket(p.Flow.Dst.Addr(), p.Flow.Src.Addr(), reply, body, h.number()))
	case wire.ICMPEchoReply:
		if e := h.echoes[head.ID]; e != nil {
			e.answered = true
			h.world.wake(&h.changed)
		}
	case wire.ICMPUnreachable:
		h.unreachable(&head, body)
	}
	return p.Delivered(hop)
}

// echoPacket builds an ICMP message.
func (h *Host) echoPacket(src, dst netip.Addr, head wire.ICMP, body []byte, seq uint64) *Packet {
	f := Flow{ICMP, netip.AddrPortFrom(src, head.ID), netip.AddrPortFrom(dst, head.ID)}
	p := h.world.ipPacket(f, wire.ICMPHeaderLen+len(body), seq)
	l4 := p.Payload()
	head.Put(l4)
	copy(l4[wire.ICMPHeaderLen:], body)
	putChecksum(l4[2:], p)
	return p
}

// quoted is how much of a packet an ICMP error carries back: its IP header and eight
// bytes, RFC 792.
const quoted = wire.IPv4HeaderLen + 8

// sendUnreachable tells a packet's sender that it was of no use.
func (h *Host) sendUnreachable(p *Packet, code uint8) {
	h.send(h.unreachablePacket(p, code, h.number()))
}

func (h *Host) unreachablePacket(p *Packet, code uint8, seq uint64) *Packet {
	body := p.Bytes()
	body = body[:min(len(body), quoted)]
	return h.echoPacket(p.Flow.Dst.Addr(), p.Flow.Src.Addr(), wire.ICMP{Type: wire.ICMPUnreachable, Code: code}, body, seq)
}

// unreachable takes an ICMP error to the socket whose packet it quotes.
func (h *Host) unreachable(head *wire.ICMP, quote []byte) {
	flow, ok := quotedFlow(quote)
	if !ok {
		return
	}
	switch flow.Proto {
	case UDP:
		if u := h.udpFor(flow.Reverse()); u != nil && head.Code == wire.ICMPPortUnreachable {
			u.refused(flow.Dst)
		}
	case TCP:
		c := h.connFor(flow.Reverse())
		if c == nil {
			return
		}
		if head.Code == wire.ICMPFragNeeded {
			c.machine.SetMTU(int(head.MTU), h.world.now)
		} else {
			c.machine.Unreachable(sysError("connect", unreachableErrno(head.Code)), h.world.now)
		}
		c.sync()
	}
}

// quotedFlow reads the flow of the packet that an ICMP error quotes. There is less of
// it than its length says, so it cannot be parsed as a whole packet.
func quotedFlow(b []byte) (Flow, bool) {
	if len(b) < quoted || b[0] != 0x45 {
		return Flow{}, false
	}
	src, _ := netip.AddrFromSlice(b[12:16])
	dst, _ := netip.AddrFromSlice(b[16:20])
	return Flow{
		Proto: Protocol(b[9]),
		Src:   netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[20:])),
		Dst:   netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[22:])),
	}, true
}

func unreachableErrno(code uint8) syscall.Errno {
	switch code {
	case wire.ICMPNetUnreachable:
		return syscall.ENETUNREACH
	case wire.ICMPPortUnreachable:
		return syscall.ECONNREFUSED
	}
	return syscall.EHOSTUNREACH
}

// echoWait is somebody who waits for the reply to a ping.
type echoWait struct{ answered, failed, gaveUp bool }

// Ping sends an ICMP echo request to addr and returns how long the reply took. It
// waits until ctx is done; a ctx without a deadline waits a second at most.
func (h *Host) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	ctx, cancel := boundPing(ctx)
	defer cancel()
	w := h.world
	wait := &echoWait{}
	stop := context.AfterFunc(ctx, func() {
		w.lock()
		wait.gaveUp = true
		w.wake(&h.changed)
		w.unlock()
	})
	defer stop()

	w.lock()
	rtt, err := h.ping(addr, wait)
	w.unlock()
	if err != nil {
		return 0, &net.OpError{Op: "ping", Net: "ip4:icmp", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
	}
	return rtt, nil
}

func boundPing(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Second)
}

var errNoReply = errors.New("no reply")

func (h *Host) ping(addr netip.Addr, wait *echoWait) (time.Duration, error) {
	w := h.world
	src, _ := h.sourceFor(addr)
	switch {
	case h.down || w.closed:
		return 0, errHostDown
	case !src.IsValid():
		return 0, sysError("sendto", syscall.ENETUNREACH)
	}
	key := portKey{ICMP, src, netip.AddrPortFrom(addr, 0)}
	id := h.ports[key] + 1
	for h.echoes[id] != nil {
		id++
	}
	h.ports[key] = id
	h.echoes[id] = wait
	defer delete(h.echoes, id)
	began := w.now
	h.send(h.echoPacket(src, addr, wire.ICMP{Type: wire.ICMPEchoRequest, ID: id, Seq: 1}, nil, h.number()))
	for {
		switch {
		case wait.answered:
			return w.now - began, nil
		case wait.failed:
			return 0, errHostDown
		case wait.gaveUp:
			return 0, errNoReply
		}
		w.wait(&h.changed)
	}
}
