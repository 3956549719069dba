// gopacket decodes, sums and reassembles packets and has never heard of netspec. The
// tests hand it the capture of a VPC's substrate as an independent judge: of the layers
// of every frame, of every checksum, and of the bytes of the streams inside.

package interop_test

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/reassembly"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// frame is a packet of a capture, decoded, and the interface where it was seen.
type frame struct {
	gopacket.Packet
	tap string
}

// frames reads a capture.
func frames(t *testing.T, capture io.Reader) (all []frame) {
	t.Helper()
	r, err := pcapgo.NewNgReader(capture, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	must(t, err)
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return all
		}
		must(t, err)
		p := decode(t, data, r.LinkType())
		p.Metadata().CaptureInfo = info
		tap, err := r.Interface(info.InterfaceIndex)
		must(t, err)
		all = append(all, frame{p, tap.Name})
	}
}

// decode decodes a packet. The sums of UDP and TCP cover addresses of the layer before
// them, which gopacket wants to be told.
func decode(t *testing.T, data []byte, first gopacket.Decoder) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(data, first, gopacket.Default)
	var network gopacket.NetworkLayer
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case gopacket.NetworkLayer:
			network = l
		case interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}:
			must(t, l.SetNetworkLayerForChecksum(network))
		}
	}
	return p
}

// layering returns the names of a frame's layers up to a transport, with slashes between.
func (f frame) layering() string {
	var names []string
	for _, l := range f.Layers() {
		if l.LayerType() != gopacket.LayerTypePayload {
			names = append(names, l.LayerType().String())
		}
	}
	return strings.Join(names, "/")
}

// judge fails the test for every frame that cannot be decoded to its end, is not layered
// in one of the ways that are wanted, or has a sum that is wrong. It returns how many
// frames there are of each kind.
func judge(t *testing.T, all []frame, want ...string) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	for i, f := range all {
		if e := f.ErrorLayer(); e != nil {
			t.Fatalf("frame %d at %s: %v\n%v", i, f.tap, e.Error(), f)
		}
		if kind := f.layering(); !slices.Contains(want, kind) {
			t.Fatalf("frame %d at %s: layers %s, want one of %v", i, f.tap, kind, want)
		}
		err, wrong := f.VerifyChecksums()
		must(t, err)
		for _, w := range wrong {
			t.Fatalf("frame %d at %s: sum of %v is %#04x, want %#04x", i, f.tap, w.Layer.LayerType(), w.Actual, w.Correct)
		}
		kinds[f.layering()]++
	}
	return kinds
}

// conversation is what both sides of a TCP connection said, as reassembled: the one who
// began first.
type conversation struct {
	said [2]bytes.Buffer
	lost int // bytes that reassembly had to skip
	done bool
}

// New, Accept, ReassembledSG and ReassemblyComplete make a conversation the stream of
// all packets that are assembled.
func (c *conversation) New(_, _ gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	return c
}

func (c *conversation) Accept(*layers.TCP, gopacket.CaptureInfo, reassembly.TCPFlowDirection, reassembly.Sequence, *bool, reassembly.AssemblerContext) bool {
	return true
}

func (c *conversation) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	direction, _, _, skipped := sg.Info()
	n, _ := sg.Lengths()
	side := 0
	if direction == reassembly.TCPDirServerToClient {
		side = 1
	}
	c.said[side].Write(sg.Fetch(n))
	c.lost += max(skipped, 0)
}

func (c *conversation) ReassemblyComplete(reassembly.AssemblerContext) bool {
	c.done = true
	return false
}

// captured tells reassembly when a packet was seen.
type captured gopacket.CaptureInfo

func (c captured) GetCaptureInfo() gopacket.CaptureInfo { return gopacket.CaptureInfo(c) }

// reassemble puts the TCP stream inside the frames of each tap together: the same
// segment at two taps would look like a retransmission.
func reassemble(all []frame) map[string]*conversation {
	streams := map[string]*conversation{}
	assemblers := map[string]*reassembly.Assembler{}
	for _, f := range all {
		if streams[f.tap] == nil {
			streams[f.tap] = &conversation{}
			assemblers[f.tap] = reassembly.NewAssembler(reassembly.NewStreamPool(streams[f.tap]))
		}
		inner := f.Layers()
		for i, l := range inner {
			if tcp, ok := l.(*layers.TCP); ok {
				network := inner[i-1].(gopacket.NetworkLayer).NetworkFlow()
				assemblers[f.tap].AssembleWithContext(network, tcp, captured(f.Metadata().CaptureInfo))
			}
		}
	}
	return streams
}

// talk sends question from the client to the server and answer back, each closing after
// it, and returns the capture of it.
func talk(t *testing.T, w *netfake.World, p pair, question, answer []byte) []frame {
	t.Helper()
	return talkBetween(t, w, p.client.Host, p.server.Host, question, answer)
}

// talkBetween is talk for two hosts.
func talkBetween(t *testing.T, w *netfake.World, client, server *netfake.Host, question, answer []byte) []frame {
	t.Helper()
	var file bytes.Buffer
	capture := w.Capture(&file, func(tap string) bool { return tap != netfake.DroppedTap })
	l, err := server.Listen("tcp", ":7")
	must(t, err)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(io.Discard, c)
		c.Write(answer)
	}()
	c, err := client.DialContext(t.Context(), "tcp", server.TCP(7).Addr.String())
	must(t, err)
	_, err = c.Write(question)
	must(t, err)
	must(t, c.(interface{ CloseWrite() error }).CloseWrite())
	got, err := io.ReadAll(c)
	must(t, err)
	assert.Equal(t, bytes.Equal(got, answer), true)
	must(t, c.Close())
	w.Sleep(time.Minute)
	must(t, capture.Stop())
	return frames(t, &file)
}

