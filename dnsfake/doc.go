// Package dnsfake puts a public DNS into a netfake.World: the root, the registries of
// the top-level domains, the hosted zones, routing and health checks of Route 53, and
// recursive resolvers. Names are found by real iteration: a resolver asks the root, is
// sent to the registry, and from there to the zone's name servers, with DNS messages in
// packets that travel over the world's links like any others.
//
// A System is a world's DNS. HostedZone makes a zone and its four name servers, and
// Register delegates a domain to them, as a registrar does; a zone that nobody
// delegated is found by nobody. Records are created with Route 53's checks and refused
// with its messages. A failover pair is steered by a HealthCheck, which sends real
// requests from eight places of the world at seconds that are known in advance. A
// Resolver caches what it hears, so that a change in a zone shows when the TTL is over
// and not before. Provide publishes the names of load balancers and their like. Dig
// asks any server anything.
//
// Give hosts their resolver with netfake.Host.SetResolvers.
//
// # What is not modelled
//
// Routing policies other than simple and failover; private hosted zones and resolver
// rules; health checks of other health checks, alarms, search strings and endpoints
// given by name only. DNSSEC, zone transfers, IPv6 between resolvers and name servers (a VPC's
// resolver answers its instances over IPv6 too), DNAME, and query types that a zone's
// records do not have.
//
// The root and every top-level domain have one name server each, in one place, and so
// has each name server of Route 53; the real ones are anycast. Changes to a zone are
// everywhere at once, where Route 53 takes up to a minute. A CNAME whose target is in the
// same zone comes with its target in the answer section (RFC 1034 section 4.3.2).
//
// Resolvers do not remember failures, do not refresh before a TTL is over, and do not
// check a referral's name servers with the zone itself.
package dnsfake
