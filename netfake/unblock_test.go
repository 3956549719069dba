package netfake

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// obstructed is a connection whose retransmission timeout is settled, and what a refusal of
// the server's last mile does to it.
type obstructed struct {
	w    *World
	mile *Link
	conn net.Conn
	rto  time.Duration
}

func newObstructed(t *testing.T, w *World, hosts func(*World) (server, client *Host)) *obstructed {
	t.Helper()
	server, client := hosts(w)
	echoServer(t, server, ":7")
	o := &obstructed{w, server.Uplink().Link(), dialTCPFrom(t, client, server.TCP(7).Addr.String()), 2*oneWay + 200*time.Millisecond}
	o.conn.Write([]byte("x"))
	if _, err := io.ReadFull(o.conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return o
}

// ask sends a byte and returns how long its echo took, or the error.
func (o *obstructed) ask() (time.Duration, error) {
	began := o.w.Now()
	o.conn.Write([]byte("x"))
	_, err := io.ReadFull(o.conn, make([]byte, 1))
	return o.w.Now() - began, err
}

// A connection whose way is gone for half a minute, as routers say, asks all the time and
// goes on at once: RFC 6069 as Linux (6.18) has it, where the network, or over IPv4 the host,
// is unreachable. After other errors, as after silence, it asks ever more rarely.
func TestUnreachableForAWhile(t *testing.T) {
	for _, row := range []struct {
		kind  ICMPKind
		hosts func(*World) (server, client *Host)
		soon  bool
	}{
		{NetUnreachable, twoHosts, true},
		{HostUnreachable, twoHosts, true},
		{AdminProhibited, twoHosts, false},
		{PortUnreachable, twoHosts, false},
		{NoICMP, twoHosts, false},
		{NetUnreachable, onlyIPv6, true},
		{HostUnreachable, onlyIPv6, false},
	} {
		Run(t, func(t *testing.T, w *World) {
			o := newObstructed(t, w, row.hosts)
			const outage = 30 * time.Second
			fault := o.mile.Partition
			if row.kind != NoICMP {
				fault = func() *Fault { return o.mile.Refuse(row.kind) }
			}
			begun := fault()
			time.AfterFunc(outage, func() { begun.Undo() })
			took, err := o.ask()
			last := o.rto // when the first goes that passes
			for step := o.rto; last+oneWay-LastMile < outage; last += step {
				if !row.soon {
					step *= 2
				}
			}
			if err != nil || took != last+2*oneWay {
				t.Errorf("%v: after %v, %v, want %v", row.kind, took, err, last+2*oneWay)
			}
		})
	}
}

// If it stays unreachable the connection ends as late as after silence, by the clock of
// Linux's net.ipv4.tcp_retries2: 924.4 s after the first retransmission, as late as a
// connection whose timeout begins at 200 ms.
func TestUnreachableForGood(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		o := newObstructed(t, w, twoHosts)
		o.mile.Refuse(HostUnreachable)
		took, err := o.ask()
		want(t, "an open connection", err, syscall.EHOSTUNREACH)
		last := o.rto
		for last-o.rto < 924400*time.Millisecond {
			last += o.rto
		}
		if took != last {
			t.Errorf("after %v, want %v", took, last)
		}
	})
}
