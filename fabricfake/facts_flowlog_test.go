package fabricfake_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// segment returns an IP packet with a TCP segment of the flags.
func segment(src, dst string, flags uint8) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: from.Addr(), Dst: to.Addr()}
	ip.Put(b, wire.TCPHeaderLen)
	tcp := wire.TCP{SrcPort: from.Port(), DstPort: to.Port(), Flags: flags, Window: 1000}
	tcp.Put(b[wire.IPv4HeaderLen:])
	sum := wire.TransportChecksum(ip.Proto, ip.Src, ip.Dst, b[wire.IPv4HeaderLen:])
	binary.BigEndian.PutUint16(b[wire.IPv4HeaderLen+16:], sum)
	return b
}

// What tcp-flags shows of the segments that one end sends in a window.
func TestFlowLogFlags(t *testing.T) {
	const syn, synAck, ack, push, fin, rst = wire.SYN, wire.SYN | wire.ACK, wire.ACK, wire.PSH | wire.ACK, wire.FIN | wire.ACK, wire.RST
	for _, row := range []struct {
		name  string
		flags []uint8
		want  string
	}{
		// fact: log.flags
		{"SYN", []uint8{syn}, "2"},
		// fact: log.flags
		{"SYN-ACK", []uint8{synAck}, "18"},
		// fact: log.flags
		{"ACK alone", []uint8{ack, ack}, "0"},
		// fact: log.flags
		{"PSH does not count", []uint8{push}, "0"},
		// fact: log.flags
		{"FIN", []uint8{ack, fin}, "1"},
		// fact: log.flags
		{"RST", []uint8{rst}, "4"},
		// fact: log.flags
		{"all of a short connection", []uint8{syn, ack, push, fin}, "3"},
		// fact: log.flags
		{"or-ed, with a reset", []uint8{syn, fin, rst}, "7"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			// One tracks nothing, and two lets nothing in, which its log tells all the same.
			p.one.Interface().SetGroups(fabricfake.Groups{p.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)})
			log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${tcp-flags} ${packets} ${flow-direction}"})
			for _, flags := range row.flags {
				p.one.Interface().Inject(segment("172.31.16.139:1000", "172.31.32.21:99", flags))
			}
			w.Sleep(time.Minute)
			want := row.want + " " + string(rune('0'+len(row.flags))) + " ingress"
			if got := log.Lines(); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: records %q, want %q", row.name, got, want)
			}
		})
	}
}

// On the interface's own side a record has its primary address, whatever the packets carry;
// those have fields of their own.
func TestFlowLogOwnAddress(t *testing.T) {
	for _, row := range []struct{ name, to, want string }{
		{"to the primary address", "172.31.32.21", "172.31.16.139 172.31.32.21 172.31.16.139 172.31.32.21"},
		// fact: log.local
		{"to a secondary one", "172.31.32.100", "172.31.16.139 172.31.32.21 172.31.16.139 172.31.32.100"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			p.two.Interface().AssignPrivateIP("172.31.32.100")
			log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}"})
			if _, err := p.one.Ping(t.Context(), netip.MustParseAddr(row.to)); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Minute)
			if got := log.Lines(); len(got) != 2 || !slices.Contains(got, row.want) {
				t.Errorf("%s: records %q, want %q", row.name, got, row.want)
			}
		})
	}
}

// A segment that comes when its connection has been closed and forgotten is rejected,
// though no rule was changed; one that comes before is accepted.
func TestFlowLogAfterTheEnd(t *testing.T) {
	for _, row := range []struct {
		name   string
		after  time.Duration
		action string
	}{
		{"while it lingers", 100 * time.Second, "ACCEPT"},
		// fact: log.reject.closed, log.reject
		{"when it is forgotten", 140 * time.Second, "REJECT"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			c, err := p.one.Dial("tcp", "172.31.32.21:22")
			if err != nil {
				t.Fatal(err)
			}
			own := c.LocalAddr().String()
			c.Close()
			w.Sleep(row.after)
			log := p.one.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${flow-direction} ${packets} ${action}"})
			p.two.Interface().Inject(segment("172.31.32.21:22", own, wire.ACK))
			w.Sleep(time.Minute)
			got := strings.Join(log.Lines(), ", ")
			if want := "ingress 1 " + row.action; !strings.Contains(got, want) {
				t.Errorf("%s: records %s, want %s", row.name, got, want)
			}
		})
	}
}
