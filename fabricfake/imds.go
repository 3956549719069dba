package fabricfake

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// The headers of the instance metadata service, and what it takes. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
const (
	tokenHeader    = "X-aws-ec2-metadata-token"
	tokenTTLHeader = "X-aws-ec2-metadata-token-ttl-seconds"
	maxTokenTTL    = 21600 // seconds
	maxHopLimit    = 64
	defaultTTL     = 64
	maxUserData    = 16 << 10
)

// MetadataTokens says whether the instance metadata service wants a token: IMDSv2.
type MetadataTokens uint8

// The settings of HttpTokens.
const (
	MetadataTokensRequired MetadataTokens = iota
	MetadataTokensOptional                // IMDSv1 is answered too
)

// String returns the setting as the API calls it.
func (t MetadataTokens) String() string { return [...]string{"required", "optional"}[t&1] }

// MetadataEndpoint says whether the instance metadata service answers.
type MetadataEndpoint uint8

// The settings of HttpEndpoint.
const (
	MetadataEnabled  MetadataEndpoint = iota
	MetadataDisabled                  // all is answered with 403
)

// String returns the setting as the API calls it.
func (e MetadataEndpoint) String() string { return [...]string{"enabled", "disabled"}[e&1] }

// MetadataIPv6 says whether the instance metadata service answers at fd00:ec2::254 too.
type MetadataIPv6 uint8

// The settings of HttpProtocolIpv6.
const (
	MetadataIPv6Disabled MetadataIPv6 = iota
	MetadataIPv6Enabled
)

// String returns the setting as the API calls it.
func (m MetadataIPv6) String() string { return [...]string{"disabled", "enabled"}[m&1] }

// MetadataOptions say how an instance may ask the instance metadata service. The zero value
// is IMDSv2, over IPv4, with a hop limit of 1: only the instance itself gets a token.
type MetadataOptions struct {
	// HTTPTokens is required in the zero value.
	HTTPTokens MetadataTokens

	// HTTPPutResponseHopLimit is the TTL with which tokens leave the service, from 1 to
	// 64: with 1 they reach no container that is behind a router of the instance's own.
	// If 0, it is 1.
	HTTPPutResponseHopLimit int

	// HTTPEndpoint is enabled in the zero value.
	HTTPEndpoint MetadataEndpoint

	// HTTPProtocolIPv6 is disabled in the zero value.
	HTTPProtocolIPv6 MetadataIPv6
}

func (o *MetadataOptions) check() error {
	if o.HTTPPutResponseHopLimit < 0 || o.HTTPPutResponseHopLimit > maxHopLimit {
		return refuse(codeParameterValue, "HttpPutResponseHopLimit is %d, and may be 1 to %d", o.HTTPPutResponseHopLimit, maxHopLimit)
	}
	if o.HTTPTokens > MetadataTokensOptional || o.HTTPEndpoint > MetadataDisabled || o.HTTPProtocolIPv6 > MetadataIPv6Enabled {
		return refuse(codeParameterValue, "HttpTokens is %d, HttpEndpoint %d, HttpProtocolIpv6 %d, and each may be 0 or 1", o.HTTPTokens, o.HTTPEndpoint, o.HTTPProtocolIPv6)
	}
	return nil
}

// checkMetadata tells why an instance cannot be launched.
func checkMetadata(cfg *InstanceConfig) error {
	if n := len(cfg.UserData); n > maxUserData {
		return refuse(codeParameterValue, "%d bytes of user data, and %d are allowed", n, maxUserData)
	}
	return cfg.Metadata.check()
}

// aboutInstance is what the instance metadata service knows of an instance beside what
// shows elsewhere.
type aboutInstance struct {
	options  MetadataOptions
	userData string
	profile  string
	launched time.Duration
}

// SetMetadataOptions changes how the instance may ask about itself, as
// ModifyInstanceMetadataOptions does, at once. Tokens stay valid. An instance that is terminated
// fails the test with IncorrectInstanceState.
func (i *Instance) SetMetadataOptions(o MetadataOptions) {
	w := i.World()
	w.TB().Helper()
	if err := o.check(); err != nil {
		w.TB().Fatalf("%v (%s)", err, i.Name())
	}
	i.adjust(func() { i.about.options = o })
}

