package service

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// eventID of every Event Log entry; the message file of EventCreate has 1-1000.
const eventID = 1

// run answers the service manager when it started the process, and does only
// the work otherwise.
func run(ctx context.Context, o Options, work Work) error {
	isService, err := svc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("ask Windows whether this is a service: %w", err)
	}
	if !isService && !o.AsService {
		return work(ctx, func() {})
	}
	h := &scmHandler{ctx: ctx, o: o, work: work}
	if err := svc.Run(o.Name, h); err != nil {
		return fmt.Errorf("run as Windows service %s: %w", o.Name, err)
	}
	return h.err
}

// scmHandler is the link between the service manager and the supervisor.
type scmHandler struct {
	ctx  context.Context
	o    Options
	work Work
	err  error
}

// Execute returns exit code 1 when the work failed by itself. With the
// non-crash flag that Install sets, Windows then starts the service again.
func (h *scmHandler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (bool, uint32) {
	changes <- svc.Status{State: svc.StartPending}
	log := openEventLog(h.o.Name)
	defer log.close()
	ended := make(chan struct{})
	controls := make(chan control)
	go forward(requests, changes, controls, ended)
	s := supervisor{work: h.work, reload: h.o.Reload, note: log.note, report: func(p phase, count uint32) {
		changes <- scmStatus(p, count)
	}}
	h.err = s.run(h.ctx, controls)
	close(ended)
	if h.err != nil {
		return true, 1
	}
	return false, 0
}

// forward turns the service manager's requests into controls, and answers its
// questions, until ended.
func forward(requests <-chan svc.ChangeRequest, changes chan<- svc.Status, controls chan<- control, ended <-chan struct{}) {
	for {
		var c control
		select {
		case <-ended:
			return
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				select {
				case changes <- r.CurrentStatus:
				case <-ended:
				}
				continue
			case svc.Stop, svc.Shutdown:
				c = controlStop
			case svc.ParamChange:
				c = controlReload
			default:
				continue
			}
		}
		select {
		case controls <- c:
		case <-ended:
			return
		}
	}
}

func scmStatus(p phase, count uint32) svc.Status {
	if p == phaseRunning {
		return svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange}
	}
	return svc.Status{State: svc.StopPending, CheckPoint: count, WaitHint: uint32(StopPatience / time.Millisecond)}
}

// eventLog writes start, stop and failures to the Event Log; without the source
// it writes nothing.
type eventLog struct{ log *eventlog.Log }

func openEventLog(name string) eventLog {
	log, err := eventlog.Open(name)
	if err != nil {
		return eventLog{}
	}
	return eventLog{log}
}

func (e eventLog) note(l level, text string) {
	if e.log == nil {
		return
	}
	switch l {
	case levelError:
		_ = e.log.Error(eventID, text)
	case levelWarning:
		_ = e.log.Warning(eventID, text)
	default:
		_ = e.log.Info(eventID, text)
	}
}

func (e eventLog) close() {
	if e.log != nil {
		e.log.Close()
	}
}
