package netfake

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// What each ICMP error does to a dial, an open connection, a connected UDP socket and a
// ping: Linux's icmp_err_convert, tcp_v4_err and udp_err.
func TestICMPErrors(t *testing.T) {
	for _, row := range []struct {
		kind ICMPKind
		dial error // of a TCP dial, at once; and of an open connection, when it gives up
		udp  error // nil: a soft error, of which the socket does not hear
	}{
		{NetUnreachable, syscall.ENETUNREACH, nil},
		{HostUnreachable, syscall.EHOSTUNREACH, nil},
		{ProtocolUnreachable, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT},
		{PortUnreachable, syscall.ECONNREFUSED, syscall.ECONNREFUSED},
		{AdminProhibited, syscall.EHOSTUNREACH, syscall.EHOSTUNREACH},
	} {
		t.Run(row.kind.String(), func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				echoServer(t, server, ":7")
				open := dialTCPFrom(t, client, "203.0.113.10:7")
				u := dialUDPFrom(t, client, 1000, openUDP(t, server, 9))
				time.Sleep(time.Second) // until the handshake is done at the server, too
				mile := server.Uplink().Link()
				undo := mile.Refuse(row.kind)
				toRouter := 2 * (LastMile + Sydney.Delay(Melbourne))

				began := w.Now()
				_, err := client.Dial("tcp", "203.0.113.10:7")
				want(t, "a dial", err, row.dial)
				if took := w.Now() - began; took != toRouter {
					t.Errorf("the dial failed after %v, want %v", took, toRouter)
				}
				_, err = client.Ping(t.Context(), server.Addr())
				want(t, "a ping", err, row.dial)

				u.Write([]byte("x"))
				u.SetReadDeadline(time.Now().Add(time.Second))
				_, err = u.Read(make([]byte, 1))
				if row.udp == nil {
					want(t, "a read", err, os.ErrDeadlineExceeded)
				} else {
					want(t, "a read", err, row.udp)
				}

				// An open connection goes on when the obstacle is gone.
				open.Write([]byte("x"))
				time.Sleep(time.Second)
				undo.Undo()
				if _, err := io.ReadFull(open, make([]byte, 1)); err != nil {
					t.Errorf("an open connection: %v", err)
				}
				// If it stays, the error is why the connection ends, after all its tries.
				mile.Refuse(row.kind)
				open.Write([]byte("x"))
				began = w.Now()
				_, err = open.Read(make([]byte, 1))
				want(t, "an open connection", err, row.dial)
				if took := w.Now() - began; took < 15*time.Minute {
					t.Errorf("it ended after %v", took)
				}
			})
		})
	}
}

// What Linux makes of the errors of ICMPv6: icmpv6_err_convert.
func TestICMPErrors6(t *testing.T) {
	for _, row := range []struct {
		kind ICMPKind
		dial error
	}{
		{NetUnreachable, syscall.ENETUNREACH},
		{HostUnreachable, syscall.EHOSTUNREACH},
		{ProtocolUnreachable, syscall.EPROTO},
		{PortUnreachable, syscall.ECONNREFUSED},
		{AdminProhibited, syscall.EACCES},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := onlyIPv6(w)
			server.Uplink().Link().Refuse(row.kind)
			_, err := client.Dial("tcp", "[2001:db8::10]:7")
			want(t, "a dial after "+row.kind.String(), err, row.dial)
			_, err = client.Ping(t.Context(), server.Addr())
			want(t, "a ping after "+row.kind.String(), err, row.dial)
		})
	}
}

// A half-open connection that came in ends at an unreachable network or host and at
// nothing else.
func TestICMPErrorAboutSYNACK(t *testing.T) { Run(t, testICMPErrorAboutSYNACK) }