// MetadataOptions returns how the instance may ask about itself.
func (i *Instance) MetadataOptions() (o MetadataOptions) {
	i.World().Do(func(time.Duration) { o = i.about.options })
	return o
}

// connKey is where a request's context has its connection.
type connKey struct{}

// serveMetadata answers the instances of the region.
func (s *localServices) serveMetadata() {
	w := s.region.world
	w.TB().Helper()
	server := &http.Server{Handler: s, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}}
	for _, addr := range []netip.Addr{metadataAddress, metadataAddress6} {
		l, err := s.host.Listen("tcp", netip.AddrPortFrom(addr, 80).String())
		if err != nil {
			w.TB().Fatalf("fabricfake: the instance metadata service of region %s: %v", s.region.name, err)
		}
		w.Serve(server, l)
	}
}

// ServeHTTP answers a request about the instance that it comes from, which the connection
// tells and nothing in the request.
func (s *localServices) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var i *Instance
	var about aboutInstance
	var now time.Duration
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		s.region.world.Do(func(at time.Duration) {
			if i, now = s.aliases.callers[from.Addr()].instance(), at; i != nil {
				about = i.about
			}
		})
	}
	rw.Header().Set("Server", "EC2ws")
	if i == nil || about.options.HTTPEndpoint == MetadataDisabled {
		refuseRequest(rw, http.StatusForbidden)
		return
	}
	ttl := defaultTTL
	if r.Method == http.MethodPut {
		ttl = max(about.options.HTTPPutResponseHopLimit, 1)
	}
	if c, ok := r.Context().Value(connKey{}).(*netfake.TCPConn); ok {
		c.SetTTL(ttl)
	}
	if status := s.answer(rw, r, i, &about, now); status != http.StatusOK {
		refuseRequest(rw, status)
	}
}

// answer writes what the request asks for, or says with which status it is refused.
func (s *localServices) answer(rw http.ResponseWriter, r *http.Request, i *Instance, about *aboutInstance, now time.Duration) int {
	const tokenPath = "/latest/api/token"
	switch {
	case r.Method == http.MethodPut && (r.URL.Path != tokenPath || r.Header.Get("X-Forwarded-For") != ""):
		return http.StatusForbidden
	case r.Method == http.MethodPut:
		return s.giveToken(rw, r, i, now)
	case r.URL.Path == tokenPath || r.Method != http.MethodGet && r.Method != http.MethodHead:
		return http.StatusMethodNotAllowed
	}
	if token := r.Header.Get(tokenHeader); token != "" || about.options.HTTPTokens == MetadataTokensRequired {
		left, ok := s.checkToken(token, i, now)
		if !ok {
			return http.StatusUnauthorized
		}
		rw.Header().Set(tokenTTLHeader, strconv.Itoa(left))
	}
	text, ok := s.metadata(i, about, r.URL.Path)
	if !ok {
		return http.StatusNotFound
	}
	writeText(rw, text)
	return http.StatusOK
}

// giveToken makes a token for as long as the request asks.
func (s *localServices) giveToken(rw http.ResponseWriter, r *http.Request, i *Instance, now time.Duration) int {
	ttl, err := strconv.Atoi(r.Header.Get(tokenTTLHeader))
	if err != nil || ttl < 1 || ttl > maxTokenTTL {
		return http.StatusBadRequest
	}
	rw.Header().Set(tokenTTLHeader, strconv.Itoa(ttl))
	writeText(rw, s.token(i, now+time.Duration(ttl)*time.Second))
	return http.StatusOK
}

func writeText(rw http.ResponseWriter, text string) {
	rw.Header().Set("Content-Type", "text/plain")
	rw.Header().Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(rw, text)
}

// refuseRequest answers with a status and a page that says so.
func refuseRequest(rw http.ResponseWriter, status int) {
	rw.Header().Set("Content-Type", "text/html")
	rw.WriteHeader(status)
	title := fmt.Sprintf("%d - %s", status, http.StatusText(status))
	fmt.Fprintf(rw, "<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n", title, title)
}
