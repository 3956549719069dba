package netfake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each fault does what it says, and is counted; without it nothing happens.
func TestFaults(t *testing.T) {
	for _, row := range []struct {
		name   string
		faults Faults
		holds  func(got []byte, s LinkStats) bool
	}{
		{"none", Faults{}, func(got []byte, s LinkStats) bool {
			return len(got) == 100 && slices.IsSorted(got) && s == LinkStats{Carried: 100}
		}},
		{"loss in bursts: five in a row or none", Faults{Loss: 0.3, Burst: 5}, func(got []byte, s LinkStats) bool {
			return inBursts(got, 5) && s.Lost > 10 && s.Lost+s.Carried == 100
		}},
		{"duplication", Faults{Duplicate: 0.3}, func(got []byte, s LinkStats) bool {
			distinct := slices.Compact(slices.Clone(got))
			return len(distinct) == 100 && len(got) == 100+int(s.Duplicated) && s.Duplicated > 10
		}},
		{"reordering", Faults{Reorder: 0.3, ReorderBy: 5 * time.Millisecond}, func(got []byte, s LinkStats) bool {
			return len(got) == 100 && !slices.IsSorted(got) && s.Reordered > 10
		}},
		{"corruption: the receiver's checksum notices", Faults{Corrupt: 0.3}, func(got []byte, s LinkStats) bool {
			return len(got) == 100-int(s.Corrupted) && s.Corrupted > 10 && slices.IsSorted(got)
		}},
		{"jitter does not reorder", Faults{Jitter: 20 * time.Millisecond}, func(got []byte, s LinkStats) bool {
			return len(got) == 100 && slices.IsSorted(got)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				to := openUDP(t, server, 9)
				link := client.Uplink().Link()
				undo := link.SetFaults(row.faults)
				got := datagrams(t, client, 4000, to, 100)
				if s := link.Stats(); !row.holds(got, s) {
					t.Errorf("%d datagrams, %+v: %v", len(got), s, got)
				}
				undo.Undo()
				if got := datagrams(t, client, 4001, to, 20); len(got) != 20 || !slices.IsSorted(got) {
					t.Errorf("with the faults undone: %v", got)
				}
			})
		})
	}
}

// inBursts reports whether the numbers from 1 to 100 are there in whole groups of n.
func inBursts(got []byte, n int) bool {
	missing := map[int]int{}
	for i := range 100 {
		if !slices.Contains(got, byte(i)) {
			missing[(i+1)/n]++
		}
	}
	for group, count := range missing {
		if count != n && group != 0 && group != 100/n {
			return false
		}
	}
	return len(missing) > 0
}

// Jitter spreads the time of arrival between nothing and its most.
func TestJitterSpreads(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		client.Uplink().Link().SetFaults(Faults{Jitter: 10 * time.Millisecond})
		var least, most time.Duration = time.Hour, 0
		for range 50 {
			rtt, err := client.Ping(t.Context(), server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			least, most = min(least, rtt), max(most, rtt)
		}
		if least < 2*oneWay || most > 2*oneWay+20*time.Millisecond || most-least < 5*time.Millisecond {
			t.Errorf("round trips from %v to %v, without jitter %v", least, most, 2*oneWay)
		}
	})
}

// Whatever a link does, TCP delivers every byte, in order, both ways.
func TestTransfersSurviveFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, transfersSurvive) })
}

func transfersSurvive(t *rapid.T) {
	share := func(name string, most int) float64 { return float64(rapid.IntRange(0, most).Draw(t, name)) / 100 }
	w := New(t, Config{Seed: rapid.Uint64Range(1, 1<<32).Draw(t, "seed")})
	server, client := twoHosts(w)
	client.Uplink().Link().SetFaults(Faults{
		Loss: share("loss", 10), Burst: rapid.IntRange(0, 3).Draw(t, "burst"),
		Duplicate: share("duplicate", 5), Corrupt: share("corrupt", 5),
		Reorder: share("reorder", 10), ReorderBy: 30 * time.Millisecond,
		Jitter: time.Duration(rapid.IntRange(0, 20).Draw(t, "jitter")) * time.Millisecond,
	})
	sent := bytes.Repeat([]byte("0123456789abcdef"), rapid.IntRange(1, 4096).Draw(t, "chunks"))
	l, err := server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	w.Go(func(context.Context) {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	})
	c, err := client.Dial("tcp", "203.0.113.10:7")
	for errors.Is(err, syscall.ETIMEDOUT) { // by bad luck seven SYNs were lost, one after the other
		c, err = client.Dial("tcp", "203.0.113.10:7")
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Write(sent)
		c.(*TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("sent %d bytes, got %d back: %v", len(sent), len(got), err)
	}
}

// Faults that cannot be fail the test.
func TestImpossibleFaults(t *testing.T) {
	for name, f := range map[string]Faults{
		"a share above 1":          {Duplicate: 1.5},
		"a negative share":         {Corrupt: -0.1},
		"a negative burst":         {Burst: -1},
		"a negative delay":         {Jitter: -1},
		"reordering by no time":    {Reorder: 0.5},
		"a share that is a number": {Loss: 1}, // the sibling that is let through
	} {
		text := fatal(t, func(tb TB) { New(tb, Config{}).NewLink("wire", 0).SetFaults(f) })
		if possible := f.Loss == 1; possible != (text == "") || (!possible && !strings.HasPrefix(text, "netfake: link wire: ")) {
			t.Errorf("%s: got %q", name, text)
		}
	}
}
