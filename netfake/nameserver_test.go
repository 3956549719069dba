package netfake

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone answers questions for A and AAAA records: "1.2.3.4", "2001:db8::1", "→ other.name",
// "truncated", "silence" or "broken", or "AAAA silence" for one type alone. A name that
// it does not have does not exist.
type zone map[string][]string

// serveZone runs a name server on a host, over UDP and TCP, and counts its questions.
func serveZone(t *testing.T, h *Host, z zone) (asked func() (udp, tcp int)) {
	t.Helper()
	var udp, tcp int
	serveNames(t, h, func(query []byte, network string, send func([]byte)) {
		asked := &udp
		if network == "tcp" {
			asked = &tcp
		}
		*asked++
		if reply := z.answer(query, network); reply != nil {
			send(reply)
		}
	})
	return func() (int, int) { return udp, tcp }
}

// answer follows the zone's CNAMEs as a recursive resolver does.
func (z zone) answer(query []byte, network string) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil {
		return nil
	}
	m.Response, m.RecursionAvailable = true, true
	m.Additionals = nil
	name, typ := m.Questions[0].Name, m.Questions[0].Type
	for {
		records, ok := z[strings.TrimSuffix(name.String(), ".")]
		if !ok {
			m.RCode = dnsmessage.RCodeNameError
			break
		}
		head := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}
		alias := ""
		for _, r := range records {
			if of, only, found := strings.Cut(r, " "); found && strings.HasPrefix(of, "A") {
				if "Type"+of != typ.String() {
					continue
				}
				r = only
			}
			other, isAlias := strings.CutPrefix(r, "→ ")
			switch {
			case isAlias:
				alias = other + "."
				body := dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(alias)}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &body})
			case r == "silence":
				return nil
			case r == "broken":
				m.RCode = dnsmessage.RCodeServerFailure
			case r == "truncated" && network == "udp":
				m.Truncated = true
			case r == "truncated":
			case typ == dnsmessage.TypeA && !strings.Contains(r, ":"):
				body := dnsmessage.AResource{A: netip.MustParseAddr(r).As4()}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &body})
			case typ == dnsmessage.TypeAAAA && strings.Contains(r, ":"):
				body := dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(r).As16()}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &body})
			}
		}
		if alias == "" || len(m.Answers) > 10 {
			break
		}
		name = dnsmessage.MustNewName(alias)
	}
	b, _ := m.Pack()
	return b
}

// lower makes the zone answer whatever the case of the question.
func lower(z zone) zone {
	all := zone{"A.Example": {"192.0.2.1"}}
	for name, records := range z {
		all[name] = records
	}
	return all
}

// script is a name server that answers each question with messages of a test's choice.
type script func(q dnsmessage.Message, network string) []dnsmessage.Message

// serveScript runs a script on a host, over UDP and TCP.
func serveScript(t *testing.T, h *Host, s script) {
	t.Helper()
	reply := func(query []byte, network string, send func([]byte)) {
		var m dnsmessage.Message
		if m.Unpack(query) != nil {
			return
		}
		for _, a := range s(m, network) {
			if b, err := a.Pack(); err == nil {
				send(b)
			}
		}
	}
	serveNames(t, h, reply)
}

// serveNames has a host take questions at port 53, over UDP and TCP.
func serveNames(t *testing.T, h *Host, reply func(query []byte, network string, send func([]byte))) {
	t.Helper()
	pc, err := h.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.Listen("tcp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	h.World().Go(func(context.Context) {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			reply(b[:n], "udp", func(b []byte) { pc.WriteTo(b, from) })
		}
	})
	h.World().Go(func(context.Context) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			io.ReadFull(c, size[:])
			b := make([]byte, binary.BigEndian.Uint16(size[:]))
			io.ReadFull(c, b)
			reply(b, "tcp", func(b []byte) {
				c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
			})
			c.Close()
		}
	})
}

// respond begins the answer of a recursive server.
func respond(q dnsmessage.Message) dnsmessage.Message {
	q.Response, q.RecursionAvailable, q.Additionals = true, true, nil
	return q
}

