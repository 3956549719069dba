package fabricfake

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

const metadataURL = "http://169.254.169.254"

// request asks the instance metadata service and returns the status and what it says; 0 if
// nothing comes within 5 s. Headers are "name: value".
func request(t *testing.T, h *netfake.Host, method, url string, headers ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	client := h.HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// getToken returns a token of IMDSv2.
func getToken(t *testing.T, h *netfake.Host, ttl string) string {
	t.Helper()
	status, token := request(t, h, "PUT", metadataURL+"/latest/api/token", tokenTTLHeader+": "+ttl)
	if status != http.StatusOK {
		t.Fatalf("no token: %d %s", status, token)
	}
	return token
}

// ask returns what an instance is told about itself.
func ask(t *testing.T, i *Instance, path string) string {
	t.Helper()
	status, text := request(t, i.Host, "GET", metadataURL+path, tokenHeader+": "+getToken(t, i.Host, "60"))
	if status != http.StatusOK {
		return http.StatusText(status)
	}
	return text
}

// The statuses of the service, by
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
// fact: imds.token, imds.token.ttl, imds.token.forwarded, imds.required, imds.notfound
func TestMetadataStatuses(t *testing.T) {
	const token, id = "/latest/api/token", "/latest/meta-data/instance-id"
	var (
		optional = MetadataOptions{HTTPTokens: MetadataTokensOptional}
		disabled = MetadataOptions{HTTPTokens: MetadataTokensOptional, HTTPEndpoint: MetadataDisabled}
	)
	for _, row := range []struct {
		rule         string
		options      MetadataOptions
		method, path string
		headers      []string
		want         int
	}{
		{"a token for a second", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": 1"}, 200},
		{"a token for six hours", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": 21600"}, 200},
		{"no longer", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": 21601"}, 400},
		{"no shorter", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": 0"}, 400},
		{"a number", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": long"}, 400},
		{"without TTL", MetadataOptions{}, "PUT", token, nil, 400},
		{"through a proxy", MetadataOptions{}, "PUT", token, []string{tokenTTLHeader + ": 60", "X-Forwarded-For: 1.2.3.4"}, 403},
		{"of a version", MetadataOptions{}, "PUT", "/2021-07-15/api/token", []string{tokenTTLHeader + ": 60"}, 403},
		{"read", MetadataOptions{}, "GET", token, nil, 405},
		{"another method", MetadataOptions{}, "DELETE", id, nil, 405},

		{"IMDSv1", MetadataOptions{}, "GET", id, nil, 401},
		{"a token of nobody", MetadataOptions{}, "GET", id, []string{tokenHeader + ": AQAEA"}, 401},
		{"IMDSv1 where it is optional", optional, "GET", id, nil, 200},
		{"HEAD", optional, "HEAD", id, nil, 200},
		{"a wrong token where it is optional", optional, "GET", id, []string{tokenHeader + ": AQAEA"}, 401},
		{"another version", optional, "GET", "/2021-07-15/meta-data/instance-id", nil, 200},
		{"no version", optional, "GET", "/1999-01-01/meta-data/instance-id", nil, 404},
		{"no path", optional, "GET", "/latest/meta-data/nothing", nil, 404},
		{"below a value", optional, "GET", id + "/more", nil, 404},
		{"no public address", optional, "GET", "/latest/meta-data/public-ipv4", nil, 404},
		{"no role", optional, "GET", "/latest/meta-data/iam/info", nil, 404},
		{"no user data", optional, "GET", "/latest/user-data", nil, 404},
		{"disabled", disabled, "GET", id, nil, 403},
		{"no token where disabled", disabled, "PUT", token, []string{tokenTTLHeader + ": 60"}, 403},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			b := newBeside(t, w, InstanceConfig{Metadata: row.options})
			if got, text := request(t, b.app.Host, row.method, metadataURL+row.path, row.headers...); got != row.want {
				t.Errorf("%s: %d, want %d: %s", row.rule, got, row.want, text)
			}
		})
	}
}

