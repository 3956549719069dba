package netfake

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// onlyIPv6 are twoHosts with IPv6 addresses alone.
func onlyIPv6(w *World) (server, client *Host) {
	return w.Internet().HostAt(Sydney, "server", "2001:db8::10"),
		w.Internet().HostAt(Melbourne, "client", "2001:db8::20")
}

// A traceroute over IPv6 finds what one over IPv4 does.
func TestTracerouteTimes6(t *testing.T) { Run(t, testTracerouteTimes6) }

func testTracerouteTimes6(t *testing.T, w *World) {
	server, client := onlyIPv6(w)
	near, far := client.Uplink().RouterAddr6(), server.Uplink().RouterAddr6()
	hops, err := client.Traceroute(t.Context(), server.Addr())
	wanted := []TraceHop{
		{1, near, 2 * LastMile, TimeExceeded},
		{2, far, 2 * (LastMile + Sydney.Delay(Melbourne)), TimeExceeded},
		{3, server.Addr(), 2 * oneWay, PortUnreachable},
	}
	if err != nil || !slices.Equal(hops, wanted) {
		t.Errorf("got  %v, %v\nwant %v", hops, err, wanted)
	}
}

// Packet too big, RFC 8201: TCP sends again in smaller segments after one round trip to
// the router, a datagram leaves in fragments, and no path is narrower than 1,280 bytes.
func TestPathMTUDiscovery6(t *testing.T) { Run(t, testPathMTUDiscovery6) }

func testPathMTUDiscovery6(t *testing.T, w *World) {
	server, client := onlyIPv6(w)
	read := sink(t, server, ":80")
	mile := server.Uplink().Link()
	mile.SetMTU(1300)
	c := dialTCPFrom(t, client, "[2001:db8::10]:80")
	began := w.Now()
	c.Write(make([]byte, 10000))
	c.CloseWrite()
	toRouter := LastMile + Sydney.Delay(Melbourne)
	if at := read(10000) - began; at != 2*toRouter+oneWay {
		t.Errorf("arrived after %v, want %v", at, 2*toRouter+oneWay)
	}
	if got := client.PathMTU(server.Addr()); got != 1300 {
		t.Errorf("the path's MTU is %d", got)
	}
	u, err := client.Dial("udp", "[2001:db8::10]:9")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Write(make([]byte, 1300-48))
	want(t, "a datagram that fits", err, nil)
	_, err = u.Write(make([]byte, 1300-47))
	want(t, "one that does not", err, nil)
	if got := client.FragmentStats(); got.Cut != 1 || got.Sent != 2 {
		t.Errorf("%+v, want one datagram in two fragments", got)
	}

	mile.SetMTU(1000)
	time.Sleep(time.Minute)
	c = dialTCPFrom(t, client, "[2001:db8::10]:80")
	c.Write(make([]byte, 5000))
	time.Sleep(time.Minute)
	if got := client.PathMTU(server.Addr()); got != 1280 {
		t.Errorf("the path's MTU is %d behind a router that says 1000", got)
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
