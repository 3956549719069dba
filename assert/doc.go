// Package assert states what a network must do. A claim is proved by the engine that
// moves the application's packets, not by a model of it; one that does not hold fails
// the test with the way of the packet, the rule that decided, whatever else would have
// blocked, and how to repeat the run.
//
//	assert.Reachable(t, app, db.TCP(5432))
//	assert.Reachable(t, app, site.TCP(443), assert.Through(nat, igw))
//	assert.Unreachable(t, site, db.TCP(5432), assert.BlockedBy(w.Internet()))
//	took := assert.Eventually(t, 2*time.Minute, func() error { return isUp(app) })
//
// Reachable and Unreachable ask with a probe, which takes no time and changes nothing;
// Eventually and Within wait, in the time of the test's bubble.
//
// Bit requires that a fault has hit something: a test that passes because what it broke
// was not in the way shows nothing.
//
// Generators of random conversations and faults, for property tests, are in the
// package generate below this one; the package journey draws what was recorded.
//
// An assertion here never asks what an application does with a connection: dial it,
// and look.
package assert
