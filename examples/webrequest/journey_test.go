package webrequest

import (
	"crypto/tls"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/assert/journey"
	"github.com/netspec-go/netspec/netfake"
)

// TestJourney prints the way of the request, hop by hop. With go test -artifacts it
// leaves it as a page and as a capture, too.
func TestJourney(t *testing.T) { netfake.Run(t, testJourney) }

func testJourney(t *testing.T, w *netfake.World) {
	s := build(w, without{})
	dir := t.ArtifactDir()
	file, err := os.Create(filepath.Join(dir, "substrate.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	capture := w.Capture(file, func(tap string) bool { return !strings.HasSuffix(tap, "internet") })
	rec := w.Record(nil)
	assert.Equal(t, s.visit("https://"+domain), page)
	rec.Stop()
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	journey.Artifacts(t, "The way of a web request", rec)
	t.Logf("a browser in Melbourne asks for https://%s:\n\n%s", domain, journey.Text(rec))
	checkCapture(t, file.Name())
}

// checkCapture has tshark, where there is one, judge the capture: every frame is GENEVE
// around IPv4 and TCP, and there is nothing malformed, no bad checksum, no lost or
// repeated segment. Frames are judged one wire at a time: what two wires saw would look
// like a repetition.
func checkCapture(t *testing.T, file string) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Log("tshark is not installed: nobody else judges the capture")
		return
	}
	all := tshark(t, file, "frame", "frame.interface_id")
	good := tshark(t, file, "geneve && ip && tcp", "frame.interface_id")
	if len(all) < 20 || len(all) != len(good) {
		t.Errorf("%d frames, of which %d are GENEVE with TCP inside", len(all), len(good))
	}
	wires := map[string]bool{}
	for _, id := range all {
		wires[id] = true
	}
	for id := range wires {
		one := file + "." + id
		if out, err := exec.Command("tshark", "-n", "-r", file, "-Y", "frame.interface_id == "+id, "-w", one).CombinedOutput(); err != nil {
			t.Fatalf("tshark: %v\n%s", err, out)
		}
		const bad = `_ws.malformed || _ws.short || tcp.analysis.flags || tcp.checksum.status == "Bad" || ip.checksum.status == "Bad" || _ws.expert.severity >= "Warning"`
		if found := tshark(t, one, bad, "frame.number", "_ws.expert.message"); len(found) > 0 {
			t.Errorf("wire %s: tshark complains:\n%s", id, strings.Join(found, "\n"))
		}
		os.Remove(one)
	}
}

// tshark returns the fields of the frames that a filter accepts, a line each.
func tshark(t *testing.T, file, filter string, fields ...string) []string {
	t.Helper()
	args := []string{"-n", "-2", "-r", file, "-Y", filter, "-T", "fields",
		"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "tcp.analyze_sequence_numbers:TRUE"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return strings.Split(text, "\n")
	}
	return nil
}

// certificateAt returns the name of the certificate that is shown to a browser.
func certificateAt(browser *netfake.Host, addr netip.AddrPort) string {
	c, err := browser.Dial("tcp", addr.String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	t := tls.Client(c, &tls.Config{ServerName: domain, InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		return err.Error()
	}
	return t.ConnectionState().PeerCertificates[0].Subject.CommonName
}
