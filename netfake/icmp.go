package netfake

import (
	"context"
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
func (h *Host) receiveICMP(p *Packet) Next {
	head, body, err := wire.ParseICMP(p.Payload())
	if err != nil {
		return h.drop(p, err.Error(), "")
	}
	family := icmpFor(p.Flow.Dst.Addr())
	rule := ""
	if p.Traced() {
		rule = fmt.Sprintf("%v type %d code %d", p.Flow.Proto, head.Type, head.Code)
	}
	switch head.Type {
	case family.echoRequest:
		reply := wire.ICMP{Type: family.echoReply, ID: head.ID, Seq: head.Seq}
		peer := p.Flow.Src.Addr()
		_, mtu := h.sourceFor(peer)
		h.sendCut(h.echoPacket(p.Flow.Dst.Addr(), peer, reply, body, h.number()), h.limitMTU(peer, mtu))
	case family.echoReply:
		if e := h.echoes[head.ID]; e != nil {
			e.answered = true
			e.by.stop() // at once, lest the world's timer is set to it
			h.world.wake(&h.changed)
		}
	default:
		h.receiveError(p, &head, body)
	}
	return h.deliver(p, rule)
}

// echoPacket builds an ICMP message of the addresses' family.
func (h *Host) echoPacket(src, dst netip.Addr, head wire.ICMP, body []byte, seq uint64) *Packet {
	f := Flow{icmpFor(dst).proto, netip.AddrPortFrom(src, head.ID), netip.AddrPortFrom(dst, head.ID)}
	p := h.world.ipPacket(f, wire.ICMPHeaderLen+len(body), seq)
	l4 := p.Payload()
	head.Put(l4)
	copy(l4[wire.ICMPHeaderLen:], body)
	putChecksum(l4[2:], p)
	return p
}

// echoWait is somebody who waits for the reply to a ping.
type echoWait struct {
	to                       netip.Addr
	by                       deadline
	answered, failed, gaveUp bool
	err                      syscall.Errno // what a router said
}

// Ping sends an ICMP echo request to addr and returns how long the reply took. It
// waits until ctx is done; a ctx without a deadline waits a second at most. An ICMP error
// from a router ends it with that error.
func (h *Host) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	w, addr := h.world, addr.Unmap()
	wait := &echoWait{}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			w.lock()
			wait.gaveUp = true
			w.wake(&h.changed)
			w.unlock()
		})
		defer stop()
	}

	w.lock()
	wait.by.init(w, h.key, &h.changed)
	wait.by.set(w.patience(ctx))
	rtt, err := h.ping(addr, wait)
	wait.by.stop()
	w.unlock()
	if err != nil {
		return 0, &net.OpError{Op: "ping", Net: icmpFor(addr).network, Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
	}
	return rtt, nil
}

// patience is until when a ping waits. A timer of the world's queue costs less than a
// context's.
func (w *World) patience(ctx context.Context) time.Time {
	if at, ok := ctx.Deadline(); ok {
		return at
	}
	return w.Time(w.now + time.Second)
}

var errNoReply = errors.New("no reply")

func (h *Host) ping(addr netip.Addr, wait *echoWait) (time.Duration, error) {
	w, family := h.world, icmpFor(addr)
	src, _ := h.sourceFor(addr)
	switch {
	case h.closed() || w.closed:
		return 0, errHostDown
	case addr.Zone() != "":
		return 0, zoneError(addr)
	case !src.IsValid():
		return 0, sysError("sendto", syscall.ENETUNREACH)
	}
	key := portKey(family.proto, src, netip.AddrPortFrom(addr, 0))
	id := h.ports[key] + 1
	for h.echoes[id] != nil {
		id++
	}
	h.ports[key] = id
	wait.to = addr
	h.echoes[id] = wait
	defer delete(h.echoes, id)
	began := w.now
	h.send(h.echoPacket(src, addr, wire.ICMP{Type: family.echoRequest, ID: id, Seq: 1}, nil, h.number()))
	for {
		switch {
		case wait.answered:
			return w.now - began, nil
		case wait.err != 0:
			return 0, sysError("recvfrom", wait.err)
		case wait.failed:
			return 0, errHostDown
		case wait.gaveUp, wait.by.passed:
			return 0, errNoReply
		}
		w.wait(&h.changed)
	}
}
