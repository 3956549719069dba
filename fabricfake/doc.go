// Package fabricfake is a VPC: subnets in zones, instances with their interfaces,
// security groups, network ACLs and route tables, and under them the fabric that makes
// a VPC out of physical hosts: a mapping service, and frames in which the packets of
// one VPC travel through a network that all share.
//
//	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
//	subnet := vpc.Subnet("app-a", "10.0.1.0/24", "a")
//	web := vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)
//	app := subnet.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{web}})
//
// An [Instance] is a [netfake.Host]: the application dials, listens and serves on it.
// Every packet that it sends passes, in this order: the check of its source address,
// the security groups of its interface, and, if it leaves the subnet, the network ACL
// and the route table. Then the physical host looks up where the destination is, puts
// the packet into a frame and sends that over the substrate. The host at the other end
// decodes the frame's bytes, checks that the sender is who it says it is, and applies
// the ACL of the subnet and the groups of the interface before it delivers. Stages are
// functions of the packet and the time; one engine runs them for live packets and for
// probes.
//
// # Frames
//
// The real encapsulation of AWS is unpublished. Frames here are GENEVE (RFC 8926) over
// UDP port 6081, with the VPC's number as VNI and options of the experimental class
// 0xFF01 for the interfaces at both ends, so that Wireshark dissects a capture. That
// mapping look-ups and the check on receipt happen, and where, follows public talks
// (re:Invent 2013 CPN401, 2016 NET401, 2017 NET405). The latencies of the fabric are
// numbers of the model; see [Region].
//
// # Mappings
//
// Every physical host and edge has a cache of the mappings, which the mapping service pushes
// changes to: interfaces that come and go, addresses that move, the groups that an
// interface has. A push takes no time unless a test says so ([MappingService.SetDelay],
// [PhysicalHost.SetMappingDelay]); what a host can see for itself, it knows at once.
// Everything that a device decides it decides by its own cache: where it sends frames,
// whose frames it believes, who is a member of a group, and as the edge of an internet
// gateway which private address a public one is translated to. As later talks tell it, a
// miss is a drop, since all is pushed in advance; as the first one does, it is a question
// ([MissAsk]). The service may fail ([MappingService.Fail]): what is known keeps working.
//
// A device that has yet to be told that somebody has moved sends to the old host, which
// drops the frame as stale: it knows who was there. A device that has been told of the move
// drops frames from the old place as stale for [FrameLifetime], since they may have been
// under way, and after that as forged. One that has not been told rejects frames from the
// new place as forged, with an alarm, and accepts those from the old one.
//
// # Services beside the instances
//
// At link-local addresses, over IPv4 and IPv6, whatever groups, ACLs and routes say:
//
//	169.254.169.253, fd00:ec2::253   the resolver, also at the primary block's base plus two,
//	                                 if one is attached: see [VPC.AttachResolver]
//	169.254.169.123, fd00:ec2::123   the Amazon Time Sync Service: NTP, with the world's time
//	169.254.169.254, fd00:ec2::254   the instance metadata service: see [MetadataOptions]
//
// An instance is told about itself alone, whatever it claims, and where it asked: answers need
// no mapping. All of them together take
// [LinkLocalAllowance] packets in a second of each interface. [DHCPOptions] are
// configuration that instances have from their launch on.
//
// # Peers
//
// A VPC peering connection, which gatewayfake makes, is no device either: the host that sends
// looks its destination up in the other VPC, and the frame has that VPC's number. The host that
// receives believes it as long as the two are peers, if the sender is where it knows him to be
// in his own VPC, and for addresses of the two VPCs alone. ACLs of both subnets and groups of
// both interfaces judge, and rules may name groups of a peer. See [Peering].
//
// # Interfaces and instances
//
// An [Interface] lives in a subnet, and what belongs to it goes with it from instance to
// instance: its addresses, public ones too, its groups with the connections that they
// track, its source and destination check. An instance has a primary one for life, made
// with it or before, and takes others. It is launched, stopped, started, rebooted and
// terminated: a stop is that of an operating system, which closes the sockets of its
// programs. [InstanceConfig] has the times that this takes; without any, launching takes
// none and shutting down five seconds. Sockets are opened when an instance has booted, and
// are gone when it stops. Routes may lead to it, and [Instance.Forward] makes a router, a
// NAT instance or a machine with containers of it.
//
// Where it runs is nobody's business, unless it is in a [PlacementGroup]: a cluster, whose
// instances share a rack, a spread group, whose instances share none, or one with partitions
// that share none. Racks that fail show the difference; latencies do not.
//
// # Fragments
//
// A datagram that exceeds an instance's 9001 bytes leaves it in fragments, and the VPC's
// router cuts what exceeds the MTU of a route's target, unless it forbids that: then its
// sender is told. Later fragments have no ports. AWS does not say how groups, ACLs and flow
// logs treat them; here, and this is the model's own decision, each interface judges and
// records them as if they had those of their datagram's first, and has one that comes before
// its first wait for it, for 30 s, or 60 s over IPv6. An interface sends [FragmentAllowance]
// fragments in a second.
//
// # What becomes of a connection
//
// when something changes in its middle, with the times that Linux and net have by default:
//
//	a rule is revoked, groups are replaced       tracked: it goes on. Untracked: silence,
//	                                             ETIMEDOUT 924.8 s after the next segment
//	a network ACL denies, a route leads          silence; ECONNRESET by the keep-alives of the
//	elsewhere, a middlebox checks addresses      other end after 150 s if its way back is open
//	the interface moves to another instance      ECONNRESET from there, at the first segment
//	                                             after the client's host has been told. Who
//	                                             lost it: ETIMEDOUT
//	it is detached                               silence, ETIMEDOUT at both ends
//	an address moves to another interface,       tracked: silence, ETIMEDOUT, as nothing of it is
//	an elastic IP to another address             tracked there. Untracked: ECONNRESET from the
//	                                             new owner
//	a peering is deleted                         silence, ETIMEDOUT; a new one carries it on
//	and any of it is mended                      it goes on with the next retransmission
//	a host, a rack or a zone fails, a crash      silence, ETIMEDOUT 924.8 s after the next segment
//	the instance boots again                     ECONNRESET at the next retransmission
//	it is stopped or terminated                  io.EOF at once
//	and that by force                            silence, ETIMEDOUT 924.8 s after the next segment
//
// # Concurrency
//
// What builds a world is for the test's own goroutine: regions, VPCs, subnets, groups,
// tables, interfaces, instances and edges are made one after another, and instances are
// started there. What changes one that is there (rules, entries, routes, associations,
// failures) may be called at any time.
//
// # Not modelled
//
// ARP and everything else below IP; bandwidth and packet rate limits; ENA's fragment proxy,
// which lifts the limit of fragments; encryption between hosts, which would keep the owner
// of a wire from reading and from altering what is inside of a frame; DHCP's packets and
// renewals, and NetBIOS; Windows activation and the metadata of ECS tasks; of instance
// metadata what an instance here does not have, such as an image, a type, tags and keys,
// and signatures; the status "associated" of an interface; hibernation; of flow logs the
// versions from 6 on, and the minutes until a record is delivered; subnets of IPv6 alone, and
// names of instances by their identifiers; load balancers as
// targets of mirrors, and mirrors across VPCs; a substrate between regions.
package fabricfake
