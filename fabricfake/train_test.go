package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// upload sends 200,000 bytes through a group without tracking and two ACLs. It returns how
// often the rule and the entries on the way there were hit, and a capture of the wires.
// Where packets are recorded there are no trains.
func upload(t *testing.T, recorded bool) (hits string, capture []byte) {
	var out bytes.Buffer
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		p.webGroup.AllowIngress("tcp/all", fabricfake.Anywhere) // as open as egress: not tracked
		front := p.vpc.NetworkACL("front").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0")
		back := p.vpc.NetworkACL("back").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0")
		p.front.UseACL(front)
		p.back.UseACL(back)
		if recorded {
			w.Record(func(netfake.Flow) bool { return false })
		}
		file := w.Capture(&out, nil)
		l, err := p.web.Listen("tcp", ":81")
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.app.Dial("tcp", p.web.Addr().String()+":81")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := l.Accept()
		c.Write(make([]byte, 200_000))
		if n, err := io.ReadFull(s, make([]byte, 200_000)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
		hits = fmt.Sprintf("group %d, front %d, back %d",
			p.webGroup.IngressRules()[0].Hits, front.EgressEntries()[0].Hits, back.IngressEntries()[0].Hits)
	})
	return hits, out.Bytes()
}

// Rules and entries count packets and not trains.
func TestHitsCountPackets(t *testing.T) {
	hits, _ := upload(t, false)
	if want, _ := upload(t, true); hits != want {
		t.Errorf("hits: %s; without trains: %s", hits, want)
	}
	if want := "group 25, front 25, back 25"; hits != want { // SYN, ACK, 23 with data
		t.Errorf("hits: %s, want %s", hits, want)
	}
}

// On the wire there are frames of packets that the MTU allows, and no trains.
// fact: mtu.vpc
func TestFramesOnTheWire(t *testing.T) {
	_, capture := upload(t, false)
	const enhancedPacket = 6
	full := 0
	for b := capture; len(b) > 0; {
		length := binary.LittleEndian.Uint32(b[4:])
		if binary.LittleEndian.Uint32(b) == enhancedPacket {
			n := binary.LittleEndian.Uint32(b[20:])
			frame, err := fabricfake.ParseFrame(b[28 : 28+n])
			if err != nil || len(frame.Inner) > fabricfake.MTU {
				t.Errorf("a frame around %d bytes: %v", len(frame.Inner), err)
			}
			if len(frame.Inner) == fabricfake.MTU {
				full++
			}
		}
		b = b[length:]
	}
	if full != 2*22 { // at the sender's wire and at the receiver's
		t.Errorf("%d frames of full size", full)
	}
}
