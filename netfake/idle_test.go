package netfake

import (
	"fmt"
	"net"
	"runtime"
	"testing"
)

// What idling may cost at most, on a 64-bit machine.
const (
	idleHostBytes = 5 << 10   // a host on the internet, with its uplink
	idleConnBytes = 4 << 10   // a TCP connection, both ends
	idleCityBytes = 600 << 20 // 10,000 hosts and 100,000 connections
)

// cost is what f has added to the heap, in bytes, and to the goroutines.
func cost(f func()) (bytes, goroutines int) {
	var before, after runtime.MemStats
	running := runtime.NumGoroutine()
	settleHeap(&before)
	f()
	settleHeap(&after)
	return int(after.HeapAlloc) - int(before.HeapAlloc), runtime.NumGoroutine() - running
}

// settleHeap reads what is in use once all that is not has been collected: things with
// finalizers and emptied pools take two rounds.
func settleHeap(m *runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(m)
}

// hostNumber puts a host on the internet at the address of its number.
func hostNumber(w *World, i int) *Host {
	return w.Internet().Host(fmt.Sprint("host", i), fmt.Sprintf("198.%d.%d.%d", 20+i>>16, i>>8&255, i&255))
}

// connectAll opens n connections between hosts, a few each, and accepts them.
func connectAll(tb testing.TB, hosts []*Host, n int) {
	tb.Helper()
	listeners := make([]net.Listener, len(hosts))
	for i, h := range hosts {
		l, err := h.Listen("tcp", ":80")
		if err != nil {
			tb.Fatal(err)
		}
		listeners[i] = l
	}
	for i := range n {
		from, to := i%len(hosts), (i+1+i/len(hosts))%len(hosts)
		c, err := hosts[from].Dial("tcp", hosts[to].TCP(80).Addr.String())
		if err != nil {
			tb.Fatal(err)
		}
		s, err := listeners[to].Accept()
		if err != nil {
			tb.Fatal(err)
		}
		c.Write([]byte("hello"))
		s.Read(make([]byte, 5))
	}
}

// Hosts and connections that do nothing cost little memory, and no goroutine.
func TestIdleCost(t *testing.T) {
	w := New(t, Config{Instant: true})
	const n = 1000
	hosts := make([]*Host, n)
	bytes, goroutines := cost(func() {
		for i := range hosts {
			hosts[i] = hostNumber(w, i)
		}
	})
	if bytes > n*idleHostBytes || goroutines > 0 {
		t.Errorf("%d hosts cost %d bytes each and %d goroutines, want at most %d and none", n, bytes/n, goroutines, idleHostBytes)
	}
	t.Logf("%d bytes a host", bytes/n)
	bytes, goroutines = cost(func() { connectAll(t, hosts[:100], n) })
	if bytes > n*idleConnBytes || goroutines > 1 {
		t.Errorf("%d connections cost %d bytes each and %d goroutines, want at most %d and none but the world's own", n, bytes/n, goroutines, idleConnBytes)
	}
	t.Logf("%d bytes a connection", bytes/n)
}

// BenchmarkIdleCity keeps 10,000 hosts with 100,000 connections between them.
func BenchmarkIdleCity(b *testing.B) {
	for range b.N {
		w := New(b, Config{Instant: true})
		hosts := make([]*Host, 10_000)
		bytes, goroutines := cost(func() {
			for i := range hosts {
				hosts[i] = hostNumber(w, i)
			}
			connectAll(b, hosts, 100_000)
		})
		if bytes > idleCityBytes || goroutines > 1 {
			b.Errorf("%d bytes and %d goroutines, want at most %d and none but the world's own", bytes, goroutines, idleCityBytes)
		}
		b.ReportMetric(float64(bytes)/(1<<20), "heap-MB")
		w.Close()
	}
}

func BenchmarkIdleHost(b *testing.B) {
	w := New(b, Config{Instant: true})
	bytes, goroutines := cost(func() {
		for i := range b.N {
			hostNumber(w, i)
		}
	})
	b.ReportMetric(float64(bytes)/float64(b.N), "heap-B/host")
	b.ReportMetric(float64(goroutines)/float64(b.N), "goroutines/host")
}

func BenchmarkIdleConnection(b *testing.B) {
	w := New(b, Config{Instant: true})
	hosts := make([]*Host, 100)
	for i := range hosts {
		hosts[i] = hostNumber(w, i)
	}
	bytes, goroutines := cost(func() { connectAll(b, hosts, b.N) })
	b.ReportMetric(float64(bytes)/float64(b.N), "heap-B/conn")
	b.ReportMetric(float64(goroutines)/float64(b.N), "goroutines/conn")
}

// BenchmarkWorld makes and closes a world of two hosts.
func BenchmarkWorld(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		tb := &brief{B: b}
		twoHosts(New(tb, Config{}))
		for _, end := range tb.cleanups {
			end()
		}
	}
}

// brief is a benchmark whose Cleanups are run by hand.
type brief struct {
	*testing.B
	cleanups []func()
}

func (b *brief) Cleanup(f func()) { b.cleanups = append(b.cleanups, f) }
