// Package netfake is a network in a test: a world with hosts, their sockets, links and
// an internet between them, in virtual time.
//
//	func TestHello(t *testing.T) { netfake.Run(t, testHello) }
//
//	func testHello(t *testing.T, w *netfake.World) {
//		server := w.Internet().HostAt(netfake.Sydney, "server", "203.0.113.10")
//		client := w.Internet().HostAt(netfake.Melbourne, "client", "198.51.100.20")
//		server.ServeHTTP(":80", handler)
//		resp, err := client.HTTPClient().Get("http://203.0.113.10/")
//		...
//	}
//
// Run opens a synctest bubble, in which time passes at once when everybody waits; New is
// for tests that have opened one, for properties under rapid, and for benchmarks in real
// time. What is written to what Dial, Listen and ListenPacket of a [Host] return travels as
// packets with real headers, from node to node, over links that take time. The rooms above
// this one add nodes: a VPC, gateways.
//
// # What an application sees
//
//	what happens                                  what the application sees
//	nobody listens                                ECONNREFUSED, after a round trip
//	a filter, a partition, no route, a crash      silence: the SYN is sent again, until the
//	                                              dialer's deadline or, after 127 s, ETIMEDOUT
//	a router that says no, see Link.Refuse        a dial fails at once: EHOSTUNREACH and its kin; an
//	                                              open connection goes on, asks more often (RFC
//	                                              6069), and gives it as the reason if it times out
//	the peer resets, or a middlebox does          ECONNRESET once, then io.EOF or EPIPE
//	the peer closes                               io.EOF
//	the address of a socket's own is taken away,  IPv4: TCP as with silence, and it goes on when the
//	see NIC.Remove                                address is back; UDP ENETUNREACH. IPv6: silence
//	a deadline                                    os.ErrDeadlineExceeded
//	closed by itself                              net.ErrClosed
//
// A SYN goes again after 1, 3, 7, 15, 31 and 63 s, as with Linux before 6.5; later kernels
// send it after 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s, and give up after 131
// (net.ipv4.tcp_syn_linear_timeouts). An open connection is given up by the clock
// (net.ipv4.tcp_retries2): at the first timeout from 924.4 s after its first retransmission
// on, so that one with a long round trip asks less often than 15 times.
//
// [TCPConn], [Listener] and [UDPConn] have the methods of net.TCPConn and its kin, and are
// not these types, which net alone can make: code that asserts one has to ask for the
// method that it needs, as in c.(interface{ CloseWrite() error }).
//
// # Names and dialling
//
// A host asks the servers of [Host.SetResolvers] as net's own resolver does, A and AAAA at
// once, under the names of its [SearchList], or whomever [Host.SetLookup] names; the
// addresses of a name race as with net.Dialer (RFC 8305). [Host.DialContext] and a
// [Dialer]'s go wherever a library takes a dial function; [Host.DialTCP] fits those that
// pass no network. A library that resolves names before it dials needs [Host.LookupHost] or
// another of a host's lookups too, which are all of net.Resolver's: its default would ask
// the real network.
//
// # IPv6
//
// A host has addresses of either family or of both: Internet.Host takes several. Its
// sockets are those of net on Linux: ":80" listens at [::]:80 to both families, and shows
// an IPv4 peer as such. A host without an IPv6 address is a machine whose kernel has no
// IPv6, and binds ":80" to 0.0.0.0:80. Sources are chosen as RFC 6724 says; extension
// headers are skipped where they come, and never sent.
//
// # Faults
//
// A link has latency and, if a test says so, a bandwidth with a queue in front of it. What
// breaks is a [Fault]: a verb of a [Link] or one of its two directions, a [Way]; of a
// [Host] or a set of [Hosts]; or of the [Traffic] between sets of hosts, [World.Between] and
// [World.Toward], whatever lies between them. [Internet.Between] is the link between two
// places. [Link.SetMTU] is no fault: a router says what is too big, unless nobody hears it.
//
//	verb        of                    what becomes of packets          what the application sees
//	Partition   link, way, traffic,   swallowed as they enter the      silence: TCP sends again after
//	            host, hosts           link, or reach the host          200 ms and more, ETIMEDOUT after
//	                                                                   about 15 minutes; a dial after 127 s
//	Hold        link, way, traffic,   wait until Release or Undo,      the same, and then all at once;
//	            host, hosts           then go on in order              nothing is lost, much came twice
//	Delay       link, way             take so much longer              later
//	SetLoss     link, way             lost, each by a draw             TCP: later; UDP: less
//	SetFaults   link, way             lost in bursts, doubled,         TCP: later, and never other bytes;
//	                                  reordered, flipped, later        UDP: as it says, but for flipped
//	                                                                   packets, which checksums stop
//	Refuse      link                  answered by the router in front  a dial: ECONNREFUSED, ENETUNREACH or
//	                                  with an ICMP error               EHOSTUNREACH after a round trip; an
//	                                                                   open connection: silence
//	DropICMP    link                  ICMP swallowed                   a black hole for path MTU discovery
//	Crash       host, hosts           dropped at the host              on it: net.ErrClosed at once; its
//	                                                                   peers: silence, and ECONNRESET if
//	                                                                   they write after Restart
//	Pause       host, hosts           wait in the host's ring, 256     on it: what needs a peer waits for
//	                                  of them, until Resume            Resume; its peers: silence, then
//	                                                                   as if nothing had been
//
// A partition never answers: it is silence at once and an error by timeout. What answers
// at once is Refuse, or a closed port, with RST, after a round trip: that is a server that has stopped
// listening and not a fault of the network. Packets that are under way when a fault of a
// link begins have passed it and arrive; a fault of traffic or of a host meets them where
// they arrive.
//
// Each fault adds to the others, is undone by itself, in any order, and counts the packets
// that it has hit, so that a test can require that it did: assert.Bit. What befalls a set of
// hosts is one fault, which begins and ends for all of them at one instant and counts over
// all; hosts that are partitioned or held as a set still reach one another. Repair of a
// link, a way, a host, a set, traffic or the world undoes all that was done to it: of a link
// also what was done to a way, of a set what was done to some of its hosts. A host that is
// restarted or resumed leaves those that have crashed or paused with it as they are.
//
// # Middleboxes
//
// [Link.Insert] puts a [Node] of one's own on a link, in the way of live packets and of
// probes: ten lines that pass, drop, delay, duplicate, rewrite or answer.
//
//	func (m *thirds) Step(p *netfake.Packet) netfake.Next {
//		m.seen++
//		p.Undo(func() { m.seen-- }) // after a probe
//		if m.seen%3 == 0 {
//			return p.Drop(netfake.Hop{Place: "thirds", By: m, Rule: "every third packet"})
//		}
//		return p.Onward()
//	}
//
//	remove := host.Uplink().Link().Insert(&thirds{})
//
// # Traces
//
// [World.Record] traces live packets, [World.Capture] writes them for Wireshark, and
// [Host.Probe] asks what would become of one. A Trace's String is what assertions print.
// When a test fails, its world logs its sockets and who waits at them, the last drop of
// each flow, what would become of the next packet of those that do not come through, and
// the command that repeats the run: [World.Report]. Under go test -artifacts it also saves
// the last 8 MiB of packets for Wireshark. A test that hangs is told which goroutine stops virtual time.
//
// # Routers
//
// The internet has a router at each place. It counts the TTL down and tells senders what
// becomes of their packets: time exceeded, packet too big, unreachable. Hosts discover
// path MTUs by that, a [Pinger] measures them, and [Host.Traceroute] names the routers. Nothing else answers in
// their name. A destination that nobody announces is silence, as behind many providers.
//
// # Fragments
//
// A datagram that is larger than what its host knows of the path leaves in fragments, up to
// the 65507 bytes that UDP allows (65527 over IPv6), as on Linux by default; so does a large
// echo, of which [MTUDiscovery] has more to say. A smaller one of IPv4 forbids routers to cut
// it, which find it too big or not; echo replies, and what the host has cut, routers cut again where a link's MTU asks for it ([LinkStats]
// counts it). Of IPv6 only the sender cuts. A connected socket is told EMSGSIZE once when a
// router finds a datagram too big, and what it sends then leaves in fragments.
//
// The host that gets them waits 30 s for the fragments of a datagram, 60 s over IPv6, and
// then tells the sender; it forgets a datagram whose fragments overlap, and keeps no more
// than 4 MiB: see [FragmentTimeout] and [Host.FragmentStats]. Whoever judges packets by
// ports finds none in later fragments: [Fragments] lends him those of the first.
//
// # Determinism
//
// Within one instant, arrivals come before timers, timers before deadlines, and all of
// them before what applications do; arrivals are ordered by flow. Random draws are keyed
// by the world's seed, the purpose, the host and the flow. [CheckDeterministic] runs a
// test twice and shows the first difference. What remains to chance is what the test
// itself leaves to it: two goroutines that write to one connection at one instant, or
// that dial one destination from one host. Under [Config.Instant] also two goroutines at
// the ends of one connection: what one writes reaches the other within the instant at which
// it reads, in as many packets as it happens. A fault that begins at the instant at which an
// application reads or writes comes before that or after it, unless a synctest.Wait lets the
// application finish first.
//
// # Idle connections
//
// As with net, a connection that is idle asks the other end every 15 s, and one of an HTTP
// client's every 30 s, whether it is still there, which keeps the middleboxes on its way
// from forgetting it. Who tests what happens when they do forget turns that off, as an
// application would: [Config.KeepAlive], [Dialer.KeepAlive], [TCPConn.SetKeepAlive]. A
// world in which nothing else has happened for an hour rests, so that a deadlock is found,
// and catches up when it is next used.
//
// # Not modelled
//
// Unix-domain and raw sockets; link-local addresses, zones and neighbour discovery of
// IPv6; socket options that forbid or force fragments (IP_MTU_DISCOVER), and Linux's limit
// of 64 fragments of others between two of one datagram (ipfrag_max_dist); TCP's own
// search for black holes (RFC 4821, off in Linux); source quench and redirects; queues
// other than drop-tail; the sizes that SetReadBuffer and SetWriteBuffer of a TCPConn ask
// for; multicast and broadcast; out-of-band data, type of service and congestion marks
// (DSCP, ECN); descriptors of sockets (SyscallConn, File): drivers that use them to look
// whether an idle connection is still open skip that; writev and sendfile, since net lets no
// other type take part: net.Buffers and files go by Write, whose errors say so; the hosts
// file and the cache of a machine's resolver.
//
// # Real programs
//
// In a world in real time, [Host.Inlet] lets a real program such as curl in at a port of
// the machine's loopback, and [Host.Lend] lends a real service to the world as a port of
// a host.
//
// net.Resolver, net.Dial and net.Listen go to the real network. Inside a bubble they
// must not be used at all: net.Resolver leaves goroutines behind that end the process.
package netfake
