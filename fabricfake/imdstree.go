package fabricfake

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metadataVersions are versions of the metadata that are answered beside "latest": some of
// those that there are, and all with the same content.
var metadataVersions = []string{"1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15"}

// metadata returns the text at a path: a value, or what is below it.
func (s *localServices) metadata(i *Instance, about *aboutInstance, path string) (text string, ok bool) {
	version, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	if version == "" {
		return strings.Join(append(slices.Clone(metadataVersions), "latest"), "\n"), true
	}
	if version != "latest" && !slices.Contains(metadataVersions, version) {
		return "", false
	}
	var leaves metadataTree
	s.region.world.Do(func(time.Duration) { leaves = s.describe(i, about) })
	return leaves.at(rest)
}

// metadataTree has the values by their paths below the version.
type metadataTree map[string]string

// at returns a value, or a list of what is right below a path: what has more below it ends
// with a slash, except at the top.
func (t metadataTree) at(path string) (text string, ok bool) {
	if text, ok = t[path]; ok {
		return text, true
	}
	below := path + "/"
	if path == "" {
		below = ""
	}
	var names []string
	for leaf := range t {
		if rest, ok := strings.CutPrefix(leaf, below); ok {
			name, _, more := strings.Cut(rest, "/")
			if more && path != "" {
				name += "/"
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n"), len(names) > 0
}

// put sets a value below a directory. What is "" is not there.
func (t metadataTree) put(dir, name, value string) {
	if value != "" {
		t[dir+name] = value
	}
}

// describe says all that there is about an instance. It is called inside the scheduler.
func (s *localServices) describe(i *Instance, about *aboutInstance) metadataTree {
	f, t := i.iface, metadataTree{}
	t.put("", "user-data", about.userData)
	const root = "meta-data/"
	t.put(root, "instance-id", i.ID())
	t.put(root, "hostname", i.hostname())
	t.put(root, "local-hostname", i.hostname())
	t.put(root, "local-ipv4", f.addr.String())
	t.put(root, "mac", f.mac())
	t.put(root, "placement/availability-zone", f.zoneName())
	t.put(root, "placement/availability-zone-id", s.region.ZoneID(f.subnet.zone))
	t.put(root, "placement/region", s.region.name)
	if p := i.cfg.Placement; p.Group != nil {
		t.put(root, "placement/group-name", p.Group.name)
		if p.Partition > 0 {
			t.put(root, "placement/partition-number", strconv.Itoa(p.Partition))
		}
	}
	t.put(root, "security-groups", joined(f.groups, func(g *SecurityGroup) string { return g.name }))
	t.put(root, "services/domain", "amazonaws.com")
	t.put(root, "services/partition", "aws")
	if f.Public().IsValid() {
		t.put(root, "public-ipv4", f.Public().String())
		t[root+"public-hostname"] = f.publicDNSName()
	}
	if v6 := only(f.more, isIPv6); len(v6) > 0 {
		t.put(root, "ipv6", v6[0].String())
	}
	for _, own := range i.ifaces {
		t.describeInterface(root+"network/interfaces/macs/"+own.mac()+"/", i, own)
	}
	if about.profile != "" {
		t.put(root, "iam/info", s.profileInfo(about))
		t.put(root, "iam/security-credentials/"+about.profile, s.credentials(i, about))
	}
	t.put("dynamic/", "instance-identity/document", s.identity(i, about))
	return t
}

// describeInterface says all about an interface of an instance.
func (t metadataTree) describeInterface(dir string, i *Instance, f *Interface) {
	v := f.vpc
	t.put(dir, "device-number", strconv.Itoa(f.attachment.index))
	t.put(dir, "interface-id", f.ID())
	t.put(dir, "local-hostname", i.hostname())
	t.put(dir, "local-ipv4s", joined(only(f.addresses(), netip.Addr.Is4), netip.Addr.String))
	t.put(dir, "ipv6s", joined(only(f.more, isIPv6), netip.Addr.String))
	t.put(dir, "mac", f.mac())
	t.put(dir, "owner-id", FlowAccount)
	t.put(dir, "security-group-ids", joined(f.groups, (*SecurityGroup).ID))
	t.put(dir, "security-groups", joined(f.groups, func(g *SecurityGroup) string { return g.name }))
	t.put(dir, "subnet-id", f.subnet.id)
	t.put(dir, "subnet-ipv4-cidr-block", f.subnet.block.String())
	if f.subnet.block6.IsValid() {
		t.put(dir, "subnet-ipv6-cidr-blocks", f.subnet.block6.String())
	}
	t.put(dir, "vpc-id", v.ID())
	t.put(dir, "vpc-ipv4-cidr-block", v.cidrs[0].String())
	t.put(dir, "vpc-ipv4-cidr-blocks", joined(v.cidrs, netip.Prefix.String))
	t.put(dir, "vpc-ipv6-cidr-blocks", joined(v.cidrs6, netip.Prefix.String))
	if f.Public().IsValid() {
		t.put(dir, "public-ipv4s", f.Public().String())
		t.put(dir, "ipv4-associations/"+f.Public().String(), f.addr.String())
		t[dir+"public-hostname"] = f.publicDNSName()
	}
}

// mac returns the hardware address of the interface, in the form of the metadata.
func (f *Interface) mac() string {
	mac := macOf(f.addr)
	return net.HardwareAddr(mac[:]).String()
}

// zoneName returns the zone as the API calls it: "ap-southeast-2a".
func (f *Interface) zoneName() string { return f.vpc.region.name + f.subnet.zone }

func isIPv6(a netip.Addr) bool { return !a.Is4() }

// only returns those of the addresses that are of a kind.
func only(addrs []netip.Addr, kind func(netip.Addr) bool) (some []netip.Addr) {
	for _, a := range addrs {
		if kind(a) {
			some = append(some, a)
		}
	}
	return some
}

// joined puts each on a line of its own.
func joined[T any](all []T, text func(T) string) string {
	lines := make([]string, len(all))
	for i, one := range all {
		lines[i] = text(one)
	}
	return strings.Join(lines, "\n")
}

// identity returns the instance identity document. Its image, architecture and type are
// not there, as an instance here has none, and it is not signed. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html
func (s *localServices) identity(i *Instance, about *aboutInstance) string {
	return asJSON(struct {
		AccountID        string `json:"accountId"`
		AvailabilityZone string `json:"availabilityZone"`
		InstanceID       string `json:"instanceId"`
		PendingTime      string `json:"pendingTime"`
		PrivateIP        string `json:"privateIp"`
		Region           string `json:"region"`
		Version          string `json:"version"`
	}{FlowAccount, i.iface.zoneName(), i.ID(), s.date(about.launched), i.iface.addr.String(), s.region.name, "2017-09-30"})
}

func (s *localServices) profileInfo(about *aboutInstance) string {
	return asJSON(struct {
		Code, LastUpdated, InstanceProfileArn string
	}{"Success", s.date(about.launched), fmt.Sprintf("arn:aws:iam::%s:instance-profile/%s", FlowAccount, about.profile)})
}

// How long credentials hold, and how often there are new ones: the ones before hold for an
// hour then. AWS says that new ones are there five minutes before the old expire.
const (
	credentialsHold  = 6 * time.Hour
	credentialsRenew = 5 * time.Hour
)

// credentials returns keys for the role of the instance, which nothing accepts.
func (s *localServices) credentials(i *Instance, about *aboutInstance) string {
	age := s.region.world.Now() - about.launched
	from := about.launched + age.Truncate(credentialsRenew)
	key := s.sign("credentials", i, []byte(s.date(from)))
	return asJSON(struct {
		Code, LastUpdated, Type            string
		AccessKeyID                        string `json:"AccessKeyId"`
		SecretAccessKey, Token, Expiration string
	}{
		"Success", s.date(from), "AWS-HMAC", "ASIA" + strings.ToUpper(hex.EncodeToString(key[:8])),
		hex.EncodeToString(key[8:28]), hex.EncodeToString(key), s.date(from + credentialsHold),
	})
}

// date writes a time since the world's beginning.
func (s *localServices) date(at time.Duration) string {
	return s.region.world.Time(at).UTC().Format("2006-01-02T15:04:05Z")
}

// asJSON writes a struct of strings.
func asJSON[T any](v T) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(b)
}
