package netfake

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tellPort answers datagrams with what they say and the port that they came from.
func tellPort(in datagramSocket) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := in.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		in.WriteToUDPAddrPort(fmt.Appendf(nil, "%s from %d", b[:n], from.Port()), from)
	}
}

// ask sends a datagram and returns the port that it came from.
func ask(t *testing.T, c net.Conn, text string) (port uint16) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(b[:n]), text+" from %d", &port); err != nil {
		t.Fatalf("%q was answered with %q", text, b[:n])
	}
	return port
}

// Over UDP each source has a socket of its own on the other side, and its answers.
func TestBridgeUDP(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	kernel, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	go tellPort(kernel)
	server.Lend("udp", ":9001", kernel.LocalAddr().String())
	in := openUDP(t, server, 9000)
	w.Go(func(context.Context) { tellPort(in) })
	at := client.Inlet("udp", "203.0.113.10:9000").String()
	for name, dial := range map[string]func() (net.Conn, error){
		"Inlet": func() (net.Conn, error) { return net.Dial("udp4", at) },
		"Lend":  func() (net.Conn, error) { return client.Dial("udp", "203.0.113.10:9001") },
	} {
		var ports []uint16
		var sources []net.Conn
		for range 3 {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			sources = append(sources, c)
			ports = append(ports, ask(t, c, "first"))
		}
		if slices.Sort(ports); len(slices.Compact(slices.Clone(ports))) != 3 {
			t.Errorf("%s: three sources come from the ports %d", name, ports)
		}
		for _, c := range sources {
			if port := ask(t, c, "second"); !slices.Contains(ports, port) {
				t.Errorf("%s: a source went on from port %d, it began from one of %d", name, port, ports)
			}
		}
	}
}

// A datagram that is too large for a packet crosses in fragments, and so does its answer.
func TestInletLargeDatagram(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	in := openUDP(t, server, 9000)
	w.Go(func(context.Context) { tellPort(in) })
	c, err := net.Dial("udp4", client.Inlet("udp", "203.0.113.10:9000").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, strings.Repeat("large", 2000))
	ask(t, c, "small")
}

// A UDP conversation keeps its socket until neither side said anything for two minutes, to
// the nanosecond; a refused datagram does not end it. The relay does not care which side is
// real, so that here both are in virtual time.
func TestBridgeIdle(t *testing.T) { Run(t, testBridgeIdle) }

func testBridgeIdle(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, client, 53)
	b := &bridge{host: client, network: "udp", idle: bridgeIdle, dial: func(ctx context.Context) (net.Conn, error) {
		return client.DialContext(ctx, "udp", "203.0.113.10:9000")
	}}
	w.Go(func(ctx context.Context) { b.relay(ctx, in) })
	sockets := func() (n int) {
		synctest.Wait()
		w.Do(func(time.Duration) { n = len(client.udp) })
		return n
	}
	c := dialUDPFrom(t, client, 1000, in)
	c.Write([]byte("nobody is there"))
	time.Sleep(time.Minute)
	port := w.Drops()[0].Flow.Src.Port()
	service := openUDP(t, server, 9000)
	for range 3 {
		c.Write([]byte("not answered"))
		time.Sleep(bridgeIdle - 1)
		if _, from, err := service.ReadFromUDPAddrPort(nil); from.Port() != port || err != nil {
			t.Errorf("the conversation went on from %v, it began from port %d; %v", from, port, err)
		}
	}
	w.Go(func(context.Context) { tellPort(service) })
	if again := ask(t, c, "answered"); again != port {
		t.Errorf("the conversation went on from port %d, it began from %d", again, port)
	}
	time.Sleep(bridgeIdle - 1)
	if n := sockets(); n != 3 {
		t.Errorf("%d sockets before the time is up, want 3", n)
	}
	time.Sleep(time.Nanosecond)
	if n := sockets(); n != 2 {
		t.Errorf("%d sockets when the time is up, want 2", n)
	}
	if again := ask(t, c, "afterwards"); again == port {
		t.Errorf("a new conversation comes from the old one's port %d", port)
	}
}
