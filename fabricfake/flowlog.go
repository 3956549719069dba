package fabricfake

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// The windows in which flow logs aggregate. The windows of interfaces of instances,
// which are built on Nitro, are a minute whatever is asked for. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
const (
	DefaultFlowWindow = 600 * time.Second
	NitroFlowWindow   = 60 * time.Second
)

// FlowTraffic chooses what a flow log records. The zero FlowTraffic is all traffic.
type FlowTraffic uint8

// What flow logs record.
const (
	AllTraffic FlowTraffic = iota
	AcceptedTraffic
	RejectedTraffic
)

// FlowLogConfig shapes a flow log. Its zero value records all traffic in the format of
// version 2.
type FlowLogConfig struct {
	Traffic FlowTraffic

	// Format is the fields of a line, "${srcaddr} ${dstaddr}", of versions 2 to 5. If
	// "", it is DefaultFlowFormat.
	Format string

	// Window is 60 s or 600 s: how long records are aggregated for interfaces of
	// services. If 0, it is DefaultFlowWindow.
	Window time.Duration

	// Writer gets each record as a line. It must not block and must not call the
	// world: writing is part of the scheduler. If nil, records are kept only.
	Writer io.Writer
}

// FlowLog records what the groups and ACLs let through, and what not, at the interfaces
// of a VPC, a subnet, or at one of them. A record is made when its window ends; the
// first window begins with the flow log. The minutes that the real service takes to
// deliver records are not modelled.
//
// Not recorded are the packets of the resolver and the other link-local services, and
// copies of mirrored packets.
type FlowLog struct {
	world    *netfake.World
	vpc      *VPC
	name     string
	cfg      FlowLogConfig
	format   flowFormat
	began    time.Duration
	timer    *netfake.Timer
	covered  []*coverage
	records  []FlowRecord
	writeErr error
}

// FlowLog starts to record at every interface of the VPC, those that come later too. A
// name that the VPC has a flow log of fails the test with FlowLogAlreadyExists, as a
// format or a window that the API would refuse does with InvalidParameterValue.
func (v *VPC) FlowLog(name string, cfg FlowLogConfig) *FlowLog {
	v.tb().Helper()
	v.mustExist()
	return v.newFlowLog(name, cfg, func(*Interface) bool { return true })
}

// FlowLog starts to record at every interface of the subnet: see VPC.FlowLog.
func (s *Subnet) FlowLog(name string, cfg FlowLogConfig) *FlowLog {
	s.tb().Helper()
	s.mustExist()
	return s.vpc.newFlowLog(name, cfg, func(f *Interface) bool { return f.subnet == s })
}

// FlowLog starts to record at the interface: see VPC.FlowLog. One that is deleted fails the
// test with InvalidNetworkInterfaceID.NotFound.
func (f *Interface) FlowLog(name string, cfg FlowLogConfig) *FlowLog {
	f.tb().Helper()
	f.edit(func(time.Duration) error { return nil })
	return f.vpc.newFlowLog(name, cfg, func(other *Interface) bool { return f == other })
}

// flowLogs are the flow logs of a VPC, with the interfaces that each is for.
type flowLogs struct {
	logs   []*FlowLog
	covers []func(*Interface) bool
}

func (v *VPC) newFlowLog(name string, cfg FlowLogConfig, covers func(*Interface) bool) *FlowLog {
	w := v.world
	w.TB().Helper()
	l := &FlowLog{world: w, vpc: v, name: name, cfg: cfg}
	err := checkName("flow log", name)
	if err == nil {
		err = l.configure()
	}
	if err == nil && slices.ContainsFunc(v.flowLogs.logs, func(o *FlowLog) bool { return o.name == name }) {
		err = refuse("FlowLogAlreadyExists", "vpc %s has a flow log %s", v.name, name)
	}
	if err != nil {
		w.TB().Fatalf("%v (flow log %s of vpc %s)", err, name, v.name)
	}
	l.timer = w.NewTimer("flow log "+v.name+" "+name, l.advance)
	w.Do(func(now time.Duration) {
		l.began = now
		v.flowLogs.logs = append(v.flowLogs.logs, l)
		v.flowLogs.covers = append(v.flowLogs.covers, covers)
		for _, f := range v.interfaces() {
			if covers(f) {
				l.cover(f, now)
			}
		}
	})
	w.OnClose(func() { w.Do(l.advance) })
	return l
}

