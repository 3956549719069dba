package tcp

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"pgregory.net/rapid"
)

// application is what uses one end in the property: it writes a stream in chunks,
// reads at its own pace, and closes when both directions are over.
type application struct {
	end       *end
	stream    []byte
	written   int
	chunk     int
	bite      int // bytes read at once
	every     time.Duration
	at        time.Duration
	fullClose bool // with Close instead of CloseWrite, once it has read everything
}

func (a *application) tick(now time.Duration) {
	a.at = now + a.every
	c := a.end.conn
	if c == nil {
		return
	}
	if c.Buffered() > 0 {
		a.end.read(a.bite)
	}
	if n := min(a.chunk, len(a.stream)-a.written); n > 0 {
		a.written += c.Write(a.stream[a.written:a.written+n], now)
	}
	if c.EOF() && a.written == len(a.stream) {
		a.at += time.Second // nothing more to do
	}
	if a.written < len(a.stream) || !c.CanSend() {
		return
	}
	switch {
	case !a.fullClose:
		c.CloseWrite(now)
	case c.EOF():
		c.Close(now)
	}
}

func drawConfig(t *rapid.T, name string) Config {
	sizes := []int{1, 100, 600, 1460, 4096, 65535, 100_001, 1 << 20}
	return Config{
		ISN:        rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(math.MaxUint32-5000, math.MaxUint32)).Draw(t, name+"ISN"),
		MTU:        rapid.SampledFrom([]int{0, 296, 576, 1500, 9001}).Draw(t, name+"MTU"),
		RecvBuffer: rapid.SampledFrom(sizes).Draw(t, name+"RecvBuffer"),
		SendBuffer: rapid.SampledFrom([]int{0, 1, 3000, 65536}).Draw(t, name+"SendBuffer"),
		Nagle:      rapid.Bool().Draw(t, name+"Nagle"),
		Train:      rapid.SampledFrom([]int{0, 3000, 65000}).Draw(t, name+"Train"),
		Merge:      rapid.SampledFrom([]int{0, 3000, 65536}).Draw(t, name+"Merge"),
		SYNRetries: 30,
		Retries:    40,
	}
}

func drawApplication(t *rapid.T, name string, e *end) *application {
	return &application{
		end:    e,
		stream: pattern(rapid.IntRange(0, 1000).Draw(t, name+"from"), rapid.IntRange(0, 20_000).Draw(t, name+"bytes")),
		chunk:  rapid.SampledFrom([]int{1, 50, 1000, 5000, 20_000}).Draw(t, name+"chunk"),
		bite:   rapid.SampledFrom([]int{1, 100, 3000, 20_000}).Draw(t, name+"bite"),
		every:  time.Duration(rapid.IntRange(5, 300).Draw(t, name+"every")) * time.Millisecond,
	}
}

// fit shortens the stream so that it does not take thousands of windows to carry.
func (a *application) fit(sender, receiver Config) {
	most := min(50*receiver.RecvBuffer, 300*a.chunk)
	if sender.SendBuffer > 0 {
		most = min(most, 300*sender.SendBuffer)
	}
	a.stream = a.stream[:min(len(a.stream), most)]
}

// TestDelivery says that over any link both streams arrive whole and in order, and
// that both machines come to their end.
func TestDelivery(t *testing.T) {
	for _, row := range []struct {
		name       string
		congestion CongestionControl
	}{{"no congestion control", NoCongestion}, {"NewReno", NewReno}} {
		t.Run(row.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { testDelivery(t, row.congestion) })
		})
	}
}

func testDelivery(t *rapid.T, congestion CongestionControl) {
	n := newNetwork(t, rapid.Uint64().Draw(t, "key"))
	n.loss = rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.3}).Draw(t, "loss")
	n.dup = rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(t, "dup")
	n.latency = time.Duration(rapid.IntRange(0, 200).Draw(t, "latency")) * time.Millisecond
	n.jitter = time.Duration(rapid.SampledFrom([]int{0, 1, 50, 300}).Draw(t, "jitter")) * time.Millisecond
	client, server := drawConfig(t, "client "), drawConfig(t, "server ")
	client.Congestion, server.Congestion = congestion, congestion
	client.IPHeader = rapid.SampledFrom([]int{0, wire.IPv6HeaderLen}).Draw(t, "IPHeader")
	server.IPHeader = client.IPHeader
	apps := [2]*application{drawApplication(t, "client ", n.ends[0]), drawApplication(t, "server ", n.ends[1])}
	apps[0].fit(client, server)
	apps[1].fit(server, client)
	apps[rapid.IntRange(0, 1).Draw(t, "closer")].fullClose = true
	n.dial(client, server)
	converse(t, n, apps)
	for i, a := range apps {
		got := apps[1-i].end.got
		if !bytes.Equal(got, a.stream) {
			t.Fatalf("end %d sent %d bytes, %d arrived, not the same", i, len(a.stream), len(got))
		}
		if err := a.end.conn.Err(); err != nil {
			t.Fatalf("end %d died: %v", i, err)
		}
	}
}

// converse runs network and applications until both machines are done.
func converse(t *rapid.T, n *network, apps [2]*application) {
	over := func(a *application) bool {
		return a.end.conn != nil && a.end.conn.Done() && a.end.conn.Buffered() == 0
	}
	for n.events < 100_000 && n.now < 100*time.Hour {
		if over(apps[0]) && over(apps[1]) {
			return
		}
		next := apps[0]
		if apps[1].at < next.at {
			next = apps[1]
		}
		if n.step(max(n.now, next.at)) {
			continue
		}
		n.now = max(n.now, next.at)
		next.tick(n.now)
	}
	for i, a := range apps {
		if c := a.end.conn; c != nil {
			t.Logf("end %d: %v, error %v, %+v, %d to send, window %d", i, c.state, c.err, c.stats, c.SendQueue(), c.window)
		}
	}
	t.Fatalf("the connection does not come to its end: %v", n.now)
}