// record adds "name type value" to an answer.
func record(m *dnsmessage.Message, text string) {
	f := strings.Fields(text)
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(f[0]), Class: dnsmessage.ClassINET}}
	switch f[1] {
	case "A":
		r.Body = &dnsmessage.AResource{A: netip.MustParseAddr(f[2]).As4()}
	case "AAAA":
		r.Body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[2]).As16()}
	case "CNAME":
		r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[2])}
	}
	m.Answers = append(m.Answers, r)
}

// crooked is a server whose answers depend on the first label of the name.
func crooked(q dnsmessage.Message, network string) []dnsmessage.Message {
	name, typ := q.Questions[0].Name.String(), q.Questions[0].Type
	m := respond(q)
	address := func(typ dnsmessage.Type) {
		if typ == dnsmessage.TypeA {
			record(&m, name+" A 192.0.2.1")
		} else {
			record(&m, name+" AAAA 2001:db8::1")
		}
	}
	wrong := respond(q)
	switch label, _, _ := strings.Cut(name, "."); label {
	case "both":
		address(typ)
	case "four":
		if typ == dnsmessage.TypeA {
			address(typ)
		}
	case "six":
		if typ == dnsmessage.TypeAAAA {
			address(typ)
		}
	case "many":
		for i := range 20 {
			record(&m, fmt.Sprintf("%s A 192.0.2.%d", name, 100-i))
		}
	case "alias":
		record(&m, name+" CNAME next.example.")
		record(&m, "next.example. CNAME last.example.")
		record(&m, "last.example. A 192.0.2.2")
	case "dangling":
		record(&m, name+" CNAME nowhere.example.")
	case "loop":
		record(&m, name+" CNAME back.example.")
		record(&m, "back.example. CNAME "+name)
	case "unrelated":
		record(&m, "other.example. A 192.0.2.3")
	case "mixed":
		record(&m, name+" A 192.0.2.4")
		record(&m, name+" AAAA 2001:db8::4")
	case "empty":
	case "nx":
		m.RCode = dnsmessage.RCodeNameError
	case "nxalias":
		record(&m, name+" CNAME nowhere.example.")
		m.RCode = dnsmessage.RCodeNameError
	case "servfail":
		m.RCode = dnsmessage.RCodeServerFailure
	case "refused":
		m.RCode = dnsmessage.RCodeRefused
	case "halfsick":
		m.RCode = dnsmessage.RCodeServerFailure
		if typ == dnsmessage.TypeA {
			m.RCode = 0
			address(typ)
		}
	case "badvers":
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(1232, dnsmessage.RCode(16), false)
		m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}})
	case "lame":
		m.RecursionAvailable = false
	case "notrecursive":
		m.RecursionAvailable, m.Authoritative = false, true
	case "cut":
		m.Truncated = network == "udp"
		if network == "tcp" {
			address(typ)
		}
	case "alwayscut":
		m.Truncated = true
		address(typ)
	case "wrongid":
		wrong.ID++
		wrong.RCode = dnsmessage.RCodeNameError
		address(typ)
		return []dnsmessage.Message{wrong, m}
	case "wrongname":
		wrong.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("evil.example."), Type: typ, Class: dnsmessage.ClassINET}}
		address(typ)
		return []dnsmessage.Message{wrong, m}
	case "wrongtype":
		wrong.Questions = []dnsmessage.Question{{Name: q.Questions[0].Name, Type: dnsmessage.TypeMX, Class: dnsmessage.ClassINET}}
		address(typ)
		return []dnsmessage.Message{wrong, m}
	case "noanswer":
		wrong.Response = false
		address(typ)
		return []dnsmessage.Message{wrong, m}
	case "twoquestions":
		m.Questions = append(slices.Clone(m.Questions), m.Questions[0])
		address(typ)
	case "wrongidtcp":
		m.Truncated = network == "udp"
		if network == "tcp" {
			m.ID++
		}
	case "shout":
		m.Questions = slices.Clone(m.Questions)
		m.Questions[0].Name = dnsmessage.MustNewName(strings.ToUpper(name))
		address(typ)
	case "mapped":
		record(&m, name+" AAAA ::ffff:192.0.2.9")
	}
	return []dnsmessage.Message{m}
}
