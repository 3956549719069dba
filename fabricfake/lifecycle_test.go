package fabricfake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// wantState is what an instance is in at a time.
func wantState(t *testing.T, i *fabricfake.Instance, want fabricfake.InstanceState) {
	t.Helper()
	if got := i.State(); got != want {
		t.Errorf("%v is %v, want %v", i, got, want)
	}
}

// An instance through its life, to the nanosecond. What it runs is started each time when
// it has booted.
// fact: eni.full.stopped
func TestLifecycle(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		s := v.Subnet("s", "10.0.1.0/24", "a")
		in := fabricfake.Groups{v.SecurityGroup("in").AllowIngress("all", fabricfake.Anywhere)}
		client := s.Instance("client", fabricfake.InstanceConfig{})
		var booted []time.Duration
		app := s.Instance("app", fabricfake.InstanceConfig{
			Groups: in, BootTime: 30 * time.Second, ShutdownTime: 10 * time.Second,
			OnBoot: func(i *fabricfake.Instance) {
				booted = append(booted, w.Now())
				if err := serve(w, i.Host, 22); err != nil {
					t.Error(err)
				}
			},
		})
		answers := func(want bool) {
			t.Helper()
			if got := client.Probe(app.TCP(22)).Outcome == netfake.Answered; got != want {
				t.Errorf("at %v: answers %v", w.Now(), got)
			}
		}
		first := app.Interface().PhysicalHost()
		wantState(t, app, fabricfake.Pending)
		answers(false)
		if _, err := app.Listen("tcp", ":80"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listening before it has booted: %v", err)
		}
		w.Sleep(30*time.Second - 1)
		wantState(t, app, fabricfake.Pending)
		w.Sleep(1)
		wantState(t, app, fabricfake.Running)
		w.Sleep(1)
		answers(true)

		app.Reboot()
		wantState(t, app, fabricfake.Running)
		if err := client.Probe(app.TCP(22)); err.Outcome != netfake.Refused {
			t.Errorf("while it shuts down: %v", err.Outcome)
		}
		w.Sleep(10 * time.Second)
		if b := client.Probe(app.TCP(22)).Blocker(); b == nil || b.Rule != "the host is switched off" {
			t.Errorf("while it boots: %v", b)
		}
		w.Sleep(30*time.Second + 1)
		answers(true)
		if app.Interface().PhysicalHost() != first {
			t.Error("rebooted on another host")
		}

		app.Stop()
		wantState(t, app, fabricfake.Stopping)
		app.Await(fabricfake.Stopped)
		if now := w.Now(); now != 80*time.Second+2 {
			t.Errorf("stopped at %v", now)
		}
		if b := client.Probe(app.TCP(22)).Blocker(); b == nil || b.Rule != "10.0.1.5 is of no use: app is stopped" || b.Code != "BAD_STATE" {
			t.Errorf("stopped: %v", b)
		}
		if app.Interface().PhysicalHost() != nil || app.Interface().Status() != fabricfake.InterfaceInUse || s.FreeAddresses() != 256-5-2 {
			t.Errorf("stopped on %v, its interface %v", app.Interface().PhysicalHost(), app.Interface().Status())
		}
		app.Stop() // once is enough
		app.Start()
		app.Start()
		app.Await(fabricfake.Running)
		w.Sleep(1)
		answers(true)
		if second := app.Interface().PhysicalHost(); second == first || second == nil {
			t.Errorf("started on %v", second)
		}
		app.Terminate()
		app.Terminate()
		wantState(t, app, fabricfake.ShuttingDown)
		app.Await(fabricfake.Terminated)
		if app.Interface().Status() != fabricfake.InterfaceDeleted || s.FreeAddresses() != 256-5-1 || len(app.Interfaces()) != 0 {
			t.Errorf("terminated, its interface %v, %d addresses free", app.Interface().Status(), s.FreeAddresses())
		}
		if got := fmt.Sprint(booted); got != "[30s 1m10.000000001s 1m50.000000002s]" {
			t.Errorf("booted at %s", got)
		}
		again := s.Instance("again", fabricfake.InstanceConfig{PrivateIP: "10.0.1.5"})
		if again.ID() == app.ID() {
			t.Error("two instances of one identifier")
		}
		if alarms := w.Alarms(); len(alarms) != 0 {
			t.Errorf("alarms: %v", alarms)
		}
	})
}

