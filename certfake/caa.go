package certfake

import (
	"strconv"
	"strings"
)

// issuers are the names by which CAA records mean this authority (ACM user guide, page
// troubleshooting-caa).
var issuers = map[string]bool{
	"amazon.com": true, "amazontrust.com": true, "awstrust.com": true, "amazonaws.com": true,
}

// caaOf returns the CAA records of a name, in the notation of zone files.
type caaOf func(name string) ([]string, error)

// permitted reports whether CAA lets this authority issue for a name. The records of
// the nearest name at or above it count, and no others (RFC 8659 section 3).
func permitted(name string, lookup caaOf) (bool, error) {
	wildcard := name != baseName(name)
	labels := strings.Split(baseName(name), ".")
	for i := range labels {
		records, err := lookup(strings.Join(labels[i:], ".") + ".")
		if err != nil {
			return false, err
		}
		if len(records) > 0 {
			return allows(records, wildcard), nil
		}
	}
	return true, nil
}

// allows judges a set of CAA records: "issue" restricts who may issue, "issuewild" does
// for wildcards and then "issue" does not count for them. A critical property that is
// not understood forbids; a set without restrictions allows (RFC 8659 sections 4.2 to
// 4.5).
func allows(records []string, wildcard bool) bool {
	var issue, issuewild []string
	for _, record := range records {
		flags, tag, value := parseCAA(record)
		switch tag {
		case "issue":
			issue = append(issue, value)
		case "issuewild":
			issuewild = append(issuewild, value)
		case "iodef", "issuemail", "contactemail", "contactphone":
		default:
			if flags&0x80 != 0 {
				return false
			}
		}
	}
	if wildcard && len(issuewild) > 0 {
		issue = issuewild
	}
	for _, value := range issue {
		domain, _, _ := strings.Cut(value, ";")
		if issuers[strings.ToLower(strings.TrimSpace(domain))] {
			return true
		}
	}
	return len(issue) == 0
}

// parseCAA takes `0 issue "amazon.com; x=y"` apart. Flags that cannot be read count as
// critical.
func parseCAA(record string) (flags uint8, tag, value string) {
	fields := strings.SplitN(record, " ", 3)
	if len(fields) < 3 {
		return 0x80, "", ""
	}
	n, err := strconv.ParseUint(fields[0], 10, 8)
	if err != nil {
		n = 0x80
	}
	return uint8(n), strings.ToLower(fields[1]), strings.Trim(fields[2], `"`)
}
