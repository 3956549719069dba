package netfake

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// dialPair opens a connection between two hosts and returns both its ends. The accepted
// one has just heard of the other, which has heard of it a one-way delay ago.
func dialPair(t *testing.T, w *World, d Dialer) (server, client *Host, c, s *TCPConn) {
	t.Helper()
	server, client = twoHosts(w)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	d.Host = client
	dialled, err := d.DialContext(t.Context(), "tcp", "203.0.113.10:80")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return server, client, dialled.(*TCPConn), accepted.(*TCPConn)
}

// Who reads from a host that has crashed learns of it by the keep-alives: by default nine,
// 15 s apart, the first after 15 s of silence.
func TestKeepAliveFindsCrash(t *testing.T) {
	config := func(cfg net.KeepAliveConfig) func(*TCPConn) {
		return func(c *TCPConn) { c.SetKeepAliveConfig(cfg) }
	}
	for _, row := range []struct {
		rule   string
		world  time.Duration
		dialer time.Duration
		set    func(c *TCPConn)
		after  time.Duration // of silence the read fails
	}{
		{"net's default: 15 s + 9 * 15 s", 0, 0, nil, 150 * time.Second},
		{"net.Dialer.KeepAlive is the silence before the first", 0, time.Minute, nil, 195 * time.Second},
		{"Config.KeepAlive is the same for all", time.Minute, 0, nil, 195 * time.Second},
		{"the dialer's own goes before it", -1, 30 * time.Second, nil, 165 * time.Second},
		{"SetKeepAlivePeriod is the silence too, in whole seconds", 0, 0, func(c *TCPConn) {
			c.SetKeepAlivePeriod(100*time.Second + time.Millisecond)
		}, 236 * time.Second},
		{"SetKeepAlivePeriod turns nothing on", -1, 0, func(c *TCPConn) {
			c.SetKeepAlivePeriod(time.Second)
			c.SetKeepAlive(true)
		}, 676 * time.Second},
		{"net.ipv4.tcp_keepalive_time, _intvl and _probes where net sets nothing", 0, -1, func(c *TCPConn) {
			c.SetKeepAlive(true)
		}, 2*time.Hour + 9*75*time.Second},
		{"SetKeepAliveConfig", 0, 0, config(net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 2 * time.Second, Count: 4}), 11 * time.Second},
		{"its zeros are the defaults", 0, time.Hour, config(net.KeepAliveConfig{Enable: true}), 150 * time.Second},
		{"its negatives change nothing", 0, time.Minute, config(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}), 195 * time.Second},
	} {
		RunConfig(t, Config{KeepAlive: row.world}, func(t *testing.T, w *World) {
			server, _, c, _ := dialPair(t, w, Dialer{KeepAlive: row.dialer})
			began := w.Now() - oneWay
			if row.set != nil {
				row.set(c)
			}
			server.Crash()
			_, err := c.Read(make([]byte, 1))
			if took := w.Now() - began; !errors.Is(err, syscall.ETIMEDOUT) || took != row.after {
				t.Errorf("%s: %v after %v, want ETIMEDOUT after %v", row.rule, err, took, row.after)
			}
		})
	}
}

// Without keep-alives nobody learns of a crash by waiting.
func TestKeepAliveOff(t *testing.T) {
	for _, row := range []struct {
		rule string
		cfg  Config
		d    Dialer
		off  func(c *TCPConn)
	}{
		{"Config.KeepAlive", Config{KeepAlive: -1}, Dialer{}, nil},
		{"Dialer.KeepAlive", Config{}, Dialer{KeepAlive: -1}, nil},
		{"SetKeepAlive", Config{}, Dialer{}, func(c *TCPConn) { c.SetKeepAlive(false) }},
		{"SetKeepAliveConfig", Config{}, Dialer{}, func(c *TCPConn) { c.SetKeepAliveConfig(net.KeepAliveConfig{}) }},
	} {
		RunConfig(t, row.cfg, func(t *testing.T, w *World) {
			server, _, c, _ := dialPair(t, w, row.d)
			if row.off != nil {
				row.off(c)
			}
			server.Crash()
			c.SetReadDeadline(time.Now().Add(1000 * time.Hour))
			var timeout net.Error
			if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("%s: %v, want the deadline", row.rule, err)
			}
		})
	}
}

// The end that accepts asks too, from when it accepts.
func TestKeepAliveOfListener(t *testing.T) { Run(t, testKeepAliveOfListener) }

func testKeepAliveOfListener(t *testing.T, w *World) {
	_, client, _, s := dialPair(t, w, Dialer{KeepAlive: -1})
	heard := w.Now()
	client.Crash()
	_, err := s.Read(make([]byte, 1))
	if at := w.Now(); !errors.Is(err, syscall.ETIMEDOUT) || at != heard+150*time.Second {
		t.Errorf("%v at %v, want ETIMEDOUT at %v", err, at, heard+150*time.Second)
	}
}

// What the kernel refuses leaves what was set.
func TestKeepAliveRefused(t *testing.T) { Run(t, testKeepAliveRefused) }

func testKeepAliveRefused(t *testing.T, w *World) {
	_, _, c, _ := dialPair(t, w, Dialer{KeepAlive: 10 * time.Hour})
	if c.keepAlive != (keepAlive{true, kernelKeepAlive.KeepAlive}) {
		t.Errorf("a dialer's time that is refused leaves %+v", c.keepAlive)
	}
	const most = 32767 * time.Second
	want(t, "the longest silence", c.SetKeepAlivePeriod(most), nil)
	want(t, "a longer one", c.SetKeepAlivePeriod(most+1), syscall.EINVAL)
	want(t, "a longer interval", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: most + 1}), syscall.EINVAL)
	want(t, "more probes", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Count: 128}), syscall.EINVAL)
	want(t, "as many as may be", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Count: 127}), nil)
	if got := c.keepAlive.KeepAlive; got.Idle != most || got.Interval != 15*time.Second || got.Count != 127 {
		t.Errorf("what was not refused is %+v", got)
	}
}

// What was written and is not acknowledged is sent again instead, which takes longer:
// net.ipv4.tcp_retries2.
func TestNoKeepAliveBehindData(t *testing.T) { Run(t, testNoKeepAliveBehindData) }

func testNoKeepAliveBehindData(t *testing.T, w *World) {
	server, _, c, _ := dialPair(t, w, Dialer{})
	server.Crash()
	began := w.Now()
	c.Write([]byte("x"))
	_, err := c.Read(make([]byte, 1))
	// The timeout is the round trip and 200 ms, doubled ten times, then 120 s.
	rto := 2*oneWay + 200*time.Millisecond
	var all time.Duration
	for range 16 {
		all += min(rto, 120*time.Second)
		rto *= 2
	}
	if took := w.Now() - began; !errors.Is(err, syscall.ETIMEDOUT) || took != all {
		t.Errorf("%v after %v, want ETIMEDOUT after %v", err, took, all)
	}
}
