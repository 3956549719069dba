package lbfake

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The headers that a load balancer adds. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
const (
	headerFor   = "X-Forwarded-For"
	headerProto = "X-Forwarded-Proto"
	headerPort  = "X-Forwarded-Port"
	headerTrace = "X-Amzn-Trace-Id"
)

// maxTraceHeader is how long a trace header may be before it is thrown away. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
const maxTraceHeader = 7 << 10

// forwardedFor returns the X-Forwarded-For header that a target gets, given the
// client's; none is no header.
func forwardedFor(mode XFFMode, came []string, peer netip.Addr) []string {
	switch mode {
	case XFFPreserve:
		return came
	case XFFRemove:
		return nil
	}
	if prior := strings.Join(came, ", "); prior != "" {
		return []string{prior + ", " + peer.String()}
	}
	return []string{peer.String()}
}

// forwardedCount returns how many addresses X-Forwarded-For has.
func forwardedCount(came []string) int {
	n := 0
	for _, line := range came {
		for part := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(part) != "" {
				n++
			}
		}
	}
	return n
}

// traceField returns a trace header's field: its time, then 24 digits of a key.
func traceField(at time.Time, high, low uint64) string {
	return fmt.Sprintf("1-%08x-%08x%016x", uint32(at.Unix()), uint32(high), low)
}

// traceHeader returns the trace header that a target gets, given the client's and the
// field of this request. A request without a Root is given one; one that has it keeps
// it, and its Self says where it passed. Other fields stay. Source: as maxTraceHeader.
func traceHeader(came, field string) string {
	if came == "" || len(came) > maxTraceHeader {
		return "Root=" + field
	}
	var kept []string
	hasRoot := false
	for part := range strings.SplitSeq(came, ";") {
		part = strings.TrimSpace(part)
		if part == "" || strings.HasPrefix(part, "Self=") {
			continue
		}
		hasRoot = hasRoot || strings.HasPrefix(part, "Root=")
		kept = append(kept, part)
	}
	first := "Self="
	if !hasRoot {
		first = "Root="
	}
	return strings.Join(append([]string{first + field}, kept...), ";")
}

// hostHeader returns the Host header that a target gets: in lower case, without a port
// on a default port and with one on any other. A request without Host, which HTTP/1.0
// allows, gets the load balancer's name. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
func hostHeader(came string, port uint16, balancer string) string {
	if came == "" {
		came = balancer
	}
	name, given := splitHost(strings.ToLower(came))
	switch {
	case port == 80 || port == 443:
		return name
	case given != "":
		return name + ":" + given
	}
	return name + ":" + strconv.Itoa(int(port))
}

// splitHost takes the port off a Host header. An IPv6 address keeps its brackets.
func splitHost(s string) (name, port string) {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		return s, ""
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name, port
}

// addHeaders gives the request that goes to a target what the load balancer adds, and
// gives back what httputil.ReverseProxy took from it and an application load balancer
// does not.
func addHeaders(out, came http.Header, xff []string, proto string, port uint16, trace string) {
	for _, name := range []string{"Forwarded", "X-Forwarded-Host"} {
		if values, ok := came[name]; ok {
			out[name] = values
		}
	}
	out.Del(headerFor)
	if len(xff) > 0 {
		out[headerFor] = xff
	}
	out.Set(headerProto, proto)
	out.Set(headerPort, strconv.Itoa(int(port)))
	out.Set(headerTrace, trace)
	out.Del("Expect") // the node has answered it
}
