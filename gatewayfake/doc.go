// Package gatewayfake is the ways out of a VPC: the internet gateway, elastic IPs, the NAT
// gateway and peering connections.
//
//	igw := gatewayfake.NewInternetGateway(vpc, "igw")
//	nat := gatewayfake.NewNATGateway(public, "nat-a", gatewayfake.NewElasticIP(vpc))
//	public.Route("0.0.0.0/0", igw)
//	private.Route("0.0.0.0/0", nat)
//
// A gateway is a target of routes and a component of traces: assertions name it to
// require that packets go through it, or that it is the one that blocks them. What is
// detached or deleted, and a peering that is not active, is a blackhole: then the route
// table is who blocks, with BAD_STATE_ROUTE.
//
// An internet gateway translates between private and public IPv4 addresses, elastic ones and
// those that instances get assigned, and lets IPv6 pass as it is. It knows of them what its
// edge has been told: see fabricfake.MappingService.
//
// Internet and NAT gateways translate ICMP errors with what these quote, so that a host behind them sees ports
// refused, paths that are too narrow and the routers of a traceroute as if it were on the
// internet itself. In a traceroute a NAT gateway is a hop with its private address and an
// internet gateway one that keeps silent. AWS documents neither; a trace in its guide
// shows the silence:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html
//
// A datagram that may be cut is cut in front of a gateway whose MTU it exceeds. A NAT gateway
// forwards fragments of UDP, both ways and in whatever order, and those of no other protocol:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-comparison.html
// An internet gateway translates them like other packets.
//
// A [Peering] connects two VPCs of a region, once it is accepted and both have routes to it:
//
//	pcx := gatewayfake.NewPeering(shop, data, "pcx").Accept()
//	front.Route("10.1.0.0/16", pcx)
//	back.Route("10.0.0.0/16", pcx)
//	stores.AllowIngress("tcp/5432", apps) // a group of the peer
//
// It carries nothing but what is between addresses of the two: not what is for a peer's own
// peers or gateways.
//
// What makes, attaches and deletes gateways and addresses is for the test's own
// goroutine; their other methods may be called at any time.
//
// # Not modelled
//
// Egress-only internet gateways, transit gateways, VPN, Direct Connect,
// endpoints; private and regional NAT gateways, several addresses per NAT gateway, its
// bandwidth limits and metrics. Of peerings those between regions and accounts, names that
// resolve to a peer's private addresses, the return of answers to a NAT gateway without a route,
// and the statuses that last for seconds.
package gatewayfake
