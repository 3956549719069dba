package certfake

import (
	"fmt"
	"strings"
)

// The limits of a request (ACM user guide, pages acm-limits and
// acm-certificate-characteristics; API RequestCertificate).
const (
	MaxNames       = 10  // names per certificate, by the default quota
	maxName        = 253 // bytes of a name
	maxLabel       = 63  // bytes between two dots
	maxCommonName  = 64  // bytes of the first name
	wildcardPrefix = "*."
)

// apiError is a refusal with its name in the ACM API.
type apiError struct {
	name    string
	message string
}

// Error returns "certfake: InvalidParameterException: …".
func (e *apiError) Error() string { return "certfake: " + e.name + ": " + e.message }

func invalid(format string, args ...any) error {
	return &apiError{"InvalidParameterException", fmt.Sprintf(format, args...)}
}

// checkNames returns the names of a request in lower case, each once, or what is wrong
// with them.
func checkNames(names []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for i, name := range names {
		lower := strings.ToLower(name)
		if err := checkName(lower); err != nil {
			return nil, err
		}
		if i == 0 && len(lower) > maxCommonName {
			return nil, invalid("the first name may have %d characters, and %s has %d", maxCommonName, name, len(name))
		}
		if !seen[lower] {
			seen[lower] = true
			out = append(out, lower)
		}
	}
	if len(out) > MaxNames {
		return nil, &apiError{"LimitExceededException", fmt.Sprintf("%d names, and the quota is %d", len(out), MaxNames)}
	}
	return out, nil
}

// amazons are the domains under which nobody else gets a certificate.
var amazons = []string{"amazonaws.com", "cloudfront.net", "elasticbeanstalk.com"}

// checkName holds a name to (\*\.)? and at least two labels.
func checkName(name string) error {
	if len(name) > maxName {
		return invalid("a name has at most %d characters, and %.20s… has %d", maxName, name, len(name))
	}
	base := baseName(name)
	if strings.Contains(base, "*") {
		return invalid("%s: an asterisk may only be the whole first label", name)
	}
	labels := strings.Split(base, ".")
	if len(labels) < 2 {
		return invalid("%s is not a fully qualified domain name", name)
	}
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return invalid("%s: %v", name, err)
		}
	}
	for _, domain := range amazons {
		if base == domain || strings.HasSuffix(base, "."+domain) {
			return invalid("%s: there are no certificates for names under %s", name, domain)
		}
	}
	return nil
}

// checkLabel holds a label to letters, digits and hyphens. Other alphabets come in
// Punycode, whose prefix xn-- is the only label with hyphens third and fourth.
func checkLabel(label string) error {
	switch {
	case label == "" || len(label) > maxLabel:
		return fmt.Errorf("a label has 1 to %d characters", maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Errorf("the label %s begins or ends with a hyphen", label)
	case len(label) > 3 && label[2:4] == "--" && !strings.HasPrefix(label, "xn--"):
		return fmt.Errorf("the label %s has hyphens third and fourth, and is not Punycode", label)
	}
	for _, c := range []byte(label) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return fmt.Errorf("the label %q has a character that is not a letter, a digit or a hyphen", label)
		}
	}
	return nil
}

// baseName returns a name without its wildcard. A name and its wildcard are proved by
// the same record.
func baseName(name string) string { return strings.TrimPrefix(name, wildcardPrefix) }