// configure checks the configuration and puts defaults in the place of zeros.
func (l *FlowLog) configure() (err error) {
	if l.cfg.Format == "" {
		l.cfg.Format = DefaultFlowFormat
	}
	if l.cfg.Window == 0 {
		l.cfg.Window = DefaultFlowWindow
	}
	if l.cfg.Window != DefaultFlowWindow && l.cfg.Window != NitroFlowWindow {
		return refuse(codeParameterValue, "FlowLogConfig.Window is %v: it is 60 s or 600 s", l.cfg.Window)
	}
	if l.cfg.Traffic > RejectedTraffic {
		return refuse(codeParameterValue, "FlowLogConfig.Traffic is %d", l.cfg.Traffic)
	}
	l.format, err = parseFlowFormat(l.cfg.Format)
	return err
}

// interfaces returns the VPC's interfaces by number. It may be called only inside the
// scheduler.
func (v *VPC) interfaces() (all []*Interface) {
	for _, f := range v.region.interfaces {
		if f.vpc == v {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *Interface) int { return cmp.Compare(a.id, b.id) })
	return all
}

// logInterface has the VPC's flow logs record at an interface that is new.
func (v *VPC) logInterface(f *Interface, now time.Duration) {
	for i, l := range v.flowLogs.logs {
		if v.flowLogs.covers[i](f) {
			l.cover(f, now)
		}
	}
}

func (l *FlowLog) cover(f *Interface, now time.Duration) {
	window := l.cfg.Window
	if !f.managed {
		window = NitroFlowWindow
	}
	elapsed := (now - l.began) / window * window
	c := &coverage{log: l, iface: f, window: window, ends: l.began + elapsed + window, flows: map[flowKey]*FlowRecord{}}
	l.covered = append(l.covered, c)
	f.logs = append(f.logs, c)
}

// uncover ends the recording at an interface that is deleted: what its window has so far is
// recorded.
func (l *FlowLog) uncover(c *coverage, now time.Duration) {
	l.advance(now)
	if len(c.flows) > 0 {
		for _, r := range c.take() {
			l.emit(r)
		}
	}
	l.covered = slices.DeleteFunc(l.covered, func(o *coverage) bool { return o == c })
}

// String returns the flow log's name.
func (l *FlowLog) String() string { return l.name }

// Records returns the records of the windows that have ended, in the order of their
// ends and, of those that end together, of the interfaces' numbers.
func (l *FlowLog) Records() (records []FlowRecord) {
	l.world.Do(func(now time.Duration) {
		l.advance(now)
		records = slices.Clone(l.records)
	})
	return records
}

// Lines returns Records as lines of the flow log's format.
func (l *FlowLog) Lines() (lines []string) {
	for _, r := range l.Records() {
		lines = append(lines, l.format.line(&r))
	}
	return lines
}

// Err returns the first error of the Writer.
func (l *FlowLog) Err() (err error) {
	l.world.Do(func(time.Duration) { err = l.writeErr })
	return err
}

// Delete ends the recording. What was recorded remains, without the windows that have
// not ended. Deleting twice is harmless.
func (l *FlowLog) Delete() {
	made(l, "*FlowLog").world.Do(func(now time.Duration) {
		l.advance(now)
		l.timer.Stop()
		for _, c := range l.covered {
			c.iface.logs = slices.DeleteFunc(c.iface.logs, func(o *coverage) bool { return o == c })
		}
		l.covered = nil
		logs := &l.vpc.flowLogs
		if i := slices.Index(logs.logs, l); i >= 0 {
			logs.logs = slices.Delete(logs.logs, i, i+1)
			logs.covers = slices.Delete(logs.covers, i, i+1)
		}
	})
}

// ends returns the two ends of a record's conversation, as its packets carry them, the
// lower first.
func (r *FlowRecord) ends() (low, high netip.AddrPort) {
	low = netip.AddrPortFrom(r.PacketSrc, r.Flow.Src.Port())
	high = netip.AddrPortFrom(r.PacketDst, r.Flow.Dst.Port())
	if high.Compare(low) < 0 {
		low, high = high, low
	}
	return low, high
}

// emit keeps a record and writes its line.
func (l *FlowLog) emit(r *FlowRecord) {
	l.records = append(l.records, *r)
	if l.cfg.Writer != nil && l.writeErr == nil {
		_, l.writeErr = fmt.Fprintln(l.cfg.Writer, l.format.line(r))
	}
}
