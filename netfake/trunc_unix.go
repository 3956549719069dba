//go:build unix

package netfake

import "syscall"

// msgTrunc is the flag of ReadMsgUDP that says that a datagram was cut.
const msgTrunc = syscall.MSG_TRUNC