// A token is good until its time is over, for the instance that asked for it.
func TestMetadataTokens(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		other := b.subnet.Instance("other", InstanceConfig{})
		token := getToken(t, b.app.Host, "60")
		until := w.Now() - LatencyHost + time.Minute // it was made on the way
		get := func(h *netfake.Host) int {
			status, _ := request(t, h, "GET", metadataURL+"/latest/meta-data/instance-id", tokenHeader+": "+token)
			return status
		}
		if got := get(b.app.Host); got != 200 {
			t.Errorf("%d", got)
		}
		if got := get(other.Host); got != 401 {
			t.Errorf("another instance has %d", got)
		}
		const there = 3 * LatencyHost // SYN, SYN-ACK, and the request
		w.Sleep(until - w.Now() - there - 1)
		if got := get(b.app.Host); got != 200 {
			t.Errorf("%d a nanosecond before it expires", got)
		}
		w.Sleep(time.Second)
		if got := get(b.app.Host); got != 401 {
			t.Errorf("%d when it has expired", got)
		}
	})
}

// What an instance is told is what it is, and changes with it.
func TestMetadataTellsTheTruth(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{PrivateIP: "100.64.1.7", SecondaryIPs: []string{"100.64.1.9"}, UserData: "#!/bin/sh\n", InstanceProfile: "reader"})
		b.vpc.EnableDNSHostnames()
		b.app.Interface().SetPublicIP(netip.MustParseAddr("203.0.113.25"))
		one := "/latest/meta-data/network/interfaces/macs/02:00:64:40:01:07/"
		for path, want := range map[string]string{
			"/":                                             "1.0\n2009-04-04\n2016-09-02\n2018-09-24\n2019-10-01\n2020-10-27\n2021-01-03\n2021-03-23\n2021-07-15\nlatest",
			"/latest/":                                      "dynamic\nmeta-data\nuser-data",
			"/latest/user-data":                             "#!/bin/sh\n",
			"/latest/meta-data/placement":                   "availability-zone\navailability-zone-id\nregion",
			"/latest/meta-data/network/":                    "interfaces/",
			"/latest/meta-data/instance-id":                 b.app.ID(),
			"/latest/meta-data/local-ipv4":                  "100.64.1.7",
			"/latest/meta-data/public-ipv4":                 "203.0.113.25",
			"/latest/meta-data/public-hostname":             "ec2-203-0-113-25.ap-southeast-2.compute.amazonaws.com",
			"/latest/meta-data/local-hostname":              "ip-100-64-1-7.ap-southeast-2.compute.internal",
			"/latest/meta-data/mac":                         "02:00:64:40:01:07",
			"/latest/meta-data/placement/availability-zone": "ap-southeast-2a",
			"/latest/meta-data/placement/region":            "ap-southeast-2",
			"/latest/meta-data/security-groups":             "silent",
			"/latest/meta-data/ipv6":                        b.app.Addr6().String(),
			"/latest/meta-data/network/interfaces/macs/":    "02:00:64:40:01:07/",
			"/latest/meta-data/iam/security-credentials/":   "reader",
			one + "local-ipv4s":                             "100.64.1.7\n100.64.1.9",
			one + "interface-id":                            b.app.Interface().ID(),
			one + "ipv4-associations/203.0.113.25":          "100.64.1.7",
			one + "vpc-ipv4-cidr-blocks":                    "10.0.0.0/16\n100.64.0.0/16",
			one + "subnet-id":                               b.subnet.ID(),
		} {
			if got := ask(t, b.app, path); got != want {
				t.Errorf("%s is %q, want %q", path, got, want)
			}
		}
		b.app.Interface().SetGroups(Groups{b.vpc.DefaultSecurityGroup()})
		b.app.Interface().SetPublicIP(netip.Addr{})
		if got := ask(t, b.app, "/latest/meta-data/security-groups"); got != "default" {
			t.Errorf("the groups are %q", got)
		}
		if got := ask(t, b.app, "/latest/meta-data/public-ipv4"); got != "Not Found" {
			t.Errorf("the public address is %q", got)
		}
	})
}

