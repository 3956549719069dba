package dnsfake

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// port is where name servers listen.
const port = 53

// idleTimeout is how long a server keeps a TCP connection on which nobody asks: the
// time that BIND 9 takes for tcp-idle-timeout.
const idleTimeout = 30 * time.Second

// handler answers a message; nil is no answer. ctx ends with the world.
type handler func(ctx context.Context, query []byte, via transport) []byte

// serve answers DNS on port 53 of a host, UDP and TCP, until the world ends: at the
// addresses named, from which its answers then come, or at all that it has. If inTurn,
// the handler never blocks and datagrams are answered in the order in which they came.
func serve(h *netfake.Host, mode serveMode, handle handler, at ...netip.Addr) error {
	if len(at) == 0 {
		return serveAt(h, mode, handle, fmt.Sprintf(":%d", port))
	}
	for _, addr := range at {
		if err := serveAt(h, mode, handle, netip.AddrPortFrom(addr, port).String()); err != nil {
			return err
		}
	}
	return nil
}

func serveAt(h *netfake.Host, mode serveMode, handle handler, addr string) error {
	pc, err := h.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	ln, err := h.Listen("tcp", addr)
	if err != nil {
		pc.Close()
		return err
	}
	w := h.World()
	w.OnClose(func() { pc.Close(); ln.Close() })
	w.Go(func(ctx context.Context) { serveUDP(ctx, pc, mode, handle) })
	w.Go(func(ctx context.Context) { serveTCP(ctx, ln, handle) })
	return nil
}

// serveMode says how a server works through its datagrams.
type serveMode uint8

const (
	inTurn   serveMode = iota // one after the other: the handler never blocks
	together                  // each in a goroutine of its own: the handler asks others
)

func serveUDP(ctx context.Context, pc net.PacketConn, mode serveMode, handle handler) {
	var running sync.WaitGroup
	defer running.Wait()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		query := append([]byte(nil), buf[:n]...)
		answer := func() {
			if out := handle(ctx, query, datagram); out != nil {
				pc.WriteTo(out, from)
			}
		}
		if mode == inTurn {
			answer()
			continue
		}
		running.Go(answer)
	}
}

func serveTCP(ctx context.Context, ln net.Listener, handle handler) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		running.Go(func() { serveConn(ctx, conn, handle) })
	}
}

// serveConn answers the messages of one connection one after the other.
func serveConn(ctx context.Context, conn net.Conn, handle handler) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for {
		conn.SetDeadline(time.Now().Add(idleTimeout))
		query, err := readFrame(conn)
		if err != nil {
			return
		}
		out := handle(ctx, query, stream)
		if out == nil || writeFrame(conn, out) != nil {
			return
		}
	}
}

// readFrame reads a message with its length in front (RFC 1035 section 4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeFrame(w io.Writer, b []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(b)), uint16(len(b)))
	_, err := w.Write(append(framed, b...))
	return err
}
