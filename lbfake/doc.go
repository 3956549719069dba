// Package lbfake puts application load balancers before the instances of a VPC. A load
// balancer has a node in each of its zones, which is a host like any other: clients
// reach its address through the internet gateway and its security groups, and it
// reaches targets over connections of its own, from its own address, through theirs.
//
//	app := lbfake.NewTargetGroup(vpc, "app", lbfake.TargetGroupConfig{Port: 8080})
//	app.Register(one).Register(two)
//	web := lbfake.NewApplication(vpc, "web", lbfake.ApplicationConfig{
//		Subnets: []*fabricfake.Subnet{publicA, publicB}, Groups: fabricfake.Groups{sg}, DNS: sys,
//	})
//	web.Listener(80, lbfake.HTTP, lbfake.ListenerConfig{Default: lbfake.Forward(app)})
//
// A [Listener] decides by its rules what becomes of a request: it is forwarded to a
// [TargetGroup], redirected, or answered. Each node checks each target by itself, at
// every multiple of the interval since the target was registered, the first time one
// interval after; [TargetGroup.Health] is the table that DescribeTargetHealth gives, and
// [TargetGroup.WaitInService] waits for it to be good. A node hands requests to the
// targets that it sees healthy, in turn; to all unhealthy ones when it sees none
// healthy; and answers 503 when there is neither. What it answers in a target's place,
// and at which second, is what the real service documents, and the reason is in
// [ApplicationLoadBalancer.AccessLog].
//
// A load balancer's name is published with DNS, if its configuration has one, and it
// may be the target of an alias record.
//
// Turns are made of the order in which connections were accepted and requests came on
// each, so that a run can be repeated; do not rely on which target comes first, for the
// real service does not say. The streams of one HTTP/2 connection that come at one
// instant are the exception.
//
// # Not modelled
//
// Network and gateway load balancers. Of application load balancers: targets that are
// IP addresses, Lambda functions or other load balancers; HTTPS, HTTP/2 and gRPC
// towards targets; weighted target groups, stickiness, slow start, and algorithms
// besides round robin; cross-zone load balancing turned off, minimum counts of healthy
// targets, zonal shift, and names of single zones; authentication, mutual TLS, web
// ACLs and security policies (TLS 1.2 and 1.3 are spoken); transforms, and conditions
// besides host, path and method; desync mitigation and limits on the size of requests
// (net/http refuses malformed requests, in its own words); IPv6; quotas of load
// balancers and targets.
//
// A node's capacity is without limit and it never moves. Idle connections to targets
// are kept until the idle timeout. A response that is complete before the request's
// body has been sent ends up to 50 ms late, which is how long net/http waits for it.
package lbfake
