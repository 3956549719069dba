package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// FlowAction says whether a flow's packets were let through. The zero FlowAction is
// FlowReject.
type FlowAction uint8

// The actions of flow records.
const (
	FlowReject FlowAction = iota // refused by a security group or a network ACL
	FlowAccept                   // let through by both
)

// String returns the action as records print it: "ACCEPT" or "REJECT".
func (a FlowAction) String() string {
	if a == FlowAccept {
		return "ACCEPT"
	}
	return "REJECT"
}

// FlowRecord is what passed one interface in one direction between two ports in one
// window. Of a window without traffic there is one record, with NoData set and without
// a flow.
type FlowRecord struct {
	Interface *Interface
	NoData    bool

	// Flow has the interface's primary private address on its own side, whatever the
	// packets carried; PacketSrc and PacketDst are the packets' own. Of ICMP the ports
	// are 0.
	Flow                 netfake.Flow
	PacketSrc, PacketDst netip.Addr
	Direction            netfake.Direction

	Packets, Bytes uint64 // bytes with the IP headers
	TCPFlags       uint8  // FIN 1, SYN 2, RST 4, SYN with ACK 18, or-ed; ACK alone is 0
	Path           TrafficPath
	Action         FlowAction

	// Start and End are when the first and the last packet passed; of a window without
	// traffic, when it began and ended.
	Start, End time.Time

	instance string // that the interface was attached to then

	seen int // its place among the flows of its window
}

// TrafficPath is the way that traffic takes out of an interface, as flow records number
// it. The zero TrafficPath leads to another resource of the VPC.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
type TrafficPath uint8

// The paths of traffic.
const (
	PathWithinVPC       TrafficPath = iota // printed as 1
	PathInternetGateway                    // printed as 8, and as 2 for interfaces of services
	PathVirtualGateway                     // printed as 3
	PathPeering                            // printed as 4
	PathPeeringRegions                     // printed as 5
	PathGatewayEndpoint                    // printed as 7, and as 2 for interfaces of services
)

// number returns the path as a record prints it.
func (p TrafficPath) number(managed bool) string {
	switch p {
	case PathWithinVPC:
		return "1"
	case PathVirtualGateway:
		return "3"
	case PathPeering:
		return "4"
	case PathPeeringRegions:
		return "5"
	}
	switch {
	case managed:
		return "2" // the number of interfaces that are not on Nitro
	case p == PathGatewayEndpoint:
		return "7"
	}
	return "8"
}

// FlowAccount is the account that records name: the one of the documentation's examples.
const FlowAccount = "123456789012"

// DefaultFlowFormat is the format of version 2, which a flow log has when it is told no
// other. Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
const DefaultFlowFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} " +
	"${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

// flowField is one field of a format.
type flowField struct {
	name    string
	version int
	always  bool // printed for a window without traffic too
	print   func(r *FlowRecord) string
}

