package service

import (
	"context"
	"fmt"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// IsWindowsService reports whether the Windows service manager started this
// process, so that nobody sees its output.
func IsWindowsService() bool { return !service.Interactive() }

// run answers the service manager when it started the process, and does only
// the work otherwise.
func run(ctx context.Context, o Options, work Work) error {
	if !IsWindowsService() {
		return work(ctx, func() {})
	}
	h := &handler{ctx: ctx, o: o, work: work}
	if err := svc.Run(o.Name, h); err != nil {
		return fmt.Errorf("run as Windows service %s: %w", o.Name, err)
	}
	return h.err
}

// handler is the link between the service manager and the supervisor. That of
// kardianos/service knows neither a work that ends by itself, nor a reload, nor
// a stop that takes a moment.
type handler struct {
	ctx  context.Context
	o    Options
	work Work
	err  error // what the work ended with
}

// Execute returns exit code 1 when the work failed by itself. With the
// non-crash flag that Install sets, Windows then starts the service again.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (bool, uint32) {
	changes <- svc.Status{State: svc.StartPending}
	controls := make(chan control)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		known := map[svc.Cmd]control{svc.Stop: controlStop, svc.Shutdown: controlStop, svc.ParamChange: controlReload}
		for {
			select {
			case <-ended:
				return
			case r := <-requests:
				// Interrogate needs no answer: Windows knows the last status.
				c, ok := known[r.Cmd]
				if !ok {
					continue
				}
				select {
				case controls <- c:
				case <-ended:
					return
				}
			}
		}
	}()
	s := supervisor{
		work: h.work, reload: h.o.Reload, log: openEventLog(h.o.Name), alarms: h.o.Alarms,
		running: func() {
			changes <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange}
		},
		stopping: func(count uint32) {
			changes <- svc.Status{State: svc.StopPending, CheckPoint: count, WaitHint: uint32(StopPatience / time.Millisecond)}
		},
	}
	if h.err = s.run(h.ctx, controls); h.err != nil {
		return true, 1
	}
	return false, 0
}

// windowsLog is the Event Log with the service's source; nil = there is none, and a
// service has no console either.
type windowsLog struct{ log *eventlog.Log }

func openEventLog(name string) windowsLog {
	log, err := eventlog.Open(name)
	if err != nil {
		return windowsLog{}
	}
	return windowsLog{log}
}

// write never fails the service: the log file has it too.
func (w windowsLog) write(id uint32, l level, text string) {
	if w.log == nil {
		return
	}
	_ = map[level]func(uint32, string) error{
		levelInfo: w.log.Info, levelWarning: w.log.Warning, levelError: w.log.Error,
	}[l](id, text)
}
