package dnsfake

import (
	"strings"

	"github.com/miekg/dns"
)

// canonical returns a name as the package keeps it: lower case, with the last dot.
func canonical(name string) string { return dns.CanonicalName(name) }

// within reports whether a name is zone or lies below it.
func within(name, zone string) bool { return dns.IsSubDomain(zone, name) }

// parent returns the name without its first label; the root's parent is the root.
func parent(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// ancestors returns the names from just below zone down to name itself: for
// a.b.example.com in example.com they are b.example.com and a.b.example.com.
func ancestors(name, zone string) []string {
	var up []string
	for n := name; n != zone && n != "."; n = parent(n) {
		up = append(up, n)
	}
	for i, j := 0, len(up)-1; i < j; i, j = i+1, j-1 {
		up[i], up[j] = up[j], up[i]
	}
	return up
}

// isWildcard reports whether the first label of a name is an asterisk and nothing else.
func isWildcard(name string) bool { return strings.HasPrefix(name, "*.") }

// shown returns a name as the Route 53 API prints it: the asterisk in octal.
func shown(name string) string { return strings.ReplaceAll(name, "*", `\052`) }

// checkName returns what is wrong with a name, as the API says it. A label has at most
// 63 bytes, a name 255 with its dots.
func checkName(name string) error {
	if name == "" || name == "." {
		return changeError("FATAL problem: DomainNameEmpty (Domain name is empty) encountered with '%s'", name)
	}
	if _, ok := dns.IsDomainName(name); !ok || strings.HasPrefix(name, ".") {
		return changeError("FATAL problem: InvalidDomainName (Domain name is malformed, longer than 255 bytes, or has a label longer than 63) encountered with '%s'", name)
	}
	return nil
}
