package report

import (
	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// MOSMethod names the constants of the estimate; it is in the birth message.
const MOSMethod = "g107-nb;ie=0;bpl=25.1;burstr=1;dejitter=2x"

// Constants of the estimate: ITU-T G.107 for a narrow-band codec with
// concealment (G.711 with PLC). The endpoints' codecs have no published Ie and
// Bpl, so the value is a network MOS: it distinguishes network paths, not codecs.
const (
	mosR0     = 93.2
	mosIe     = 0.0
	mosBpl    = 25.1
	mosBurstR = 1.0
	// A de-jitter buffer of twice the jitter is added to the delay.
	deJitter = 2.0
)

// estimateMOS returns the network MOS of an audio group, from 1 to 4.5. Without
// loss, delay or jitter it is absent.
func estimateMOS(m *payload.Media) cgi.Reading {
	loss, delay, jitter := m.Values[payload.Loss], m.Values[payload.Delay], m.Values[payload.Jitter]
	if !loss.Known || !delay.Known || !jitter.Known {
		return cgi.Reading{}
	}
	return cgi.Known(payload.Round(mos(delay.Value+deJitter*jitter.Value, loss.Value), 2))
}

// mos is G.107: R = 93.2 - Id - Ie,eff and its conversion to MOS. delay in
// milliseconds one way, loss in percent.
func mos(delay, loss float64) float64 {
	id := 0.024 * delay
	if delay > 177.3 {
		id += 0.11 * (delay - 177.3)
	}
	ieEff := mosIe + (95-mosIe)*loss/(loss/mosBurstR+mosBpl)
	switch r := mosR0 - id - ieEff; {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	default:
		return min(max(1+0.035*r+r*(r-60)*(100-r)*7e-6, 1), 4.5)
	}
}
