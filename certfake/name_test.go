package certfake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCheckNames(t *testing.T) {
	long := strings.Repeat("a", 60)
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = fmt.Sprintf("n%d.example.com", i)
	}
	for _, test := range []struct {
		names []string
		want  string // a part of the error, or the names that are left
	}{
		{[]string{"example.com"}, "example.com"},
		// Names are lower case, each once, in the order of the request.
		{[]string{"Example.com", "*.example.com", "EXAMPLE.COM"}, "example.com *.example.com"},
		{[]string{"xn--bcher-kva.example"}, "xn--bcher-kva.example"},
		// At most ten by the default quota.
		{eleven[:10], strings.Join(eleven[:10], " ")},
		{eleven, "LimitExceededException: 11 names"},
		// A wildcard is the whole first label, once.
		{[]string{"*.*.example.com"}, "an asterisk may only be"},
		{[]string{"www.*.example.com"}, "an asterisk may only be"},
		{[]string{"w*.example.com"}, "an asterisk may only be"},
		{[]string{"*.com"}, "com is not a fully qualified"},
		{[]string{"com"}, "com is not a fully qualified"},
		{[]string{""}, "not a fully qualified"},
		// A label has 1 to 63 of letters, digits and hyphens inside; only Punycode has xx--.
		{[]string{"a..example.com"}, "a label has 1 to 63"},
		{[]string{"x.org", strings.Repeat("a", 64) + ".example.com"}, "a label has 1 to 63"},
		{[]string{"-a.example.com"}, "begins or ends with a hyphen"},
		{[]string{"a-.example.com"}, "begins or ends with a hyphen"},
		{[]string{"ab--c.example.com"}, "is not Punycode"},
		{[]string{"a_b.example.com"}, "not a letter, a digit or a hyphen"},
		{[]string{"bücher.example"}, "not a letter, a digit or a hyphen"},
		{[]string{"example.com."}, "a label has 1 to 63"},
		// The first name has at most 64 characters, the others 253.
		{[]string{long + ".x.org"}, "the first name may have 64 characters"},
		{[]string{"x.org", long + ".x.org"}, "x.org " + long + ".x.org"},
		{[]string{"x.org", strings.Repeat("abcdefg.", 32) + "org"}, "at most 253 characters"},
		// Nothing under Amazon's own domains.
		{[]string{"web.us-east-1.elb.amazonaws.com"}, "no certificates for names under amazonaws.com"},
		{[]string{"*.cloudfront.net"}, "no certificates for names under cloudfront.net"},
		{[]string{"notamazonaws.com"}, "notamazonaws.com"},
	} {
		names, err := checkNames(test.names)
		if err != nil && !strings.Contains(err.Error(), test.want) || err == nil && !slices.Equal(names, strings.Fields(test.want)) {
			t.Errorf("%v: %v, %v, want %s", test.names, names, err, test.want)
		}
	}
}
