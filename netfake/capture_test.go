package netfake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// busyDay lets five clients talk with a server over lossy links at the same instants,
// and returns everything that could be seen of it.
func busyDay(t *testing.T, seed uint64) (traces, capture string) {
	var out bytes.Buffer
	RunConfig(t, Config{Seed: seed}, func(t *testing.T, w *World) {
		server := w.Internet().HostAt(Sydney, "server", "203.0.113.10")
		server.Uplink().Link().SetLoss(0.05)
		server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Write(make([]byte, 20_000))
		}))
		in := openUDP(t, server, 9000)
		rec, file := w.Record(nil), w.Capture(&out, nil)
		var group sync.WaitGroup
		for i, place := range []Place{Melbourne, Tokyo, Tokyo, London, Sydney} {
			client := w.Internet().HostAt(place, fmt.Sprint("client", i), fmt.Sprint("198.51.100.", i+1))
			u := dialUDPFrom(t, client, 1000, in)
			group.Go(func() {
				resp, err := client.HTTPClient().Get("http://203.0.113.10/")
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != 20_000 || err != nil {
					t.Errorf("client %d: %d bytes, %v", i, n, err)
				}
				number(u, 20)
			})
		}
		group.Wait()
		time.Sleep(time.Minute)
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
		if server.Uplink().Link().Stats().Lost == 0 {
			t.Error("nothing was lost")
		}
		traces = rec.String()
	})
	return traces, out.String()
}

// The same seed gives the same traces, byte for byte, on however many processors, and
// the same capture.
func TestRepeatable(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	traces, capture := busyDay(t, 1)
	if n := strings.Count(traces, "\n"); n < 500 {
		t.Fatalf("the traces have %d lines", n)
	}
	for i := range 20 {
		runtime.GOMAXPROCS([]int{1, 2, 8}[i%3])
		again, file := busyDay(t, 1)
		if again != traces {
			t.Fatalf("run %d differs: %s", i, firstDifference(traces, again))
		}
		if file != capture {
			t.Fatalf("run %d has another capture", i)
		}
	}
	if other, _ := busyDay(t, 2); other == traces {
		t.Error("another seed gives the same traces")
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d\n%s\n%s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// Wireshark finds nothing to complain about in a capture, tap by tap.
func TestCaptureDissects(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not on the PATH: the capture is not dissected here")
	}
	var out bytes.Buffer
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":7")
		in := openUDP(t, server, 9000)
		file := w.Capture(&out, func(tap string) bool { return strings.HasPrefix(tap, "client") })
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		c.Write(make([]byte, 5000))
		io.ReadFull(c, make([]byte, 5000))
		c.Close()
		number(dialUDPFrom(t, client, 1000, in), 3)
		client.Ping(t.Context(), server.Addr())
		client.Dial("tcp", "203.0.113.10:81")
		time.Sleep(time.Minute)
		if err := file.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tshark := func(filter string) string {
		b, err := exec.Command(path, "-n", "-2", "-r", file, "-Y", filter, "-o", "ip.check_checksum:TRUE",
			"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if bad := tshark(`_ws.malformed || tcp.analysis.flags || tcp.checksum.status == "Bad" || udp.checksum.status == "Bad" || ip.checksum.status == "Bad"`); bad != "" {
		t.Errorf("tshark complains about\n%s", bad)
	}
	for _, row := range []struct {
		filter string
		least  int
	}{{"tcp.len > 0", 8}, {"udp && !icmp", 3}, {"icmp", 2}, {"tcp.flags.reset == 1", 1}} {
		if n := strings.Count(tshark(row.filter), "\n"); n < row.least {
			t.Errorf("%d packets of %q, want %d at least", n, row.filter, row.least)
		}
	}
}

// A capture that cannot be written says so when it stops; the world goes on.
func TestCaptureError(t *testing.T) { Run(t, testCaptureError) }

func testCaptureError(t *testing.T, w *World) {
	server, client := twoHosts(w)
	broken := w.Capture(brokenWriter{}, nil)
	good := w.Capture(io.Discard, nil)
	if _, err := client.Ping(t.Context(), server.Addr()); err != nil {
		t.Error(err)
	}
	want(t, "Stop", broken.Stop(), errBroken)
	want(t, "Stop of another", good.Stop(), nil)
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// nosy is a writer that asks the world how it is doing, and then waits to be let go.
type nosy struct {
	world *World
	let   chan bool
	bytes.Buffer
}

func (n *nosy) Write(b []byte) (int, error) {
	n.world.Sockets()
	<-n.let
	return n.Buffer.Write(b)
}

// A writer that blocks, or that calls the world, holds up nobody but Stop, and misses
// nothing.
func TestCaptureSlowWriter(t *testing.T) { Run(t, testCaptureSlowWriter) }

func testCaptureSlowWriter(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9000)
	var all bytes.Buffer
	slow := &nosy{world: w, let: make(chan bool)}
	first, second := w.Capture(slow, nil), w.Capture(&all, nil)
	u := dialUDPFrom(t, client, 1000, in)
	for range 200 {
		if _, err := u.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	w.Sleep(time.Second)
	if slow.Len() != 0 || all.Len() < 200*1000 {
		t.Errorf("before it is let go, %d bytes, and the other %d", slow.Len(), all.Len())
	}
	close(slow.let)
	want(t, "Stop", first.Stop(), nil)
	want(t, "Stop of another", second.Stop(), nil)
	want(t, "Stop again", second.Stop(), nil)
	if !bytes.Equal(slow.Bytes(), all.Bytes()) {
		t.Errorf("the slow writer has %d bytes, the other %d", slow.Len(), all.Len())
	}
}

// What is dropped is in the capture with the reason, and what arrives is there without.
func TestCaptureDrops(t *testing.T) { Run(t, testCaptureDrops) }

func testCaptureDrops(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9000)
	u := dialUDPFrom(t, client, 1000, in)
	var out bytes.Buffer
	file := w.Capture(&out, func(tap string) bool { return tap == DroppedTap })
	u.Write([]byte("arrives"))
	w.Sleep(time.Second)
	mend := server.Uplink().Link().Partition()
	u.Write([]byte("is lost"))
	w.Sleep(time.Second)
	mend.Undo()
	u.Write([]byte("too late"))
	want(t, "Stop", file.Stop(), nil)
	for text, is := range map[string]bool{
		DroppedTap: true, "DROP server last mile: partitioned": true, "is lost": true, "arrives": false, "too late": false,
	} {
		if bytes.Contains(out.Bytes(), []byte(text)) != is {
			t.Errorf("the capture has %q %v, want %v", text, !is, is)
		}
	}
}

// A capture without a writer is refused, one of a closed world is empty.
func TestCaptureEdges(t *testing.T) {
	text := fatal(t, func(tb TB) { New(tb, Config{}).Capture(nil, nil) })
	if text != "netfake: Capture: there is no writer" {
		t.Errorf("no writer: %q", text)
	}
	var out bytes.Buffer
	w := New(t, Config{})
	w.Close()
	want(t, "Stop", w.Capture(&out, nil).Stop(), nil)
	if out.Len() == 0 {
		t.Error("the file has no head")
	}
}
