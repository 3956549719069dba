//go:build !unix

package netfake

// msgTrunc is the flag of ReadMsgUDP that says that a datagram was cut: MSG_TRUNC of Windows.
const msgTrunc = 0x0100