const (
	frameOfTCP  = "IPv4/UDP/Geneve/IPv4/TCP"
	frameOfUDP  = "IPv4/UDP/Geneve/IPv4/UDP"
	frameOfICMP = "IPv4/UDP/Geneve/IPv4/ICMPv4"
)

func TestCaptureOfTCP(t *testing.T) { netfake.Run(t, testCaptureOfTCP) }

func testCaptureOfTCP(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/7")
	question, answer := pattern(1<<20), bytes.ToUpper(pattern(300_001))
	all := talk(t, w, p, question, answer)
	judge(t, all, frameOfTCP)
	streams := reassemble(all)
	assert.Equal(t, len(streams), 2) // the wires of both physical hosts
	for tap, s := range streams {
		requireConversation(t, tap, s, question, answer)
	}
}

func requireConversation(t *testing.T, tap string, s *conversation, question, answer []byte) {
	t.Helper()
	if !s.done || s.lost > 0 {
		t.Errorf("%s: stream ended: %v, %d bytes lost", tap, s.done, s.lost)
	}
	for i, want := range [][]byte{question, answer} {
		if got := s.said[i].Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: direction %d has %d bytes, want %d, or they differ", tap, i, len(got), len(want))
		}
	}
}

// With loss, each wire sees gaps and retransmissions, and still exactly the bytes that
// were sent.
func TestCaptureOfTCPThroughLoss(t *testing.T) { netfake.Run(t, testCaptureOfTCPThroughLoss) }

func testCaptureOfTCPThroughLoss(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/7")
	p.link.SetLoss(0.05)
	question, answer := pattern(2<<20), pattern(1<<20)
	all := talk(t, w, p, question, answer)
	assert.Bit(t, p.link)
	judge(t, all, frameOfTCP)
	for tap, s := range reassemble(all) {
		requireConversation(t, tap, s, question, answer)
	}
}

func TestCaptureOfDatagrams(t *testing.T) { netfake.Run(t, testCaptureOfDatagrams) }

func testCaptureOfDatagrams(t *testing.T, w *netfake.World) {
	p := newPair(w, "all")
	var file bytes.Buffer
	capture := w.Capture(&file, nil)
	_, err := p.client.Ping(t.Context(), p.server.Addr())
	must(t, err)
	in, err := p.server.ListenPacket("udp", ":9")
	must(t, err)
	out, err := p.client.DialContext(t.Context(), "udp", p.address("9"))
	must(t, err)
	for size := range 20 {
		_, err := out.Write(pattern(size * 400))
		must(t, err)
		_, _, err = in.ReadFrom(make([]byte, 9000))
		must(t, err)
	}
	must(t, capture.Stop())

	all := frames(t, &file)
	kinds := judge(t, all, frameOfUDP, frameOfICMP)
	assert.Equal(t, kinds[frameOfUDP], 2*20) // at both ends
	assert.Equal(t, kinds[frameOfICMP], 2*2)
	size := 0
	for _, f := range all {
		if f.layering() == frameOfUDP && f.tap == all[0].tap {
			datagram := f.Layers()[4].(*layers.UDP)
			assert.Equal(t, bytes.Equal(datagram.Payload, pattern(size*400)), true)
			size++
		}
	}
}

// Headers of the substrate say what the fabric promises: the VPC's number, its own
// option class, addresses of physical hosts outside and of instances inside.
func TestCaptureOfHeaders(t *testing.T) { netfake.Run(t, testCaptureOfHeaders) }

func testCaptureOfHeaders(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/7")
	vpc := p.client.Interface().VPC()
	for _, f := range talk(t, w, p, []byte("question"), []byte("answer")) {
		outer, inner := f.Layers()[0].(*layers.IPv4), f.Layers()[3].(*layers.IPv4)
		assert.Equal(t, hosts(outer), sortedPair(p.client.Interface().PhysicalHost().Addr(), p.server.Interface().PhysicalHost().Addr()))
		assert.Equal(t, hosts(inner), sortedPair(p.client.Addr(), p.server.Addr()))
		assert.Equal(t, f.Layers()[1].(*layers.UDP).DstPort, 6081)
		geneve := f.Layers()[2].(*layers.Geneve)
		assert.Equal(t, geneve.VNI, vpc.VNI())
		for _, o := range geneve.Options {
			assert.Equal(t, o.Class, 0xff01)
		}
		assert.Equal(t, len(geneve.Options) > 0, true)
	}
}

// hosts returns the addresses of both ends of a packet, in order of their value.
func hosts(ip *layers.IPv4) [2]netip.Addr {
	src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
	return sortedPair(src, dst)
}

func sortedPair(a, b netip.Addr) [2]netip.Addr {
	if b.Less(a) {
		a, b = b, a
	}
	return [2]netip.Addr{a, b}
}

// The judge is no rubber stamp: a frame with any one byte of its inner packet changed
// does not pass.
func TestCaptureJudge(t *testing.T) { netfake.Run(t, testCaptureJudge) }

func testCaptureJudge(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/7")
	for _, f := range talk(t, w, p, []byte("question"), []byte("answer")) {
		inner := len(f.Data()) - len(f.Layers()[2].LayerPayload())
		for i := inner; i < len(f.Data()); i++ {
			data := bytes.Clone(f.Data())
			data[i] ^= 0x01
			spoilt := decode(t, data, layers.LayerTypeIPv4)
			if err, wrong := spoilt.VerifyChecksums(); spoilt.ErrorLayer() == nil && err == nil && len(wrong) == 0 {
				t.Errorf("byte %d of %s changed, and nobody minds", i, f.layering())
			}
		}
	}
}
