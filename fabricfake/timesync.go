package fabricfake

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"
)

// The Amazon Time Sync Service as an SNTP client sees it. That the service is of stratum 3
// shows in https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-ec2-ntp.html; that
// it names 169.254.169.122 as its own source, and its delay and dispersion, are the model's.
const (
	ntpPort      = 123
	ntpLen       = 48 // RFC 5905 section 7.3, without extensions and a digest
	ntpClient    = 3  // modes
	ntpServer    = 4
	ntpStratum   = 3
	ntpPrecision = -20 // 2 to that power of a second: a microsecond
	ntpPoll      = 16 * time.Second
	ntpRoot      = 16 // delay and dispersion, in seconds times 65536: a quarter of a millisecond
)

var timeSource = [4]byte{169, 254, 169, 122}

// serveTime answers NTP at an address with the time that all hosts of the world have.
func (s *localServices) serveTime(addr netip.Addr) {
	w := s.region.world
	w.TB().Helper()
	conn, err := s.host.ListenPacket("udp", netip.AddrPortFrom(addr, ntpPort).String())
	if err != nil {
		w.TB().Fatalf("fabricfake: the time of region %s: %v", s.region.name, err)
	}
	w.OnClose(func() { conn.Close() })
	w.Go(func(context.Context) {
		var in [1500]byte
		for {
			n, from, err := conn.ReadFrom(in[:])
			if err != nil {
				return
			}
			if out, ok := tellTime(in[:n], w.Time(w.Now())); ok {
				conn.WriteTo(out[:], from)
			}
		}
	})
}

// tellTime answers an NTP packet of a client at a time; false for anything else, which is
// not answered.
func tellTime(request []byte, now time.Time) (out [ntpLen]byte, ok bool) {
	if len(request) < ntpLen {
		return out, false
	}
	mode, version := request[0]&7, request[0]>>3&7
	if mode != ntpClient || version < 1 || version > 4 {
		return out, false
	}
	precision := int8(ntpPrecision)
	out[0] = version<<3 | ntpServer // no leap second is announced
	out[1] = ntpStratum
	out[2] = request[2] // how often the client asks
	out[3] = byte(precision)
	binary.BigEndian.PutUint32(out[4:], ntpRoot)
	binary.BigEndian.PutUint32(out[8:], ntpRoot)
	copy(out[12:], timeSource[:])
	putNTPTime(out[16:], now.Truncate(ntpPoll)) // when its own clock was set
	copy(out[24:32], request[40:48])            // when the client asked
	putNTPTime(out[32:], now)                   // received
	putNTPTime(out[40:], now)                   // sent
	return out, true
}

// ntpEpoch is the Unix time at which NTP's era 0 begins: 1900-01-01.
const ntpEpoch = -2208988800

// putNTPTime writes a time as NTP does: seconds modulo 2^32, and a fraction of 2^32.
func putNTPTime(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()-ntpEpoch))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/uint64(time.Second)))
}