func TestLifecycleRefusals(t *testing.T) {
	stopped := func(i *fabricfake.Instance) { i.Stop(); i.Await(fabricfake.Stopped) }
	terminated := func(i *fabricfake.Instance) { i.Terminate(); i.Await(fabricfake.Terminated) }
	for _, row := range []struct {
		name string
		cfg  fabricfake.InstanceConfig
		do   func(i *fabricfake.Instance)
		want string // "": accepted
	}{
		{"starting what runs", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { i.Start() }, ""},
		{"starting what stops", fabricfake.InstanceConfig{ShutdownTime: time.Hour}, func(i *fabricfake.Instance) { i.Stop(); i.Start() }, "IncorrectInstanceState: i is stopping, and cannot be started"},
		{"starting what is terminated", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { terminated(i); i.Start() }, "IncorrectInstanceState: i is terminated"},
		{"stopping what boots", fabricfake.InstanceConfig{BootTime: time.Hour}, func(i *fabricfake.Instance) { i.Stop() }, "IncorrectInstanceState: i is pending, and cannot be stopped"},
		{"stopping what is terminated", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { terminated(i); i.Stop() }, "IncorrectInstanceState: i is terminated"},
		{"stopping what is being terminated", fabricfake.InstanceConfig{ShutdownTime: time.Hour}, func(i *fabricfake.Instance) { i.Terminate(); i.Stop() }, "IncorrectInstanceState: i is shutting-down"},
		{"rebooting what is stopped", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { stopped(i); i.Reboot() }, "IncorrectInstanceState: i is stopped, and cannot be rebooted"},
		{"terminating what boots", fabricfake.InstanceConfig{BootTime: time.Hour}, terminated, ""},
		{"terminating what is stopped", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { stopped(i); terminated(i) }, ""},
		{"terminating what stops", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { i.Stop(); terminated(i) }, ""},
		{"waiting for what does not come", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { i.Await(fabricfake.Stopped) }, "IncorrectInstanceState: i is running, and nothing is under way that would make it stopped"},
		{"stopping what boots by force", fabricfake.InstanceConfig{BootTime: time.Hour}, func(i *fabricfake.Instance) { i.ForceStop() }, "IncorrectInstanceState: i is pending, and cannot be stopped"},
		{"terminating what boots by force", fabricfake.InstanceConfig{BootTime: time.Hour}, func(i *fabricfake.Instance) { i.ForceTerminate(); i.Await(fabricfake.Terminated) }, ""},
		{"stopping what is being terminated by force", fabricfake.InstanceConfig{ShutdownTime: time.Hour}, func(i *fabricfake.Instance) { i.Terminate(); i.ForceStop() }, "IncorrectInstanceState: i is shutting-down"},
		{"stopping by force again", fabricfake.InstanceConfig{}, func(i *fabricfake.Instance) { i.ForceStop(); i.ForceStop() }, ""},
		{"a negative time", fabricfake.InstanceConfig{BootTime: -1}, func(i *fabricfake.Instance) {}, "InvalidParameterValue: BootTime -1ns"},
		{"a negative limit", fabricfake.InstanceConfig{MaxInterfaces: -1}, func(i *fabricfake.Instance) {}, "InvalidParameterValue: MaxInterfaces -1"},
		{"a setting that is none", fabricfake.InstanceConfig{PublicIP: 3}, func(i *fabricfake.Instance) {}, "InvalidParameterValue: PublicIP is 3"},
	} {
		if row.cfg.ShutdownTime == 0 {
			row.cfg.ShutdownTime = 1
		}
		failure := fatal(t, func(w *netfake.World) {
			row.do(fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a").Instance("i", row.cfg))
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

// Terminating deletes the interfaces that say so and leaves the others.
func TestOnTermination(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
		for _, row := range []struct {
			primary, second fabricfake.OnTermination
			want            string
		}{
			{fabricfake.OnTerminationDefault, fabricfake.OnTerminationDefault, "deleted available"},
			{fabricfake.KeepOnTermination, fabricfake.DeleteOnTermination, "available deleted"},
		} {
			i := s.Instance("i of "+row.want, fabricfake.InstanceConfig{OnTermination: row.primary})
			f := s.Interface("f of "+row.want, fabricfake.InterfaceConfig{OnTermination: row.second, AttachTime: time.Hour})
			f.Attach(i) // which is under way when it ends
			i.Terminate()
			i.Await(fabricfake.Terminated)
			if got := fmt.Sprint(i.Interface().Status(), f.Status()); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		}
	})
}

// An instance that stops ends its connections as an operating system does: who reads sees
// what was written and the end, who dials is refused, and when it is down nobody answers.
func TestStopIsOrderly(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		c, err := p.one.Dial("tcp", "172.31.32.21:22")
		if err != nil {
			t.Fatal(err)
		}
		if err := say(c, time.Second); err != nil {
			t.Fatal(err)
		}
		began := w.Now()
		p.two.Stop()
		c.SetDeadline(time.Time{})
		if n, err := c.Read(make([]byte, 1)); err != io.EOF || n != 0 || w.Now()-began != fabricfake.LatencyZone {
			t.Errorf("reading: %v after %v", err, w.Now()-began)
		}
		if r := p.one.Probe(p.two.TCP(22)); r.Outcome != netfake.Refused {
			t.Errorf("dialling while it stops: %v", r.Outcome)
		}
		if _, err := p.two.Dial("tcp", p.one.Addr().String()+":22"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("it dials while it stops: %v", err)
		}
		c.Close()
		p.two.Await(fabricfake.Stopped)
		if now := w.Now() - began; now != fabricfake.DefaultShutdownTime {
			t.Errorf("stopped after %v", now)
		}
		if r := p.one.Probe(p.two.TCP(22)); r.Outcome != netfake.Silence {
			t.Errorf("dialling when it is stopped: %v", r.Outcome)
		}
	})
}

// By force an instance is down at once, also in the middle of a shutdown, and comes back as
// from any other stop.
// fact: instance.force, instance.skip
func TestForceStop(t *testing.T) {
	for _, row := range []struct {
		name  string
		do    func(i *fabricfake.Instance)
		after fabricfake.InstanceState
		takes time.Duration
	}{
		{"Stop", func(i *fabricfake.Instance) { i.Stop() }, fabricfake.Stopped, fabricfake.DefaultShutdownTime},
		{"ForceStop", func(i *fabricfake.Instance) { i.ForceStop() }, fabricfake.Stopped, 0},
		{"ForceStop of what stops", func(i *fabricfake.Instance) { i.Stop(); i.World().Sleep(time.Second); i.ForceStop() }, fabricfake.Stopped, time.Second},
		{"ForceTerminate", func(i *fabricfake.Instance) { i.ForceTerminate() }, fabricfake.Terminated, 0},
		{"ForceTerminate of what terminates", func(i *fabricfake.Instance) { i.Terminate(); i.World().Sleep(time.Second); i.ForceTerminate() }, fabricfake.Terminated, time.Second},
		{"ForceTerminate of what stops", func(i *fabricfake.Instance) { i.Stop(); i.ForceTerminate() }, fabricfake.Terminated, 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			began := w.Now()
			row.do(p.two)
			p.two.Await(row.after)
			if took := w.Now() - began; took != row.takes || p.two.Interface().PhysicalHost() != nil {
				t.Errorf("%s: %v after %v, on %v", row.name, p.two.State(), took, p.two.Interface().PhysicalHost())
			}
			w.Sleep(time.Hour)
			wantState(t, p.two, row.after)
			if row.after != fabricfake.Stopped {
				return
			}
			p.two.Start()
			if err := serve(w, p.two.Host, 22); err != nil {
				t.Fatal(err)
			}
			p.talk(t)
		})
	}
}

