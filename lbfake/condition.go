package lbfake

import (
	"net/http"
	"path"
	"regexp"
	"strings"
)

// Condition is what a rule asks of a request: HostHeader, PathPattern or
// RequestMethod. Of several values in one condition, one must match.
type Condition interface {
	matches(r *http.Request) bool
	check() error
	field() string // as the API calls it
	size() int     // how many values there are
}

// maxPattern is how long a condition's value may be. Source: as maxConditionValues.
const maxPattern = 128

// HostHeader is the condition that the Host header, without its port, is one of the
// patterns, in whatever case. * stands for any characters or none, ? for exactly one:
// *.example.com does not match example.com.
func HostHeader(patterns ...string) Condition { return hostHeaderIs(patterns) }

type hostHeaderIs []string

func (c hostHeaderIs) field() string { return "host-header" }
func (c hostHeaderIs) size() int     { return len(c) }

// String returns "host-header is example.com or *.example.com".
func (c hostHeaderIs) String() string { return c.field() + " is " + strings.Join(c, " or ") }

// hostPattern is what a pattern of a host may be: there is a dot, and only letters and
// wildcards after the last.
var hostPattern = regexp.MustCompile(`^[-A-Za-z0-9.*?]*\.[A-Za-z*?]+$`)

func (c hostHeaderIs) check() error {
	for _, p := range c {
		if len(p) > maxPattern || !hostPattern.MatchString(p) {
			return refuse(codeValidation, "The host-header condition value '%s' is not valid", p)
		}
	}
	return needValues(c)
}

func (c hostHeaderIs) matches(r *http.Request) bool {
	name, _ := splitHost(r.Host)
	return anyMatches(c, strings.ToLower(name), strings.ToLower)
}

// PathPattern is the condition that the URL's path, not its query, is one of the
// patterns. Case counts; * and ? stand for what they do in HostHeader.
func PathPattern(patterns ...string) Condition { return pathPatternIs(patterns) }

type pathPatternIs []string

func (c pathPatternIs) field() string { return "path-pattern" }
func (c pathPatternIs) size() int     { return len(c) }

// String returns "path-pattern is /api/*".
func (c pathPatternIs) String() string { return c.field() + " is " + strings.Join(c, " or ") }

// pathPattern is what a pattern of a path may be.
var pathPattern = regexp.MustCompile(`^[-A-Za-z0-9_.$/~"'@:+&*?]+$`)

func (c pathPatternIs) check() error {
	for _, p := range c {
		if len(p) > maxPattern || !pathPattern.MatchString(p) {
			return refuse(codeValidation, "The path-pattern condition value '%s' is not valid", p)
		}
	}
	return needValues(c)
}

func (c pathPatternIs) matches(r *http.Request) bool {
	return anyMatches(c, normalPath(r.URL.EscapedPath()), nil)
}

// normalPath takes dot segments and doubled slashes out of a path.
func normalPath(p string) string {
	if p == "" {
		return "/"
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// RequestMethod is the condition that the request's method is one of those given. Case
// counts, and there are no wildcards.
func RequestMethod(methods ...string) Condition { return methodIs(methods) }

type methodIs []string

func (c methodIs) field() string { return "http-request-method" }
func (c methodIs) size() int     { return len(c) }

// String returns "http-request-method is GET or HEAD".
func (c methodIs) String() string { return c.field() + " is " + strings.Join(c, " or ") }

var methodPattern = regexp.MustCompile(`^[-_A-Z]{1,40}$`)

func (c methodIs) check() error {
	for _, m := range c {
		if !methodPattern.MatchString(m) {
			return refuse(codeValidation, "The http-request-method condition value '%s' is not valid", m)
		}
	}
	return needValues(c)
}

func (c methodIs) matches(r *http.Request) bool {
	for _, m := range c {
		if m == r.Method {
			return true
		}
	}
	return false
}

func needValues(c Condition) error {
	if c.size() == 0 {
		return refuse(codeValidation, "A condition value must be specified for %s", c.field())
	}
	return nil
}

// anyMatches reports whether a text matches one of the patterns, each of which fold, if
// there is one, is applied to.
func anyMatches(patterns []string, text string, fold func(string) string) bool {
	for _, p := range patterns {
		if fold != nil {
			p = fold(p)
		}
		if wildcard(p, text) {
			return true
		}
	}
	return false
}

// wildcard reports whether a text matches a pattern as a whole, where * is any
// characters or none and ? exactly one. Nothing else in a pattern is special.
func wildcard(pattern, text string) bool {
	p, t := 0, 0
	star, mark := -1, 0 // where the last * is, and how much of the text it takes
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
