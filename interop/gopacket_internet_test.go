// The judge of captures on the internet, where packets are bare: IPv6, and what routers and
// hosts say in ICMP of both families, with the packets that they quote.

package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// strangers are two hosts on the internet with addresses of both families.
func strangers(w *netfake.World) (client, server *netfake.Host) {
	return w.Internet().HostAt(netfake.Melbourne, "client", "2001:db8:2::20", "198.51.100.20"),
		w.Internet().HostAt(netfake.Sydney, "server", "2001:db8:1::10", "203.0.113.10")
}

func TestCaptureOfIPv6(t *testing.T) { netfake.Run(t, testCaptureOfIPv6) }

func testCaptureOfIPv6(t *testing.T, w *netfake.World) {
	client, server := strangers(w)
	server.Uplink().Link().SetLoss(0.05)
	question, answer := pattern(1<<20), bytes.ToUpper(pattern(300_001))
	all := talkBetween(t, w, client, server, question, answer)
	assert.Bit(t, server.Uplink().Link())
	judge(t, all, "IPv6/TCP")
	streams := reassemble(all)
	assert.Equal(t, len(streams), 2) // the uplinks of both hosts
	for tap, s := range streams {
		requireConversation(t, tap, s, question, answer)
	}
}

// Each error of ICMP decodes, sums up, and quotes a packet whose own headers decode.
func TestCaptureOfICMP(t *testing.T) {
	for _, row := range []struct {
		server string   // its address
		kinds  []string // how frames are layered
		errors string
	}{
		{"203.0.113.10", []string{"IPv4/ICMPv4", "IPv4/UDP", "IPv4/TCP"}, "map[DestinationUnreachable(CommAdminProhibited):1 " +
			"DestinationUnreachable(FragmentationNeeded):1 DestinationUnreachable(Port):1 TimeExceeded(TTLExceeded):2]"},
		{"2001:db8:1::10", []string{"IPv6/ICMPv6", "IPv6/ICMPv6/ICMPv6Echo", "IPv6/UDP", "IPv6/TCP"}, "map[DestinationUnreachable(AdminProhibited):1 " +
			"DestinationUnreachable(PortUnreachable):1 PacketTooBig:1 TimeExceeded(HopLimitExceeded):2]"},
	} {
		t.Run(row.server, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				client, server := strangers(w)
				to := netip.MustParseAddr(row.server)
				all := provoke(t, w, client, server, to)
				judge(t, all, row.kinds...)
				assert.Equal(t, fmt.Sprint(countErrors(t, all, "client internet", to)), row.errors)
			})
		})
	}
}

// provoke pings, traces the route, sends what is too big, and runs into a router that
// refuses, and returns the capture of it.
func provoke(t *testing.T, w *netfake.World, client, server *netfake.Host, to netip.Addr) []frame {
	t.Helper()
	var file bytes.Buffer
	capture := w.Capture(&file, func(tap string) bool { return tap != netfake.DroppedTap })
	_, err := client.Ping(t.Context(), to)
	must(t, err)
	_, err = client.Traceroute(t.Context(), to)
	must(t, err)
	mile := server.Uplink().Link()
	mile.SetMTU(1300)
	u, err := client.DialContext(t.Context(), "udp", netip.AddrPortFrom(to, 9).String())
	must(t, err)
	_, err = u.Write(pattern(1400))
	must(t, err)
	w.Sleep(time.Second)
	if client.PathMTU(to) != 1300 {
		t.Errorf("the path's MTU is %d", client.PathMTU(to))
	}
	undo := mile.Refuse(netfake.AdminProhibited)
	_, err = client.DialContext(t.Context(), "tcp", netip.AddrPortFrom(to, 7).String())
	if !errors.Is(err, syscall.EHOSTUNREACH) && !errors.Is(err, syscall.EACCES) {
		t.Errorf("a dial that is refused: %v", err)
	}
	undo.Undo()
	must(t, capture.Stop())
	return frames(t, &file)
}

// countErrors counts the ICMP errors that were seen at a tap, and judges the packets that
// they quote.
func countErrors(t *testing.T, all []frame, tap string, to netip.Addr) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, f := range all {
		if f.tap != tap {
			continue
		}
		switch l := f.Layers()[1].(type) {
		case *layers.ICMPv4:
			if l.TypeCode.Type() != layers.ICMPv4TypeEchoRequest && l.TypeCode.Type() != layers.ICMPv4TypeEchoReply {
				count[l.TypeCode.String()]++
				judgeQuote(t, l.LayerPayload(), layers.LayerTypeIPv4, to)
			}
		case *layers.ICMPv6:
			if l.TypeCode.Type() < layers.ICMPv6TypeEchoRequest {
				count[l.TypeCode.String()]++
				judgeQuote(t, l.LayerPayload()[4:], layers.LayerTypeIPv6, to)
			}
		}
	}
	return count
}

// judgeQuote fails the test unless a quote begins with the headers of a packet that was
// sent to an address.
func judgeQuote(t *testing.T, quote []byte, first gopacket.Decoder, to netip.Addr) {
	t.Helper()
	p := gopacket.NewPacket(quote, first, gopacket.DecodeOptions{DecodeStreamsAsDatagrams: true})
	network, transport := p.NetworkLayer(), p.TransportLayer()
	if network == nil || transport == nil {
		t.Fatalf("a quote without headers: %v", p)
	}
	if dst, _ := netip.AddrFromSlice(network.NetworkFlow().Dst().Raw()); dst != to {
		t.Errorf("the quote is of a packet to %v, want %v", dst, to)
	}
	if ip, ok := network.(*layers.IPv4); ok {
		if err, sum := ip.VerifyChecksum(); err != nil || !sum.Valid {
			t.Errorf("the sum of the quoted header: %+v, %v", sum, err)
		}
	}
}
