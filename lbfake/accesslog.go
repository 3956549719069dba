package lbfake

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Access is a line of a load balancer's access log. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
type Access struct {
	Type     string        // http, https, h2, ws or wss
	Time     time.Duration // when the exchange ended, since the world's beginning
	Created  time.Duration // when the request had come
	Node     string        // the zone of the node that it came to
	Listener string

	Client     netip.AddrPort
	Target     netip.AddrPort // the zero AddrPort if no target was chosen
	TargetName string
	Group      string // the target group, "" if the request was not forwarded

	Status       int           // what the client got; 460 if it went away before that
	TargetStatus int           // 0 if no target answered
	TargetTime   time.Duration // from the choice of the target to the header of its response

	Method, URL, Proto string // URL with protocol, host and port
	UserAgent          string
	ServerName         string // of the TLS handshake
	TraceID            string // the X-Amzn-Trace-Id that the target gets

	Priority    int    // of the rule that matched, 0 for the default, -1 for none
	Rule        string // the rule in words
	Action      string // forward, fixed-response or redirect
	RedirectURL string

	// Reason is why the load balancer itself answered, or did something out of the
	// ordinary: "target group api: no registered targets".
	Reason string

	number uint64 // of the request in its connection
}

// String returns "198.51.100.20:40000 GET http://…/ → app 10.0.1.5:80: 200 (200)", with
// the reason if there is one.
func (a Access) String() string {
	s := fmt.Sprintf("%v %s %s", a.Client, a.Method, a.URL)
	if a.Target.IsValid() {
		s += fmt.Sprintf(" → %s %v", a.TargetName, a.Target)
	}
	s += fmt.Sprintf(": %d", a.Status)
	if a.TargetStatus != 0 {
		s += fmt.Sprintf(" (%d)", a.TargetStatus)
	}
	if a.Rule != "" {
		s += ", " + a.Rule
	}
	if a.Reason != "" {
		s += ", " + a.Reason
	}
	return s
}

// AccessLog returns what the load balancer has served so far, in the order in which the
// exchanges ended; those of one instant by client and by the order in which it asked. An
// exchange is in it as soon as its status is known; until it ends, as that of a
// WebSocket does when it is closed, its Time is when that was.
func (b *ApplicationLoadBalancer) AccessLog() []Access {
	b.mu.Lock()
	log := make([]Access, len(b.log))
	for i, entry := range b.log {
		log[i] = *entry
	}
	b.mu.Unlock()
	slices.SortStableFunc(log, func(x, y Access) int {
		return cmp.Or(cmp.Compare(x.Time, y.Time), x.Client.Compare(y.Client), cmp.Compare(x.number, y.number))
	})
	return log
}

// accessType returns the kind of a request.
func accessType(l *Listener, r *http.Request) string {
	secure := l.protocol == HTTPS
	switch upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket"); {
	case r.ProtoMajor == 2:
		return "h2"
	case upgrade && secure:
		return "wss"
	case upgrade:
		return "ws"
	}
	return l.protocol.scheme()
}

// accessURL returns a request's URL, with the listener's port.
func accessURL(l *Listener, r *http.Request) string {
	host, _ := splitHost(orDefault(r.Host, l.balancer.dnsName))
	return fmt.Sprintf("%s://%s:%d%s", l.protocol.scheme(), host, l.port, r.URL.RequestURI())
}
