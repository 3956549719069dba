package lbfake

import (
	"net/http"
	"strconv"
	"strings"
)

// Action is what becomes of a request: Forward, a FixedResponse or a Redirect.
type Action interface {
	perform(x *exchange)
	check(l *Listener) error
	forwards() *TargetGroup // nil for an action that does not
	kind() string           // as the access log has it
}

// Forward sends requests to the targets of a group.
func Forward(g *TargetGroup) Action { return forward{g} }

type forward struct{ group *TargetGroup }

func (a forward) kind() string           { return "forward" }
func (a forward) forwards() *TargetGroup { return a.group }
func (a forward) perform(x *exchange)    { x.forward(a.group) }

func (a forward) check(l *Listener) error {
	switch {
	case a.group == nil:
		return refuse(codeGroupNotFound, "the action forwards to no target group")
	case a.group.vpc != l.balancer.vpc:
		return refuse(codeConfiguration, "%v is in vpc %v, %v in %v", a.group, a.group.vpc, l.balancer, l.balancer.vpc)
	}
	return nil
}

// FixedResponse answers requests itself. Source of its limits:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_FixedResponseActionConfig.html
type FixedResponse struct {
	Status      int    // 2xx, 4xx or 5xx; if 0, 503
	ContentType string // one of five; if "", text/plain
	Body        string // up to 1024 characters
}

func (a FixedResponse) kind() string           { return "fixed-response" }
func (a FixedResponse) forwards() *TargetGroup { return nil }

func (a FixedResponse) check(*Listener) error {
	status := a.status()
	switch class := status / 100; {
	case class != 2 && class != 4 && class != 5:
		return refuse(codeAction, "fixed-response status %d is not 2xx, 4xx or 5xx", status)
	case len(a.Body) > 1024:
		return refuse(codeAction, "fixed-response body has %d characters, and 1024 are allowed", len(a.Body))
	}
	switch a.ContentType {
	case "", "text/plain", "text/css", "text/html", "application/javascript", "application/json":
		return nil
	}
	return refuse(codeAction, "fixed-response content type %q is not allowed", a.ContentType)
}

func (a FixedResponse) status() int { return orDefault(a.Status, http.StatusServiceUnavailable) }

func (a FixedResponse) perform(x *exchange) {
	x.answer(a.status())
	writeGenerated(x.w, a.status(), orDefault(a.ContentType, "text/plain"), a.Body)
}

// Redirect sends clients elsewhere. Where a part of the URL is "", it is that of the
// request; a part may hold the words #{protocol}, #{host}, #{port}, #{path} and
// #{query}, which stand for those of the request. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html
type Redirect struct {
	Status   RedirectStatus
	Protocol string // HTTP or HTTPS; if "", #{protocol}
	Host     string // if "", #{host}
	Port     string // if "", #{port}
	Path     string // begins with a slash; if "", /#{path}
	Query    string // without its question mark; if "", #{query}
}

// RedirectStatus is the status of a redirection. The zero RedirectStatus is Found,
// which nobody remembers for ever.
type RedirectStatus uint8

// The statuses that the API has: HTTP_302 and HTTP_301.
const (
	Found RedirectStatus = iota
	MovedPermanently
)

// Code returns 302 or 301.
func (s RedirectStatus) Code() int {
	if s == MovedPermanently {
		return http.StatusMovedPermanently
	}
	return http.StatusFound
}

func (a Redirect) kind() string           { return "redirect" }
func (a Redirect) forwards() *TargetGroup { return nil }

// complete fills in the parts that are "".
func (a Redirect) complete() Redirect {
	a.Protocol = orDefault(a.Protocol, "#{protocol}")
	a.Host = orDefault(a.Host, "#{host}")
	a.Port = orDefault(a.Port, "#{port}")
	a.Path = orDefault(a.Path, "/#{path}")
	a.Query = orDefault(a.Query, "#{query}")
	return a
}

func (a Redirect) check(l *Listener) error {
	c := a.complete()
	port, err := strconv.Atoi(c.Port)
	switch {
	case c.Protocol != "#{protocol}" && c.Protocol != "HTTP" && c.Protocol != "HTTPS":
		return refuse(codeAction, "redirect protocol %q is not HTTP, HTTPS or #{protocol}", c.Protocol)
	case l.protocol == HTTPS && c.Protocol == "HTTP":
		return refuse(codeAction, "HTTPS cannot be redirected to HTTP")
	case c.Port != "#{port}" && (err != nil || !withinInt(port, 1, 65535)):
		return refuse(codeAction, "redirect port %q is not within 1 and 65535 or #{port}", c.Port)
	case c.Path[0] != '/':
		return refuse(codeAction, "redirect path %q does not begin with /", c.Path)
	case len(c.Host) > maxPattern || len(c.Path) > maxPattern || len(c.Query) > maxPattern:
		return refuse(codeAction, "redirect host, path and query have at most %d characters", maxPattern)
	}
	loop := Redirect{Query: c.Query}.complete()
	if c.Protocol == loop.Protocol && c.Host == loop.Host && c.Port == loop.Port && c.Path == loop.Path {
		return refuse(codeAction, "a redirect must change protocol, host, port or path")
	}
	return nil
}

func (a Redirect) perform(x *exchange) {
	x.record.RedirectURL = a.location(x.in, x.listener)
	x.answer(a.Status.Code())
	x.w.Header().Set("Location", x.record.RedirectURL)
	writePage(x.w, a.Status.Code())
}

// location returns where a request is sent to. The port is always written.
func (a Redirect) location(r *http.Request, l *Listener) string {
	c := a.complete()
	host, _ := splitHost(orDefault(r.Host, l.balancer.dnsName))
	words := strings.NewReplacer(
		"#{protocol}", l.protocol.String(),
		"#{host}", host,
		"#{port}", strconv.Itoa(int(l.port)),
		"#{path}", strings.TrimPrefix(r.URL.EscapedPath(), "/"),
		"#{query}", r.URL.RawQuery,
	)
	url := strings.ToLower(words.Replace(c.Protocol)) + "://" + words.Replace(c.Host) + ":" + words.Replace(c.Port) + words.Replace(c.Path)
	if query := words.Replace(c.Query); query != "" {
		url += "?" + query
	}
	return url
}
