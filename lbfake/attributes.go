package lbfake

import "time"

// Scheme says from where a load balancer is reached. The zero Scheme is the real
// service's default.
type Scheme uint8

// The schemes.
const (
	InternetFacing Scheme = iota // every node has a public address
	Internal                     // nodes have private addresses only
)

// String returns the scheme as the API writes it.
func (s Scheme) String() string {
	if s == Internal {
		return "internal"
	}
	return "internet-facing"
}

// XFFMode says what a load balancer does with X-Forwarded-For. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
type XFFMode uint8

// The modes.
const (
	XFFAppend   XFFMode = iota // the client's address is added at the end
	XFFPreserve                // the header stays as it came, or absent
	XFFRemove                  // the header is taken away
)

// String returns the mode as the API writes it.
func (m XFFMode) String() string {
	switch m {
	case XFFPreserve:
		return "preserve"
	case XFFRemove:
		return "remove"
	}
	return "append"
}

// The numbers that cannot be configured. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
const (
	// ConnectTimeout is how long a node waits for a connection to a target.
	ConnectTimeout = 10 * time.Second

	// MaxForwardedFor is how many addresses X-Forwarded-For may have in a request.
	MaxForwardedFor = 30

	// maxResponseHeader is how many bytes of header a target may answer with.
	maxResponseHeader = 32 << 10
)

// The defaults of Attributes. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
const (
	DefaultIdleTimeout     = 60 * time.Second
	DefaultClientKeepAlive = 3600 * time.Second
)

// Attributes are what can be tuned of a load balancer. The zero Attributes are the real
// service's defaults.
type Attributes struct {
	// IdleTimeout is how long a connection, to a client or to a target, may be
	// silent, 1 s to 4000 s. If 0, DefaultIdleTimeout.
	IdleTimeout time.Duration

	// ClientKeepAlive is how old a client's connection may get, 60 s to 7 days; the
	// next request is its last. If 0, DefaultClientKeepAlive.
	ClientKeepAlive time.Duration

	// XFF is what becomes of X-Forwarded-For. If 0, XFFAppend.
	XFF XFFMode

	// PreserveHost hands Host to the target as the client wrote it. If false, it is
	// written in lower case and made to agree with the listener's port.
	PreserveHost bool
}

// withDefaults returns the attributes with what is 0 filled in, or the API's refusal.
func (a Attributes) withDefaults() (Attributes, error) {
	if a.IdleTimeout == 0 {
		a.IdleTimeout = DefaultIdleTimeout
	}
	if a.ClientKeepAlive == 0 {
		a.ClientKeepAlive = DefaultClientKeepAlive
	}
	if !within(a.IdleTimeout, time.Second, 4000*time.Second) {
		return a, refuse(codeConfiguration, "idle_timeout.timeout_seconds: %v is not within 1s and 4000s", a.IdleTimeout)
	}
	if !within(a.ClientKeepAlive, 60*time.Second, 604800*time.Second) {
		return a, refuse(codeConfiguration, "client_keep_alive.seconds: %v is not within 60s and 604800s", a.ClientKeepAlive)
	}
	return a, nil
}

func within(d, least, most time.Duration) bool { return least <= d && d <= most }
