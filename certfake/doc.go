// Package certfake gives a netfake.World a public certification authority and a manager
// of certificates that works like AWS Certificate Manager: a certificate is asked for,
// its domains are proved by CNAME records in public DNS, and then it is issued.
//
// New makes the authority, which the world's clients trust. Manager.Request returns a
// Certificate that is pending. Put its ValidationRecords into the domain's hosted zone,
// and see to it that the domain is delegated there; the manager asks public DNS, from
// its own resolver with real questions, at once, then every minute, and after an hour
// every ten minutes. When all records are there, and no CAA record forbids it, the
// certificate is issued; when they are not there after 72 hours, it never will be.
// Certificate.Await waits for either, in virtual time. Certificate.TLS is then what a
// server needs, and a client of the world verifies it as on the internet.
//
// Keys, serial numbers, signatures and validation records depend on the world's seed
// alone: runs with one seed issue the same bytes. The keys are therefore no secret.
//
// # What is not modelled
//
// Validation by e-mail and by HTTP; renewal, deletion, revocation, import and export;
// private authorities; RSA and P-384 keys; certificate transparency; throttling and the
// yearly quota. ACM takes up to half an hour between validation and issue, and several
// seconds before a new certificate can be described; here both are at once. How often
// ACM looks is not documented: PollInterval and SlowPollInterval are this package's.
package certfake
