package fabricfake

import (
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// forger stands on a link. It answers who begins a connection a second time, at a port beside
// the one that asked, and repeats frames in the name of somebody else. It does so while packets
// are under way, when nobody changes anything.
type forger struct {
	w          *netfake.World
	devices    map[netip.Addr]*device
	seen, sent uint64
}

func (f *forger) String() string { return "forger" }

func (f *forger) Step(p *netfake.Packet) netfake.Next {
	var frame Frame
	if frame.parse(p.Bytes()) != nil {
		return p.Onward()
	}
	head := wire.IPv4HeaderLen
	if frame.Inner[0]>>4 == 6 {
		head = wire.IPv6HeaderLen
	}
	if b := frame.Inner; len(b) >= head+wire.TCPHeaderLen && b[head+13] == flagSYN|flagACK {
		forged := frame
		forged.Inner = append([]byte(nil), b...)
		forged.Inner[head+3] ^= 1
		f.send(forged)
	}
	if f.seen++; f.seen%3 == 0 {
		forged := frame
		switch f.seen / 3 % 4 {
		case 0:
			forged.From = frame.From.Next()
		case 1:
			forged.Source ^= 3
		case 2:
			forged.Receiver ^= 3
		case 3:
			forged.VNI++
		}
		f.send(forged)
	}
	return p.Onward()
}

// send puts a frame in front of the device that it is for.
func (f *forger) send(frame Frame) {
	f.sent++
	b := frame.Marshal()
	q := f.w.NewPacket(len(b), 7, f.sent)
	copy(q.Bytes(), b)
	if d := f.devices[frame.To]; d != nil && q.Decode() == nil {
		f.w.Trace(q, f.String())
		f.w.Send(q, port{d})
	}
}
