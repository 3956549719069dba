package netfake

import "slices"

// keepPort has a connection that is over keep its port until the application closes it, if
// it has asked for that port. As in Linux (SOCK_BINDPORT_LOCK) a port that the host has
// chosen is free as soon as the connection has died.
func (c *TCPConn) keepPort() {
	h := c.host
	if c.asked && !c.letsGo() && !slices.Contains(h.kept, c) {
		h.kept = append(h.kept, c)
	}
}

// letsGo reports whether the connection keeps nothing any more.
func (c *TCPConn) letsGo() bool { return c.closed || c.killed }

// keeps reports whether a connection that is over is in the way of a socket.
func (h *Host) keeps(b binding) bool {
	h.kept = slices.DeleteFunc(h.kept, (*TCPConn).letsGo)
	return slices.ContainsFunc(h.kept, func(c *TCPConn) bool {
		return c.flow.Src.Port() == b.at.Port() && b.covers(c.flow.Src.Addr())
	})
}
