package fabricfake

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// ntpTime reads a time as NTP writes it, of its first era.
func ntpTime(b []byte) time.Time {
	seconds := int64(binary.BigEndian.Uint32(b)) + ntpEpoch
	fraction := uint64(binary.BigEndian.Uint32(b[4:]))
	return time.Unix(seconds, int64((fraction*uint64(time.Second)+1<<31)>>32))
}

// sntp asks for the time as RFC 5905 section 14 says, and returns how far the clock is off
// and how long the packets were under way.
func sntp(t *testing.T, w *netfake.World, h *netfake.Host, addr string) (offset, delay time.Duration) {
	t.Helper()
	conn, err := h.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b [48]byte
	b[0] = 4<<3 | ntpClient
	sent := w.Time(w.Now())
	putNTPTime(b[40:], sent)
	mine := bytes.Clone(b[40:])
	conn.Write(b[:])
	conn.SetReadDeadline(time.Now().Add(time.Second))
	n, err := conn.Read(b[:])
	back := w.Time(w.Now())
	switch {
	case err != nil || n != 48:
		t.Fatalf("%d bytes, %v", n, err)
	case b[0] != 4<<3|ntpServer || b[1] != ntpStratum:
		t.Errorf("leap, version and mode are %#x, the stratum is %d", b[0], b[1])
	case !bytes.Equal(b[24:32], mine):
		t.Error("the answer is to another question")
	}
	received, answered := ntpTime(b[32:]), ntpTime(b[40:])
	if set := ntpTime(b[16:]); set.After(received) || received.Sub(set) >= ntpPoll {
		t.Errorf("the clock was set at %v, and it is %v", set, received)
	}
	offset = (received.Sub(sent) + answered.Sub(back)) / 2
	return offset, back.Sub(sent) - answered.Sub(received)
}

// The service has the time that the world has, to the nanosecond, over either family.
func TestTimeSync(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		for _, addr := range []string{"169.254.169.123:123", "[fd00:ec2::123]:123"} {
			w.Sleep(123456789 * time.Nanosecond)
			offset, delay := sntp(t, w, b.app.Host, addr)
			if offset != 0 || delay != 2*LatencyHost {
				t.Errorf("%s: off by %v, after %v", addr, offset, delay)
			}
		}
	})
}

// What a client sends is answered in its version; other packets are not.
func TestTellTime(t *testing.T) {
	now := time.Date(2036, 2, 7, 6, 28, 16, 500_000_000, time.UTC) // era 1 begins
	for _, row := range []struct {
		rule string
		head byte
		len  int
		want byte // the first byte of the answer, 0 for none
	}{
		{"version 4", 4<<3 | 3, 48, 4<<3 | 4},
		{"version 3", 3<<3 | 3, 48, 3<<3 | 4},
		{"version 1", 1<<3 | 3, 48, 1<<3 | 4},
		{"a client that does not know the time", 3<<6 | 4<<3 | 3, 48, 4<<3 | 4},
		{"with extensions", 4<<3 | 3, 68, 4<<3 | 4},
		{"version 0", 3, 48, 0},
		{"version 5", 5<<3 | 3, 48, 0},
		{"a server", 4<<3 | 4, 48, 0},
		{"a control message", 4<<3 | 6, 48, 0},
		{"too short", 4<<3 | 3, 47, 0},
		{"nothing", 0, 0, 0},
	} {
		in := make([]byte, max(row.len, 1))
		in[0] = row.head
		out, ok := tellTime(in[:row.len], now)
		if ok != (row.want != 0) || out[0] != row.want {
			t.Errorf("%s: %v, %#x, want %#x", row.rule, ok, out[0], row.want)
		}
		if got := binary.BigEndian.Uint64(out[40:]); ok && got != 1<<31 {
			t.Errorf("%s: half a second into the era is %#x", row.rule, got)
		}
	}
}

// Whatever the service is sent, it answers what a client asks, and nothing else.
func FuzzTellTime(f *testing.F) {
	for _, head := range []byte{4<<3 | 3, 3, 4<<3 | 6} {
		f.Add(append([]byte{head}, make([]byte, ntpLen-1)...))
	}
	f.Add([]byte{4<<3 | 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		out, ok := tellTime(in, time.Unix(0, 0))
		if asks := len(in) >= ntpLen && in[0]&7 == ntpClient && in[0]>>3&7 >= 1 && in[0]>>3&7 <= 4; ok != asks {
			t.Fatalf("% x is answered: %v", in, ok)
		}
		if ok && (!bytes.Equal(out[24:32], in[40:48]) || out[0]&7 != ntpServer) {
			t.Fatalf("% x is answered % x", in, out)
		}
	})
}