// An instance knows its placement group, and its partition if that has any.
// fact: placement.metadata
func TestMetadataPlacement(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
		group := func(strategy PlacementStrategy) Placement {
			return Placement{Group: s.vpc.region.PlacementGroup(strategy.String(), PlacementGroupConfig{Strategy: strategy})}
		}
		const at = "/latest/meta-data/placement/"
		for _, row := range []struct {
			in               Placement
			group, partition string
		}{
			{Placement{}, "Not Found", "Not Found"},
			{group(PlacementCluster), "cluster", "Not Found"},
			{group(PlacementSpread), "spread", "Not Found"},
			{group(PlacementPartition), "partition", "1"},
		} {
			i := s.Instance("in "+row.group, InstanceConfig{Placement: row.in})
			if g, p := ask(t, i, at+"group-name"), ask(t, i, at+"partition-number"); g != row.group || p != row.partition {
				t.Errorf("group %q, partition %q, want %q and %q", g, p, row.group, row.partition)
			}
		}
	})
}

// The identity document and the credentials are JSON with the documented names.
func TestMetadataDocuments(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{InstanceProfile: "reader"})
		document := ask(t, b.app, "/latest/dynamic/instance-identity/document")
		for _, want := range []string{`"region": "ap-southeast-2"`, `"privateIp": "100.64.1.4"`, `"instanceId": "` + b.app.ID() + `"`, `"pendingTime": "2000-01-01T00:00:00Z"`} {
			if !strings.Contains(document, want) {
				t.Errorf("%s is not in\n%s", want, document)
			}
		}
		keys := func() string { return ask(t, b.app, "/latest/meta-data/iam/security-credentials/reader") }
		first := keys()
		if !strings.Contains(first, `"AccessKeyId": "ASIA`) || !strings.Contains(first, `"Expiration": "2000-01-01T06:00:00Z"`) {
			t.Errorf("the credentials are\n%s", first)
		}
		w.Sleep(4 * time.Hour)
		if keys() != first {
			t.Error("there are new credentials after 4 hours")
		}
		w.Sleep(time.Hour)
		if second := keys(); second == first || !strings.Contains(second, `"Expiration": "2000-01-01T11:00:00Z"`) {
			t.Errorf("after 5 hours the credentials are\n%s", second)
		}
	})
}

// Options can be changed, IPv6 among them.
// fact: service.imds
func TestSetMetadataOptions(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		const url = "http://[fd00:ec2::254]/latest/meta-data/instance-id"
		if got, _ := request(t, b.app.Host, "GET", url); got != 0 {
			t.Errorf("%d over IPv6 where it is disabled", got)
		}
		o := MetadataOptions{HTTPTokens: MetadataTokensOptional, HTTPProtocolIPv6: MetadataIPv6Enabled}
		b.app.SetMetadataOptions(o)
		if got, text := request(t, b.app.Host, "GET", url); got != 200 || text != b.app.ID() {
			t.Errorf("%d %q over IPv6", got, text)
		}
		if got := b.app.MetadataOptions(); got != o {
			t.Errorf("%+v", got)
		}
	})
}

