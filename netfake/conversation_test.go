package netfake

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// conversation is what two hosts say to one another, and what their links do to it.
type conversation struct {
	faults      Faults
	there, back speech
}

var conversations = rapid.Custom(func(t *rapid.T) conversation {
	share := rapid.SampledFrom([]float64{0, 0.02, 0.1})
	draw := func(name string) speech {
		s := speech{key: rapid.Uint64().Draw(t, name+" key"), length: rapid.IntRange(0, 60_000).Draw(t, name+" length")}
		s.chunk = max(rapid.SampledFrom([]int{100, 1000, 5000, 60_000}).Draw(t, name+" chunk"), s.length/100)
		return s
	}
	c := conversation{there: draw("there"), back: draw("back")}
	if rapid.Bool().Draw(t, "faults") {
		c.faults = Faults{
			Loss: share.Draw(t, "loss"), Duplicate: share.Draw(t, "dup"),
			Reorder: share.Draw(t, "reorder"), ReorderBy: time.Duration(rapid.IntRange(1, 50).Draw(t, "by")) * time.Millisecond,
		}
	}
	return c
})

// excused is what tshark may say of packets between links that lose, repeat and reorder.
// All else is a complaint; so is this where nothing of the kind happened. An end that has
// closed answers what comes once more with RST; one that waits for the other's timeout
// asks after 15 s whether it is still there; and of a retransmission with a FIN that did
// not come the first time, tshark does not see the FIN, and wonders at its ACK.
var excused = regexp.MustCompile(`^(This frame is a \(suspected\) (fast |spurious )?(retransmission|out-of-order segment)|` +
	`Duplicate ACK \(#\d+\)|Previous segment\(s\) not captured \(common at capture start\)|Connection reset \(RST\)|` +
	`TCP keep-alive segment|ACK to a TCP keep-alive segment|ACKed segment that wasn't captured \(common at capture start\))$`)

// ordinary is what it says of every connection.
var ordinary = regexp.MustCompile(`^(Connection (establish request|establish acknowledge|finish) \((SYN|SYN\+ACK|FIN)\).*|` +
	`This frame initiates the connection closing|This frame undergoes the connection closing|TCP window update)$`)

// Wireshark has nothing to say of random conversations but what the links' faults explain,
// at the client and at the server, each by itself.
func TestConversationsDissect(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not on the PATH: the captures are not dissected here")
	}
	many := min(often(200), 250)
	rough := map[string]bool{} // the clients whose links have faults
	for _, host := range []string{"client", "server"} {
		var file bytes.Buffer
		for i := range many {
			c := conversations.Example(i)
			addr := fmt.Sprint("198.51.100.", i+1)
			rough[addr] = c.faults != (Faults{})
			RunConfig(t, Config{Seed: uint64(i) + 1}, func(t *testing.T, w *World) {
				capture := w.Capture(&file, func(tap string) bool { return strings.HasPrefix(tap, host) })
				converse(t, w, addr, c.faults, &c.there, &c.back)
				time.Sleep(time.Minute)
				want(t, "Stop", capture.Stop(), nil)
			})
		}
		packets := judge(t, path, file.Bytes(), rough)
		t.Logf("%s: %d packets", host, packets)
		if packets < 20*many {
			t.Errorf("%s: only %d packets", host, packets)
		}
	}
}

// judge has tshark look at a capture of one tap and returns how many packets it saw.
func judge(t *testing.T, tshark string, capture []byte, rough map[string]bool) (packets int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-r", file, "-d", "tcp.port==7777,data", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
		"-T", "fields", "-E", "separator=|", "-E", "aggregator=;", "-e", "frame.number", "-e", "ip.src", "-e", "ip.dst",
		"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "_ws.expert.message").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 6)
		packets++
		if f[3] != "1" || f[4] != "1" {
			t.Errorf("a wrong checksum: %s", line)
		}
		for says := range strings.SplitSeq(f[5], ";") {
			if says != "" && !ordinary.MatchString(says) && !(excused.MatchString(says) && (rough[f[1]] || rough[f[2]])) {
				t.Errorf("packet %s of %s and %s: %s", f[0], f[1], f[2], says)
			}
		}
	}
	return packets
}
