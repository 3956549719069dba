package certfake

import (
	"errors"
	"testing"
)

func TestPermitted(t *testing.T) {
	amazon, other := `0 issue "amazon.com"`, `0 issue "letsencrypt.org"`
	for _, test := range []struct {
		name string
		zone map[string][]string
		want bool
	}{
		// Without records anybody may issue.
		{"www.example.com", nil, true},
		{"www.example.com", map[string][]string{"www.example.com.": {amazon}}, true},
		{"www.example.com", map[string][]string{"www.example.com.": {other}}, false},
		{"www.example.com", map[string][]string{"www.example.com.": {other, amazon}}, true},
		// Any of the authority's four names.
		{"example.com", map[string][]string{"example.com.": {`0 issue "amazontrust.com"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`0 issue "awstrust.com"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`0 issue "amazonaws.com; policy=x"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`0 issue "notamazon.com"`}}, false},
		// The nearest name that has records decides, up to the top-level domain (RFC
		// 8659 section 3).
		{"a.b.example.com", map[string][]string{"example.com.": {other}}, false},
		{"a.b.example.com", map[string][]string{"example.com.": {other}, "b.example.com.": {amazon}}, true},
		{"a.b.example.com", map[string][]string{"com.": {other}}, false},
		{"a.example.com", map[string][]string{"x.a.example.com.": {other}}, true},
		// Nobody may issue (section 4.2).
		{"example.com", map[string][]string{"example.com.": {`0 issue ";"`}}, false},
		// issuewild is for wildcards only, and for them stands in for issue (section 4.3).
		{"*.example.com", map[string][]string{"example.com.": {other}}, false},
		{"*.example.com", map[string][]string{"example.com.": {other, `0 issuewild "amazon.com"`}}, true},
		{"*.example.com", map[string][]string{"example.com.": {amazon, `0 issuewild ";"`}}, false},
		{"example.com", map[string][]string{"example.com.": {amazon, `0 issuewild ";"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`0 issuewild ";"`}}, true},
		// Other properties restrict nothing, unless they are critical and not
		// understood (section 4.1).
		{"example.com", map[string][]string{"example.com.": {`0 iodef "mailto:a@example.com"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`128 iodef "mailto:a@example.com"`}}, true},
		{"example.com", map[string][]string{"example.com.": {`0 tbs "x"`}}, true},
		{"example.com", map[string][]string{"example.com.": {amazon, `128 tbs "x"`}}, false},
		{"example.com", map[string][]string{"example.com.": {`nonsense`}}, false},
		{"example.com", map[string][]string{"example.com.": {`0 ISSUE "Amazon.COM"`}}, true},
	} {
		got, err := permitted(test.name, func(name string) ([]string, error) { return test.zone[name], nil })
		if got != test.want || err != nil {
			t.Errorf("%s with %q: %v, %v, want %v", test.name, test.zone, got, err, test.want)
		}
	}
	broken := errors.New("no answer")
	if ok, err := permitted("example.com", func(string) ([]string, error) { return nil, broken }); ok || err != broken {
		t.Errorf("without an answer: %v, %v", ok, err)
	}
}