// Options that the API does not have are refused, at a launch and after it.
func TestMetadataOptionsRefused(t *testing.T) {
	for _, row := range []struct {
		options MetadataOptions
		want    string
	}{
		{MetadataOptions{HTTPPutResponseHopLimit: 64}, ""},
		{MetadataOptions{HTTPPutResponseHopLimit: 65}, "HttpPutResponseHopLimit is 65, and may be 1 to 64"},
		{MetadataOptions{HTTPPutResponseHopLimit: -1}, "HttpPutResponseHopLimit is -1, and may be 1 to 64"},
		{MetadataOptions{HTTPTokens: 2}, "HttpTokens is 2, HttpEndpoint 0, HttpProtocolIpv6 0, and each may be 0 or 1"},
		{MetadataOptions{HTTPEndpoint: 2}, "HttpTokens is 0, HttpEndpoint 2, HttpProtocolIpv6 0, and each may be 0 or 1"},
		{MetadataOptions{HTTPProtocolIPv6: 2}, "HttpTokens is 0, HttpEndpoint 0, HttpProtocolIpv6 2, and each may be 0 or 1"},
	} {
		for where, f := range map[string]func(s *Subnet){
			"i in subnet s": func(s *Subnet) { s.Instance("i", InstanceConfig{Metadata: row.options}) },
			"i":             func(s *Subnet) { s.Instance("i", InstanceConfig{}).SetMetadataOptions(row.options) },
		} {
			want := row.want
			if want != "" {
				want = "fabricfake: InvalidParameterValue: " + want + " (" + where + ")"
			}
			if got := faketb.Fatal(t, func(tb *faketb.TB) {
				f(NewVPC(netfake.New(tb, netfake.Config{Instant: true}), "prod", "10.0.0.0/16").Subnet("s", "10.0.0.0/24", "a"))
			}); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
}

// bridge is a router on an instance, with a container behind it.
type bridge struct {
	app       *Instance
	container *netfake.Host
}

func (b *bridge) String() string { return "bridge" }

// Step masquerades what the container sends, and takes the answers back to it.
func (b *bridge) Step(p *netfake.Packet) netfake.Next {
	if !p.CountDown() {
		return p.Drop(netfake.Hop{Place: "bridge", By: b, Rule: "the TTL is used up"})
	}
	if p.Flow.Src.Addr() == b.container.Addr() {
		p.SetSrc(netip.AddrPortFrom(b.app.Addr(), p.Flow.Src.Port()))
		return p.To(b.app.Interface().Out())
	}
	p.SetDst(netip.AddrPortFrom(b.container.Addr(), p.Flow.Dst.Port()))
	return p.To(b.container)
}

// A token does not come as far as a container behind a router unless the hop limit says so:
// the request is taken, and the answer never comes. All else does.
// fact: imds.hoplimit
func TestMetadataHopLimit(t *testing.T) {
	for _, row := range []struct {
		limit, status int
	}{{0, 0}, {1, 0}, {2, 200}, {64, 200}} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			b := newBeside(t, w, InstanceConfig{Metadata: MetadataOptions{HTTPPutResponseHopLimit: row.limit, HTTPTokens: MetadataTokensOptional}})
			router := &bridge{b.app, w.NewHost("container", b.vpc.Place())}
			router.container.AddNIC(netip.MustParseAddr("172.17.0.2"), 1500, router)
			b.app.Forward(router)
			got, text := request(t, router.container, "PUT", metadataURL+"/latest/api/token", tokenTTLHeader+": 60")
			if got != row.status {
				t.Errorf("limit %d: %d, want %d: %s", row.limit, got, row.status, text)
			}
			w.Sleep(time.Hour) // nor does it come later
			dropped := 0
			for _, d := range w.Drops() {
				if d.Hop.By == netfake.Component(router) {
					dropped++
				}
			}
			if (dropped == 0) != (row.status == 200) {
				t.Errorf("limit %d: %d packets ended at the bridge", row.limit, dropped)
			}
			if got, _ := request(t, router.container, "GET", metadataURL+"/latest/meta-data/instance-id"); got != 200 {
				t.Errorf("limit %d: %d without a token", row.limit, got)
			}
		})
	}
}

// Many instances cost no goroutine each, as all share the services.
func TestServicesAreShared(t *testing.T) {
	w := netfake.New(t, netfake.Config{})
	s := NewVPC(w, "prod", "10.0.0.0/16").Subnet("app", "10.0.0.0/20", "a")
	s.Instance("first", InstanceConfig{})
	before := runtime.NumGoroutine()
	for n := range 500 {
		s.Instance(fmt.Sprint("app", n), InstanceConfig{})
	}
	if got := runtime.NumGoroutine() - before; got > 0 {
		t.Errorf("%d goroutines for 500 instances", got)
	}
}
