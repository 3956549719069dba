// Package netspec is the index of an embeddable testing framework for network
// behaviour. A test builds a small world in process: clients on the internet, DNS, load
// balancers, a VPC with its encapsulated fabric and its gateways. The real application
// runs in it, unchanged: http.Server, http.Client, anything that takes a net.Listener, a
// net.Conn or a dial function. Its bytes travel as packets, hop by hop, through the
// decisions that the request path of AWS would take, in virtual time: a day of health
// checks passes in milliseconds, and a timeout of 350 s is exact to the nanosecond.
//
// Three promises make it worth using:
//
//   - What is stated is what is enforced. One engine moves the application's packets,
//     draws their traces and answers who can reach whom.
//   - A failure explains itself: the rule that decided, what else would have blocked,
//     the near miss, and how to repeat the run.
//   - A run can be repeated: same seed, same packets, in the same order.
//
// This package has no code. The rooms of the house, from the ground up; each imports
// only from those above it in this list:
//
//   - netfake: the world, hosts and their sockets, links and their faults, the
//     internet, middleboxes, traces, captures
//   - fabricfake: the VPC, with subnets, security groups, network ACLs, route tables,
//     prefix lists, flow logs, mirrors, the mapping service and the frames of the
//     substrate
//   - gatewayfake: internet gateway, elastic IPs, NAT gateway, peering
//   - dnsfake: delegation, hosted zones, failover, health checks, resolvers
//   - certfake: certificates that are issued once DNS proves them
//   - lbfake: application load balancers
//   - assert: claims about the world; generators for property tests and drawings of
//     recordings are in packages below it
//   - examples: whole scenarios, as tests
//
// Begin with [github.com/netspec-go/netspec/netfake.Run] and the examples. Each room's
// package comment says what it does not model.
package netspec
