package fabricfake_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Wireshark's decoders, as tshark has them and without any settings of GENEVE's, find it in
// the frames of two VPCs, read from it what the model put there, and have nothing to complain
// of, other than with a packet that is wrong. The same bytes for another port are nothing to
// them.
// fact: geneve.wireshark
func TestWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed, so that nobody else can judge the frames")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "substrate.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := []struct {
		name string
		send func(b *bank)
		want string // protocols, ports, VNI, what is inside, options, addresses, complaints
	}{
		{"IPv4", func(b *bank) { b.teller.Interface().Inject(datagram(tellerPort, vaultPort, "money")) },
			"raw:ip:udp:geneve:ip:udp:data|6081,9|0x000001|0x0800|0xff01,0xff01|0x01,0x02|192.168.0.4,10.0.0.11|192.168.0.3,10.0.0.10|||"},
		{"IPv6", func(b *bank) { b.teller.Interface().Inject(datagram6("["+teller6+"]:1", "["+vault6+"]:9", "money")) },
			"raw:ip:udp:geneve:ipv6:udp:data|6081,9|0x000001|0x86dd|0xff01,0xff01|0x01,0x02|192.168.0.4|192.168.0.3|2001:db8::11|2001:db8::10|"},
		{"another VPC", func(b *bank) { b.evil.Interface().Inject(datagram("10.0.0.12:1", "10.0.0.4:9", "money")) },
			"raw:ip:udp:geneve:ip:udp:data|6081,9|0x000002|0x0800|0xff01,0xff01|0x01,0x02|192.168.0.5,10.0.0.12|192.168.0.6,10.0.0.4|||"},
		{"another port", func(b *bank) {
			f := b.honest()
			host(b.teller).Inject(outer(f.From, f.To, wire.GenevePort+1, f.Marshal()[outerLen:]))
		}, "raw:ip:udp:data|6082|||||192.168.0.4|192.168.0.3|||"},
		{"a wrong checksum inside", func(b *bank) {
			f := b.honest()
			f.Inner[len(f.Inner)-1] ^= 1
			host(b.teller).Inject(f.Marshal())
		}, "raw:ip:udp:geneve:ip:udp:data|6081,9|0x000001|0x0800|0xff01,0xff01|0x01,0x02|192.168.0.4,10.0.0.11|192.168.0.3,10.0.0.10|||Bad checksum [should be "},
	}
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBank(t, w).speakIPv6(t)
		b.evil.Interface().Subnet().Instance("partner", fabricfake.InstanceConfig{PrivateIP: "10.0.0.4"})
		senders := []string{host(b.teller).Name(), host(b.evil).Name()}
		capture := w.Capture(file, func(tap string) bool { return slices.Contains(senders, tap) })
		for _, row := range rows {
			row.send(b)
			w.Sleep(time.Millisecond)
		}
		if err := capture.Stop(); err != nil {
			t.Error(err)
		}
	})
	got := dissect(t, file.Name())
	if len(got) != len(rows) {
		t.Fatalf("%d frames, want %d:\n%s", len(got), len(rows), strings.Join(got, "\n"))
	}
	for i, row := range rows {
		if rest, ok := strings.CutPrefix(got[i], row.want); !ok || rest != "" && strings.HasSuffix(row.want, "|") {
			t.Errorf("%s: tshark reads\n%s, want\n%s", row.name, got[i], row.want)
		}
	}
}

// dissect returns what tshark says of the frames of a capture, a line each.
func dissect(t *testing.T, capture string) []string {
	t.Helper()
	args := []string{"-n", "-r", capture, "-T", "fields", "-E", "separator=|",
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
	for _, field := range []string{
		"frame.protocols", "udp.dstport", "geneve.vni", "geneve.proto_type", "geneve.option.class", "geneve.option.type",
		"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "_ws.expert.message",
	} {
		args = append(args, "-e", field)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}
