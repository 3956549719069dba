package certfake

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
)

// One record for each domain, with the shape that ACM's have; it does not depend on
// anything but the seed and the domain.
func TestRecordFor(t *testing.T) {
	r := recordFor(1, "example.com")
	if !regexp.MustCompile(`^_[0-9a-f]{32}\.example\.com\.$`).MatchString(r.Name) ||
		!regexp.MustCompile(`^_[0-9a-f]{32}\.[a-z]{10}\.acm-validations\.aws\.$`).MatchString(r.Value) {
		t.Errorf("the record is %+v", r)
	}
	if r.Name[:33] == r.Value[:33] {
		t.Errorf("name and value have the same token: %+v", r)
	}
	if again := recordFor(1, "example.com"); again != r {
		t.Errorf("the same domain has two records: %+v and %+v", r, again)
	}
	for _, other := range []ValidationRecord{recordFor(2, "example.com"), recordFor(1, "www.example.com")} {
		if other.Name[:33] == r.Name[:33] || other.Value == r.Value {
			t.Errorf("another seed or domain has the same token: %+v and %+v", r, other)
		}
	}
}

func TestProves(t *testing.T) {
	r := ValidationRecord{"example.com", "_x.example.com.", "_y.label.acm-validations.aws."}
	chain := func(links int) map[string]string {
		zone := map[string]string{r.Name: "c1."}
		for i := 1; i < links-1; i++ {
			zone[fmt.Sprintf("c%d.", i)] = fmt.Sprintf("c%d.", i+1)
		}
		zone[fmt.Sprintf("c%d.", links-1)] = r.Value
		return zone
	}
	for _, test := range []struct {
		name string
		zone map[string]string
		want bool
	}{
		{"the record", map[string]string{r.Name: r.Value}, true},
		{"no record", nil, false},
		{"another value", map[string]string{r.Name: "_z.label.acm-validations.aws."}, false},
		{"the value in capitals", map[string]string{r.Name: "_Y.LABEL.acm-validations.aws."}, true},
		// The value's underscore may be left off, the name's may not.
		{"the value without underscore", map[string]string{r.Name: "y.label.acm-validations.aws."}, true},
		{"the name without underscore", map[string]string{"x.example.com.": r.Value}, false},
		// The domain put behind a name that has it already.
		{"the name with the domain twice", map[string]string{"_x.example.com.example.com.": r.Value}, false},
		// A chain of at most five.
		{"five links", chain(5), true},
		{"six links", chain(6), false},
		{"a circle", map[string]string{r.Name: "a.", "a.": r.Name}, false},
	} {
		got, err := proves(r, func(name string) (string, error) { return test.zone[name], nil })
		if got != test.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
	broken := errors.New("no answer")
	if ok, err := proves(r, func(string) (string, error) { return "", broken }); ok || err != broken {
		t.Errorf("without an answer: %v, %v", ok, err)
	}
}