// A crash is no state of the API's; a crashed instance can be stopped and started.
func TestCrashedInstance(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		p.two.Crash()
		wantState(t, p.two, fabricfake.Running)
		p.two.Stop()
		p.two.Await(fabricfake.Stopped)
		p.two.Restart()
		wantState(t, p.two, fabricfake.Stopped)
		p.two.Start()
		if err := serve(w, p.two.Host, 22); err != nil {
			t.Fatal(err)
		}
		p.talk(t)
	})
}

// An instance that boots after its last crash runs its programs, as after a start. One that
// was stopped meanwhile does not boot, and one without programs has no sockets.
func TestOnBootAfterCrash(t *testing.T) {
	for _, row := range []struct {
		name    string
		happens func(i *fabricfake.Instance)
		boots   int
		want    error
	}{
		{"restarted", func(i *fabricfake.Instance) { i.Crash(); i.Restart() }, 2, nil},
		{"the crash is undone", func(i *fabricfake.Instance) { netfake.Hosts{i}.Crash().Undo() }, 2, nil},
		{"one of two crashes goes on", func(i *fabricfake.Instance) { i.Crash(); i.Crash().Undo() }, 1, context.DeadlineExceeded},
		{"never crashed", func(i *fabricfake.Instance) { i.Restart() }, 1, nil},
		{"stopped meanwhile", func(i *fabricfake.Instance) { i.Crash(); i.ForceStop(); i.Restart() }, 1, context.DeadlineExceeded},
		{"and started", func(i *fabricfake.Instance) { i.Crash(); i.ForceStop(); i.Restart(); i.Start() }, 2, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				p := newPair(t, w)
				boots := 0
				three := p.b.Instance("three", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.group}, OnBoot: func(i *fabricfake.Instance) {
					boots++
					if err := serve(w, i.Host, 22); err != nil {
						t.Error(err)
					}
				}})
				row.happens(three)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := p.one.DialContext(ctx, "tcp", three.TCP(22).Addr.String())
				if boots != row.boots || (err == nil) != (row.want == nil) || !errors.Is(err, row.want) {
					t.Errorf("booted %d times, then %v; want %d, %v", boots, err, row.boots, row.want)
				}
			})
		})
	}
}
