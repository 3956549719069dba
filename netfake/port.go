package netfake

import (
	"context"
	"net"
	"strconv"
	"strings"
)

// services are the ports that have a name: those that net knows without a file, and what
// applications in a cloud dial. Source: IANA's Service Name and Transport Protocol Port
// Number Registry.
var services = map[string]map[string]uint16{
	"tcp": {
		"amqp": 5672, "amqps": 5671, "domain": 53, "ftp": 21, "ftps": 990, "gopher": 70,
		"http": 80, "https": 443, "imap2": 143, "imap3": 220, "imaps": 993, "kerberos": 88,
		"ldap": 389, "ldaps": 636, "mysql": 3306, "nfs": 2049, "pop3": 110, "pop3s": 995,
		"postgresql": 5432, "redis": 6379, "smtp": 25, "ssh": 22, "submission": 587,
		"submissions": 465, "telnet": 23,
	},
	"udp": {
		"bootps": 67, "bootpc": 68, "domain": 53, "https": 443, "ipsec-nat-t": 4500, "isakmp": 500,
		"kerberos": 88, "nfs": 2049, "ntp": 123, "snmp": 161, "syslog": 514,
	},
}

// LookupPort finds the port of a service, or reads its number, as net.Resolver does: of
// "tcp" or "udp", or one of them with a 4 or a 6, and of "ip" or "" whichever has it. It
// asks nobody, so that the context does not matter.
func (h *Host) LookupPort(_ context.Context, network, service string) (int, error) {
	if port, ok, err := numberedPort(service); ok {
		return int(port), err
	}
	protos, called := []string{"tcp", "udp"}, "ip"
	switch {
	case isNetwork(network, "tcp"), isNetwork(network, "udp"):
		called = network[:3]
		protos = []string{called}
	case network != "" && network != "ip":
		return 0, &net.AddrError{Err: "unknown network", Addr: network}
	}
	for _, proto := range protos {
		if port, ok := services[proto][strings.ToLower(service)]; ok {
			return int(port), nil
		}
	}
	return 0, unknownPort(called, service)
}

// parsePort reads a port's number, or finds it by a service's name. Nothing is port 0.
// Errors are those of net.LookupPort without cgo, which calls tcp4 and tcp6 tcp.
func parsePort(network, service string) (uint16, error) {
	if port, ok, err := numberedPort(service); ok {
		return port, err
	}
	proto := network[:3]
	if port, ok := services[proto][strings.ToLower(service)]; ok {
		return port, nil
	}
	return 0, unknownPort(proto, service)
}

func unknownPort(proto, service string) error {
	return &net.DNSError{Err: "unknown port", Name: proto + "/" + service, IsNotFound: true}
}

// numberedPort reads a port's number, if it is one.
func numberedPort(service string) (port uint16, isNumber bool, err error) {
	digits, negative := strings.CutPrefix(service, "-")
	if !negative {
		digits = strings.TrimPrefix(service, "+")
	}
	switch {
	case strings.Trim(digits, "0123456789") != "":
		return 0, false, nil
	case digits == "":
		return 0, true, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || negative && n > 0 {
		return 0, true, &net.AddrError{Err: "invalid port", Addr: service}
	}
	return uint16(n), true, nil
}
