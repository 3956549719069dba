package netfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A test that is deadlocked ends with its explanation, though connections ask one another
// for ever whether they are still there, or whether a window has opened.
func TestDeadlockWithConnections(t *testing.T) {
	if os.Getenv("NETFAKE_DEADLOCK") != "" {
		Run(t, deadlock)
		return
	}
	run := exec.Command(os.Args[0], "-test.run=^TestDeadlockWithConnections$", "-test.timeout=20s")
	run.Env = append(os.Environ(), "NETFAKE_DEADLOCK=1")
	out, err := run.CombinedOutput()
	if err == nil {
		t.Errorf("the deadlock passed:\n%s", out)
	}
	for _, says := range []string{"netfake: deadlock:", "netfake.deadlock", "rest_test.go"} {
		if !strings.Contains(string(out), says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
}

func deadlock(t *testing.T, w *World) {
	_, _, c, s := dialPair(t, w, Dialer{})
	for _, h := range []*Host{c.host, s.host} {
		h.Uplink().Link().SetBandwidth(Bandwidth{Bits: 1e9})
	}
	go c.Write(make([]byte, 2<<20)) // more than the window, and nobody reads it
	s.CloseWrite()
	go c.Read(make([]byte, 1))
	<-make(chan struct{})
}

// restless has an application call now and then, so that the world never rests.
func restless(w *World) {
	w.Go(func(ctx context.Context) {
		for ctx.Err() == nil {
			w.Events()
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Minute):
			}
		}
	})
}

// aDay is an idle connection, and then a word. It returns what was seen.
func aDay(t *testing.T, rests bool) (capture, rest string) {
	var out bytes.Buffer
	RunConfig(t, Config{Seed: 1}, func(t *testing.T, w *World) {
		server, client, c, s := dialPair(t, w, Dialer{})
		client.Uplink().Link().SetFaults(Faults{Loss: 0.05, Jitter: time.Millisecond})
		if !rests {
			restless(w)
		}
		file := w.Capture(&out, nil)
		time.Sleep(24 * time.Hour)
		c.Write([]byte("x"))
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		rest = fmt.Sprintf("%v %v %+v %+v", w.Now(), w.Events(), c.machine.Stats(), server.Uplink().Link().Stats())
		file.Stop()
	})
	return out.String(), rest
}

// Nothing tells that a world has rested: what it slept through has happened at its time.
func TestRestUnseen(t *testing.T) {
	capture, rest := aDay(t, true)
	wantCapture, want := aDay(t, false)
	if rest != want {
		t.Errorf("after a rest   %s\nwithout a rest %s", rest, want)
	}
	if capture != wantCapture {
		t.Error("the captures differ")
	}
	if len(capture) < 24*3600/15*2*60 {
		t.Errorf("a capture of %d bytes: the keep-alives are not in it", len(capture))
	}
}

// A month with idle connections passes quickly, and they are as good as new.
func TestIdleMonth(t *testing.T) { Run(t, testIdleMonth) }

func testIdleMonth(t *testing.T, w *World) {
	_, _, c, s := dialPair(t, w, Dialer{})
	time.Sleep(30 * 24 * time.Hour)
	if !w.resting() {
		t.Error("the world did not rest")
	}
	c.Write([]byte("x"))
	if n, err := s.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// resting reports whether the world has put something off.
func (w *World) resting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rest.rests
}

// While the world rests it meets deadlines and timers at their time, and what it has put
// off comes before them.
func TestRestEnds(t *testing.T) { Run(t, testRestEnds) }

func testRestEnds(t *testing.T, w *World) {
	_, _, c, _ := dialPair(t, w, Dialer{})
	const day = 24 * time.Hour
	var at time.Duration
	var heard uint64
	timer := w.NewTimer("test", func(now time.Duration) { at, heard = now, c.machine.Stats().Received })
	w.Do(func(time.Duration) { timer.Set(3 * day) })
	c.SetReadDeadline(w.Time(2 * day))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || w.Now() != 2*day {
		t.Errorf("%v at %v, want the deadline at %v", err, w.Now(), 2*day)
	}
	time.Sleep(2 * day)
	w.Events()
	if at != 3*day || heard < 3*24*3600/16 {
		t.Errorf("the timer went off at %v, when %d segments had come", at, heard)
	}
}

// However rare a connection's keep-alives are, the world does not rest before they could
// have found a crash.
func TestRestWaitsForKeepAlive(t *testing.T) { Run(t, testRestWaitsForKeepAlive) }

func testRestWaitsForKeepAlive(t *testing.T, w *World) {
	server, _, c, _ := dialPair(t, w, Dialer{KeepAlive: 9 * time.Hour})
	began := w.Now() - oneWay
	server.Crash()
	_, err := c.Read(make([]byte, 1))
	if took := w.Now() - began; !errors.Is(err, syscall.ETIMEDOUT) || took != 9*time.Hour+135*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}
