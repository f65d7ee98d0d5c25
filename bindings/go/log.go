package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// LevelTrace is the level of log lines about every packet.
const LevelTrace = slog.LevelDebug - 4

// logLevels are the library's levels, from the most lines to the fewest.
var logLevels = []struct {
	library C.int32_t
	level   slog.Level
}{
	{C.WTGRAM_LOG_TRACE, LevelTrace}, {C.WTGRAM_LOG_DEBUG, slog.LevelDebug}, {C.WTGRAM_LOG_INFO, slog.LevelInfo},
	{C.WTGRAM_LOG_WARN, slog.LevelWarn}, {C.WTGRAM_LOG_ERROR, slog.LevelError},
}

var logger atomic.Pointer[slog.Logger]

// ConfigureLog sends the library's log lines to `to`, each with its module as the attribute
// "target". With nil, it sends no more lines. The level is the lowest for which `to` is enabled
// now; call ConfigureLog again after that changes.
//
// A thread of the library logs the lines one at a time. If the handler is too slow, lines are lost.
// A handler must not call Shutdown, which would wait for the handler.
func ConfigureLog(to *slog.Logger) error {
	logger.Store(to)
	level := C.int32_t(C.WTGRAM_LOG_OFF)
	for _, one := range logLevels {
		if to != nil && to.Enabled(context.Background(), one.level) {
			level = one.library
			break
		}
	}
	return check(C.bridge_log_configure(level))
}

//export wtgramGoLog
func wtgramGoLog(library C.int32_t, target, message *C.char) {
	to := logger.Load()
	if to == nil {
		return // the logger was removed after the library made this line
	}
	for _, one := range logLevels {
		if one.library == library {
			to.LogAttrs(context.Background(), one.level, C.GoString(message), slog.String("target", C.GoString(target)))
		}
	}
}
