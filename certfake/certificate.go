package certfake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// State is how far a certificate has come. The zero State is PendingValidation.
type State uint8

// The states that a requested certificate has in this package.
const (
	PendingValidation  State = iota // records are missing, or have not been seen yet
	Issued                          // usable
	ValidationTimedOut              // ValidationTimeout is over; request another
	Failed                          // refused for good; see FailureReason
	Expired                         // Validity is over
)

// String returns the state as the API writes it.
func (s State) String() string {
	switch s {
	case Issued:
		return "ISSUED"
	case ValidationTimedOut:
		return "VALIDATION_TIMED_OUT"
	case Failed:
		return "FAILED"
	case Expired:
		return "EXPIRED"
	}
	return "PENDING_VALIDATION"
}

// FailureReason says why a certificate is Failed. The zero reason is none.
type FailureReason string

// CAAError: a CAA record lets other authorities issue, and not this one.
const CAAError FailureReason = "CAA_ERROR"

// Certificate is a public certificate that was requested. All methods are safe for
// concurrent use.
type Certificate struct {
	manager *Manager
	arn     string
	names   []string
	records []ValidationRecord
	decided chan struct{} // closed when the state is no longer PendingValidation
	ended   chan struct{} // closed when the world ends

	mu     sync.Mutex
	state  State
	reason FailureReason
	proved map[string]bool // domains
	leaf   *x509.Certificate
	chain  tls.Certificate
}

// ARN returns the certificate's name in AWS, which holds its region.
func (c *Certificate) ARN() string { return c.arn }

// Region returns where the certificate may be used; a content delivery network wants
// us-east-1.
func (c *Certificate) Region() string { return c.manager.region }

// Names returns the names that the certificate covers, the subject's first.
func (c *Certificate) Names() []string { return append([]string(nil), c.names...) }

// String returns the certificate's first name.
func (c *Certificate) String() string { return "certificate " + c.names[0] }

// ValidationRecords returns what must be in public DNS, one record for each domain: a
// name and its wildcard share one.
func (c *Certificate) ValidationRecords() []ValidationRecord {
	return append([]ValidationRecord(nil), c.records...)
}

// Missing returns the records that have not been seen yet.
func (c *Certificate) Missing() []ValidationRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []ValidationRecord
	for _, r := range c.records {
		if !c.proved[r.Domain] {
			out = append(out, r)
		}
	}
	return out
}

// State returns how far the certificate has come.
func (c *Certificate) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Issued && time.Now().After(c.leaf.NotAfter) {
		return Expired
	}
	return c.state
}

// FailureReason returns why the certificate is Failed, else "".
func (c *Certificate) FailureReason() FailureReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Await waits until the certificate is Issued. It returns an error that tells the state
// and the missing records if it comes to something else, which takes ValidationTimeout
// at most, and the same together with ctx's error if ctx ends before.
func (c *Certificate) Await(ctx context.Context) error {
	var why error
	select {
	case <-c.decided:
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-c.ended:
		why = net.ErrClosed
	}
	switch state := c.State(); {
	case state == Issued:
		return nil
	case state == PendingValidation:
		return fmt.Errorf("%w: %w", c.problem(), why)
	}
	return c.problem()
}

// problem says in what state the certificate is, and what it would take.
func (c *Certificate) problem() error {
	text := fmt.Sprintf("certfake: %v is %v", c, c.State())
	if reason := c.FailureReason(); reason != "" {
		text += " (" + string(reason) + ")"
	}
	var missing []string
	for _, r := range c.Missing() {
		missing = append(missing, fmt.Sprintf("%s CNAME %s", r.Name, r.Value))
	}
	if len(missing) > 0 {
		text += ": public DNS lacks " + strings.Join(missing, " and ")
	}
	return fmt.Errorf("%s", text)
}

// TLS returns the certificate with its chain and its private key, for a server. While
// it is pending that is RequestInProgressException, and if it was never issued an error
// that says so. One that has expired is returned all the same: clients refuse it.
func (c *Certificate) TLS() (tls.Certificate, error) {
	c.mu.Lock()
	state, chain := c.state, c.chain
	c.mu.Unlock()
	switch state {
	case Issued:
		return chain, nil
	case PendingValidation:
		return tls.Certificate{}, &apiError{"RequestInProgressException", c.String() + " is " + state.String()}
	}
	return tls.Certificate{}, c.problem()
}

// X509 returns the certificate itself, nil before it is issued.
func (c *Certificate) X509() *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaf
}

// saw notes that a domain's record was there.
func (c *Certificate) saw(domain string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proved[domain] = true
}

// fail ends the wait without a certificate.
func (c *Certificate) fail(state State, reason FailureReason) {
	c.mu.Lock()
	c.state, c.reason = state, reason
	c.mu.Unlock()
	close(c.decided)
}
