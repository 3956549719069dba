// Package gatewayfake is the ways out of a VPC: the internet gateway, elastic IPs and
// the NAT gateway.
//
//	igw := gatewayfake.NewInternetGateway(vpc, "igw")
//	nat := gatewayfake.NewNATGateway(public, "nat-a", gatewayfake.NewElasticIP(vpc))
//	public.Route("0.0.0.0/0", igw)
//	private.Route("0.0.0.0/0", nat)
//
// A gateway is a target of routes and a component of traces: assertions name it to
// require that packets go through it, or that it is the one that blocks them.
//
// What makes, attaches and deletes gateways and addresses is for the test's own
// goroutine; their other methods may be called at any time.
//
// # Not modelled
//
// Egress-only internet gateways, peering, transit gateways, VPN, Direct Connect,
// endpoints; private and regional NAT gateways, several addresses per NAT gateway, its
// bandwidth limits and metrics; gateway route tables; fragments; the ICMP messages of
// path MTU discovery: a packet above the internet's 1,500 bytes is dropped silently,
// where the real gateway tells the sender; ICMP errors from beyond a gateway: what they
// quote is not translated back, so that the sender does not get them.
package gatewayfake