func testICMPErrorAboutSYNACK(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	half := func() (n int) {
		w.Do(func(time.Duration) { n = len(server.conns) })
		return n
	}
	mile := client.Uplink().Link()
	for _, row := range []struct {
		kind ICMPKind
		left int
	}{{PortUnreachable, 1}, {HostUnreachable, 0}} {
		w.Do(func(time.Duration) {
			syn := wire.TCP{Flags: wire.SYN, Seq: 1, Window: 65535}
			f := Flow{TCP, netip.AddrPortFrom(client.Addr(), 1000+uint16(row.kind)), netip.MustParseAddrPort("203.0.113.10:7")}
			w.Send(w.tcpPacket(f, &syn, nil, 1), server)
		})
		undo := mile.Refuse(row.kind)
		time.Sleep(100 * time.Millisecond)
		if half() != row.left {
			t.Errorf("%v: %d connections are left, want %d", row.kind, half(), row.left)
		}
		undo.Undo()
		time.Sleep(10 * time.Second) // the host resets what it does not know
	}
}

// A host says port unreachable six times at once and then once in a second, to each peer
// (net.ipv4.icmp_ratelimit).
func TestICMPRateLimit(t *testing.T) { Run(t, testICMPRateLimit) }

func testICMPRateLimit(t *testing.T, w *World) {
	server, client := twoHosts(w)
	other := w.Internet().HostAt(Melbourne, "other", "198.51.100.21")
	rec := w.Record(func(f Flow) bool { return f.Proto == ICMP })
	shout := func(h *Host, n int) {
		for range n {
			dial, err := h.Dial("udp", "203.0.113.10:9")
			if err != nil {
				t.Fatal(err)
			}
			dial.Write([]byte("x"))
		}
		time.Sleep(time.Second)
	}
	answers := func() int {
		n := len(rec.Traces())
		return n
	}
	shout(client, 10)
	if answers() != 6 {
		t.Errorf("%d answers to ten datagrams, want 6", answers())
	}
	shout(client, 10)
	if answers() != 7 {
		t.Errorf("%d answers a second later, want 7", answers())
	}
	shout(other, 10)
	if answers() != 13 {
		t.Errorf("%d answers when another asks, want 13", answers())
	}
	time.Sleep(time.Minute)
	shout(client, 10)
	if answers() != 19 {
		t.Errorf("%d answers after a minute, want 19", answers())
	}
	_ = server
}

// The kinds say what they are, and every one is found by its numbers in both families.
func TestICMPKinds(t *testing.T) {
	for k := NetUnreachable; k <= ParameterProblem; k++ {
		m := icmpMessages[k]
		if got := icmpKind(ICMP, m.type4, m.code4); got != k {
			t.Errorf("%v is read as %v", k, got)
		}
		if got := icmpKind(ICMPv6, m.type6, m.code6); got != k {
			t.Errorf("%v of IPv6 is read as %v", k, got)
		}
	}
	for _, row := range []struct {
		proto     Protocol
		typ, code uint8
		want      ICMPKind
	}{
		{ICMP, 8, 0, NoICMP}, {ICMP, 0, 0, NoICMP}, {ICMPv6, 128, 0, NoICMP}, {ICMP, 3, 15, NetUnreachable},
	} {
		if got := icmpKind(row.proto, row.typ, row.code); got != row.want {
			t.Errorf("%v type %d code %d: %v, want %v", row.proto, row.typ, row.code, got, row.want)
		}
	}
	if NoICMP.String() != "silence" || ICMPKind(99).String() != "silence" {
		t.Error("what is none has a name")
	}
}

