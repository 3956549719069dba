package dnsfake

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"
)

// testServer is a name server of example.com without a machine.
func testServer(t testing.TB) *nameServer {
	d := testZone(t, "www A 192.0.2.1", "alias CNAME www.example.com", "*.wild TXT \"x\"", "dev NS ns.example.net")
	z := &zone{apex: "example.com."}
	z.data.Store(d)
	s := &nameServer{}
	s.add(z)
	return s
}

// ask packs a question, changed by edit, and returns the server's answer.
func ask(t *testing.T, s *nameServer, via transport, edit func(m *dns.Msg)) (*dns.Msg, int) {
	t.Helper()
	q := new(dns.Msg)
	q.Id = 4711
	q.RecursionDesired = true
	q.Question = []dns.Question{{Name: "WWW.Example.com.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
	edit(q)
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := s.handle(b, via)
	if out == nil {
		return nil, 0
	}
	m := new(dns.Msg)
	if err := m.Unpack(out); err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	if m.Id != 4711 || !m.Response || !m.RecursionDesired || m.RecursionAvailable {
		t.Errorf("header is %v", m.MsgHdr)
	}
	return m, len(out)
}

func TestServerHeader(t *testing.T) {
	s := testServer(t)
	for _, test := range []struct {
		name          string
		edit          func(m *dns.Msg)
		rcode         int
		authoritative bool
	}{
		{"an answer, whatever the case", func(m *dns.Msg) {}, dns.RcodeSuccess, true},
		{"NXDOMAIN", func(m *dns.Msg) { m.Question[0].Name = "x.example.com." }, dns.RcodeNameError, true},
		{"a referral has no authority", func(m *dns.Msg) { m.Question[0].Name = "x.dev.example.com." }, dns.RcodeSuccess, false},
		{"another's zone", func(m *dns.Msg) { m.Question[0].Name = "example.org." }, dns.RcodeRefused, false},
		{"another class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused, false},
		{"another operation", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented, false},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError, false},
		{"EDNS version 1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers, false},
	} {
		m, _ := ask(t, s, datagram, test.edit)
		if m.Rcode != test.rcode || m.Authoritative != test.authoritative {
			t.Errorf("%s: %s, authoritative %v", test.name, dns.RcodeToString[m.Rcode], m.Authoritative)
		}
	}
	if m, _ := ask(t, s, datagram, func(m *dns.Msg) { m.Response = true }); m != nil {
		t.Error("a response is answered: two servers would talk for ever")
	}
}

// Values of a simple record come in an order that the question's number decides.
func TestServerRotates(t *testing.T) {
	s := &nameServer{key: 1}
	z := &zone{apex: "example.com."}
	z.data.Store(testZone(t, "www A 192.0.2.1|192.0.2.2|192.0.2.3"))
	s.add(z)
	first := map[string]int{}
	for id := range uint16(300) {
		q := newQuery(question{"www.example.com.", dns.TypeA}, id)
		b, _ := q.Pack()
		once, again := s.handle(b, datagram), s.handle(b, datagram)
		if !bytes.Equal(once, again) {
			t.Fatal("one question has two answers")
		}
		m := new(dns.Msg)
		m.Unpack(once)
		first[m.Answer[0].(*dns.A).A.String()]++
	}
	for ip, n := range first {
		if n < 70 || n > 130 {
			t.Errorf("%s comes first %d times of 300", ip, n)
		}
	}
	if len(first) != 3 {
		t.Errorf("only %v come first", first)
	}
}

// Whatever arrives, a server answers with a message that can be read, or not at all,
// and in a datagram with no more than fits.
func FuzzServer(f *testing.F) {
	s := testServer(f)
	for _, name := range []string{"www.example.com.", "x.wild.example.com.", "a.dev.example.com.", ".", `\000.example.com.`} {
		b, _ := newQuery(question{name, dns.TypeA}, 1).Pack()
		f.Add(b)
		f.Add(b[:len(b)-3])
	}
	f.Add([]byte{})
	f.Add(make([]byte, 12))
	f.Add(bytes.Repeat([]byte{0xc0}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, via := range []transport{datagram, stream} {
			out := s.handle(b, via)
			if out == nil {
				continue
			}
			m := new(dns.Msg)
			if err := m.Unpack(out); err != nil || !m.Response {
				t.Fatalf("%x is answered with %x: %v", b, out, err)
			}
			if via == datagram && len(out) > serverSize {
				t.Fatalf("the answer has %d bytes", len(out))
			}
		}
	})
}
