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
// # Concurrency
//
// What builds a world is for the test's own goroutine: regions, VPCs, subnets, groups,
// tables, instances and edges are made one after another. What changes one that is
// there (rules, entries, routes, associations, failures) may be called at any time.
//
// # Not modelled
//
// ARP and everything else below IP; several interfaces per instance; caches of mappings on the hosts and their delay (a change is known everywhere at
// once); fragments: what is too big is dropped and answered even where it might be cut;
// bandwidth and packet rate limits; instance metadata, time and DHCP services; of flow logs
// the versions from 6 on, and the minutes until a record is delivered; load balancers as
// targets of mirrors, and mirrors across VPCs; the quota of VPCs.
package fabricfake