// Links refuse what a link cannot be.
func TestLinkGuardRefusals(t *testing.T) {
	for _, row := range []struct {
		do   func(l *Link)
		want string
	}{
		{func(l *Link) { l.SetMTU(575) }, "netfake: link l: an MTU of 575 bytes, and 576 is the least"},
		{func(l *Link) { l.SetMTU(-1) }, "netfake: link l: an MTU of -1 bytes, and 576 is the least"},
		{func(l *Link) { l.SetMTU(576) }, ""},
		{func(l *Link) { l.Refuse(NoICMP) }, "netfake: link l: a router does not refuse with silence"},
		{func(l *Link) { l.Refuse(TimeExceeded) }, "netfake: link l: a router does not refuse with time exceeded"},
		{func(l *Link) { l.Refuse(HostUnreachable).Undo() }, ""},
	} {
		got := fatal(t, func(tb TB) { row.do(New(tb, Config{}).NewLink("l", 0)) })
		if got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

// A traceroute and a path MTU discovery, as Wireshark sees them: every checksum is right
// and nothing is malformed. Of a TCP segment that is quoted in part it cannot tell.
func TestICMPErrorsDissect(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not on the PATH: the capture is not dissected here")
	}
	var out bytes.Buffer
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		read := sink(t, server, ":80")
		file := w.Capture(&out, func(tap string) bool { return strings.HasPrefix(tap, "client") })
		client.Traceroute(t.Context(), server.Addr())
		server.Uplink().Link().SetMTU(1400)
		c := dialTCPFrom(t, client, "203.0.113.10:80")
		c.Write(make([]byte, 3000))
		c.CloseWrite()
		read(3000)
		server6, client6 := w.Internet().HostAt(Sydney, "server6", "2001:db8::10"), w.Internet().HostAt(Melbourne, "client6", "2001:db8::20")
		server6.Uplink().Link().SetMTU(1400)
		read6 := sink(t, server6, ":80")
		client6.Traceroute(t.Context(), server6.Addr())
		c = dialTCPFrom(t, client6, "[2001:db8::10]:80")
		c.Write(make([]byte, 3000))
		c.CloseWrite()
		read6(3000)
		if err := file.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		filter string
		want   int
	}{
		{`_ws.malformed || ip.checksum.status == "Bad" || udp.checksum.status == "Bad" || (tcp.checksum.status == "Bad" && !icmp && !icmpv6) || icmp.checksum.status == "Bad"`, 0},
		{"icmp.type == 11 && icmp.code == 0", 2},
		{"icmp.type == 3 && icmp.code == 3 && udp.dstport == 33436", 1},
		{"icmp.type == 3 && icmp.code == 4 && icmp.mtu == 1400", 2},
		{"udp && !icmp && !icmpv6 && ip.ttl < 4", 3},
		{`icmpv6.checksum.status == "Bad" || (tcp.checksum.status == "Bad" && !icmpv6 && !icmp)`, 0},
		{"icmpv6.type == 3 && icmpv6.code == 0", 2},
		{"icmpv6.type == 1 && icmpv6.code == 4 && udp.dstport == 33436", 1},
		{"icmpv6.type == 2 && icmpv6.mtu == 1400", 2},
	} {
		b, err := exec.Command(path, "-n", "-2", "-r", file, "-Y", row.filter, "-o", "ip.check_checksum:TRUE",
			"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE").Output()
		if n := bytes.Count(b, []byte("\n")); err != nil || n != row.want {
			t.Errorf("%d packets of %q, want %d (%v)\n%s", n, row.filter, row.want, err, b)
		}
	}
}

// A parameter problem points to where the packet names the protocol that is not known:
// in the last header before it (RFC 4443, section 3.4).
func TestParameterProblemPointer(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		h := w.Internet().Host("host", "2001:db8::1")
		for _, row := range []struct {
			first   uint8
			payload []byte
			want    uint32
		}{
			{99, make([]byte, 8), 6},
			{wire.ProtoHopByHop, append([]byte{99, 0, 1, 4, 0, 0, 0, 0}, make([]byte, 8)...), 40},
			{wire.ProtoHopByHop, append([]byte{60, 0, 1, 4, 0, 0, 0, 0, 99, 0, 1, 4, 0, 0, 0, 0}, make([]byte, 8)...), 48},
		} {
			p := w.NewPacket(wire.IPv6HeaderLen+len(row.payload), 1, 1)
			head := wire.IPv6{NextHeader: row.first, HopLimit: 64, Src: netip.MustParseAddr("2001:db8::2"), Dst: h.Addr()}
			head.Put(p.Bytes(), len(row.payload))
			copy(p.Bytes()[wire.IPv6HeaderLen:], row.payload)
			out := p.icmpError(ICMPError{Kind: ProtocolUnreachable}, h.Addr())
			if got := binary.BigEndian.Uint32(out.Payload()[4:]); got != row.want {
				t.Errorf("points to %d, want %d", got, row.want)
			}
		}
	})
}