// flowFields are the fields of versions 2 to 5.
var flowFields = []flowField{
	{"account-id", 2, true, func(*FlowRecord) string { return FlowAccount }},
	{"interface-id", 2, true, func(r *FlowRecord) string { return r.Interface.ID() }},
	{"srcaddr", 2, false, func(r *FlowRecord) string { return r.Flow.Src.Addr().String() }},
	{"dstaddr", 2, false, func(r *FlowRecord) string { return r.Flow.Dst.Addr().String() }},
	{"srcport", 2, false, func(r *FlowRecord) string { return strconv.Itoa(int(r.Flow.Src.Port())) }},
	{"dstport", 2, false, func(r *FlowRecord) string { return strconv.Itoa(int(r.Flow.Dst.Port())) }},
	{"protocol", 2, false, func(r *FlowRecord) string { return strconv.Itoa(int(r.Flow.Proto)) }},
	{"packets", 2, false, func(r *FlowRecord) string { return strconv.FormatUint(r.Packets, 10) }},
	{"bytes", 2, false, func(r *FlowRecord) string { return strconv.FormatUint(r.Bytes, 10) }},
	{"start", 2, true, func(r *FlowRecord) string { return strconv.FormatInt(r.Start.Unix(), 10) }},
	{"end", 2, true, func(r *FlowRecord) string { return strconv.FormatInt(r.End.Unix(), 10) }},
	{"action", 2, false, func(r *FlowRecord) string { return r.Action.String() }},
	{"log-status", 2, true, (*FlowRecord).status},

	{"vpc-id", 3, true, func(r *FlowRecord) string { return r.Interface.vpc.ID() }},
	{"subnet-id", 3, true, func(r *FlowRecord) string { return r.Interface.subnet.ID() }},
	{"instance-id", 3, true, func(r *FlowRecord) string { return r.instance }},
	{"tcp-flags", 3, false, func(r *FlowRecord) string { return strconv.Itoa(int(r.TCPFlags)) }},
	{"type", 3, false, (*FlowRecord).family},
	{"pkt-srcaddr", 3, false, func(r *FlowRecord) string { return r.PacketSrc.String() }},
	{"pkt-dstaddr", 3, false, func(r *FlowRecord) string { return r.PacketDst.String() }},

	{"region", 4, true, func(r *FlowRecord) string { return r.Interface.vpc.region.name }},
	{"az-id", 4, true, func(r *FlowRecord) string { return r.Interface.vpc.region.ZoneID(r.Interface.subnet.zone) }},
	{"sublocation-type", 4, false, notAvailable},
	{"sublocation-id", 4, false, notAvailable},

	{"pkt-src-aws-service", 5, false, notAvailable},
	{"pkt-dst-aws-service", 5, false, notAvailable},
	{"flow-direction", 5, false, func(r *FlowRecord) string { return r.Direction.String() }},
	{"traffic-path", 5, false, (*FlowRecord).path},
}

func notAvailable(*FlowRecord) string { return "-" }

func (r *FlowRecord) status() string {
	if r.NoData {
		return "NODATA"
	}
	return "OK"
}

func (r *FlowRecord) family() string {
	if r.Flow.Src.Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func (r *FlowRecord) path() string {
	if r.Direction != netfake.Egress {
		return "-"
	}
	return r.Path.number(r.Interface.managed)
}

// flowFormat is a format that has been read: literal text between fields.
type flowFormat struct {
	fields  []flowField
	version string
}

// parseFlowFormat reads the notation of the API: fields as "${name}", a space between
// two of them.
func parseFlowFormat(s string) (flowFormat, error) {
	var f flowFormat
	version := 2
	for _, word := range strings.Fields(s) {
		name, ok := strings.CutPrefix(word, "${")
		name, closed := strings.CutSuffix(name, "}")
		i := slices.IndexFunc(flowFields, func(f flowField) bool { return f.name == name })
		switch {
		case !ok || !closed:
			return f, refuse(codeParameterValue, "flow log format: %q is no field; fields are written ${name}", word)
		case name == "version":
			f.fields = append(f.fields, flowField{name: name})
		case i < 0:
			return f, refuse(codeParameterValue, "flow log format: there is no field %s in versions 2 to 5", name)
		default:
			f.fields = append(f.fields, flowFields[i])
			version = max(version, flowFields[i].version)
		}
	}
	if len(f.fields) == 0 {
		return f, refuse(codeParameterValue, "flow log format: %q has no field", s)
	}
	f.version = strconv.Itoa(version)
	return f, nil
}

// line prints a record, without a newline.
func (f *flowFormat) line(r *FlowRecord) string {
	words := make([]string, len(f.fields))
	for i, field := range f.fields {
		switch {
		case field.name == "version":
			words[i] = f.version
		case r.NoData && !field.always:
			words[i] = "-"
		default:
			words[i] = field.print(r)
		}
	}
	return strings.Join(words, " ")
}

// String returns the record as a line of version 2.
func (r FlowRecord) String() string { return defaultFlowFormat.line(&r) }

var defaultFlowFormat = func() flowFormat {
	f, err := parseFlowFormat(DefaultFlowFormat)
	if err != nil {
		panic(fmt.Sprint("fabricfake: ", err))
	}
	return f
}()
