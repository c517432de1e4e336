package publish

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// pahoLog is where the MQTT library's process-global loggers write to. What
// they call errors are steps of every ordinary loss, so all go to debug; the
// losses themselves are reported as values.
var pahoLog atomic.Pointer[slog.Logger]

func init() {
	mqtt.ERROR = pahoLogger{}
	mqtt.CRITICAL = pahoLogger{}
}

func routePahoLogs(l *slog.Logger) { pahoLog.Store(l) }

type pahoLogger struct{}

func (pahoLogger) Println(v ...any) { logPaho(strings.TrimSpace(fmt.Sprintln(v...))) }

func (pahoLogger) Printf(format string, v ...any) { logPaho(fmt.Sprintf(format, v...)) }

func logPaho(msg string) {
	if l := pahoLog.Load(); l != nil {
		l.Debug("mqtt library", "said", msg)
	}
}
