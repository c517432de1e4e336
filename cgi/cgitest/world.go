package cgitest

import "math"

// Call is what the simulated endpoint is doing.
type Call string

// The states of a simulated endpoint.
const (
	Idle      Call = "idle"
	Dialling  Call = "dialling"
	InCall    Call = "in_call"
	Upgrading Call = "upgrading"
	Rebooting Call = "rebooting"
)

// Snapshot is what the endpoint says at one second. The numbers are rounded as
// they are served, so a test may compare them for equality.
type Snapshot struct {
	Second                                 int64 // since the start of the scenario
	Call                                   Call
	Single                                 bool  // a call without multi-stream
	JoinSeconds                            int64 // since the call began; the endpoint serves whole minutes
	AudioSend, AudioRecv, AuxSend, AuxRecv Stream
	VideoSend, VideoRecv                   []Stream
}

// Stream is one simulated media stream. The zero value is served as the
// vendor's placeholders.
type Stream struct {
	Active      bool
	Name        string
	Codec       string
	Size        string  // "1280x720", "720p"
	RateKbps    float64 // two decimals
	LossPct     float64 // two decimals
	LossPackets int     // since the call began
	JitterMs    int
	DelayMs     int
	FPS         int
}

// world plays a scenario second by second. What it says depends on the
// scenario, the seed and the second alone, not on when it was asked.
type world struct {
	script    Scenario
	seed      uint64
	second    int64 // the last second played, -1 = none
	callStart int64
	boots     int             // seconds of reboot so far
	lost      map[int]float64 // packets lost since the call began, by channel
	now       Snapshot
}

// maxCatchUp bounds the seconds played in one go, so that a clock that jumps
// by years does not stop the simulator.
const maxCatchUp = 7 * 24 * 3600

func newWorld(s Scenario, seed int64) *world {
	return &world{script: s, seed: uint64(seed), second: -1, lost: map[int]float64{}}
}

// play goes on to a second; a second that has passed changes nothing.
func (w *world) play(sec int64) Snapshot {
	if sec-w.second > maxCatchUp {
		w.second = sec - maxCatchUp
		w.callStart = w.second + 1
	}
	for w.second < sec {
		w.second++
		w.step()
	}
	return w.now
}

func (w *world) step() {
	st, p := w.script.at(w.second)
	snap := Snapshot{Second: w.second, Call: calls[st.mode]}
	if st.mode == rebooting {
		w.boots++
	}
	if st.mode != inCall {
		w.lost = map[int]float64{}
		w.callStart = w.second + 1
		w.now = snap
		return
	}
	snap.Single = st.single
	snap.JoinSeconds = w.second - w.callStart
	w.media(&snap, st, p)
	w.now = snap
}

var calls = map[mode]Call{
	idle: Idle, dialling: Dialling, inCall: InCall, upgrading: Upgrading, rebooting: Rebooting,
}

// Channels number the streams for the noise and the loss counters.
const (
	chAudioSend = iota
	chAudioRecv
	chAuxSend
	chAuxRecv
	chVideoSend
	chVideoRecv = 8
)

var siteNames = []string{"site1", "会议室 2", "Zürich \"Matterhorn\"", "site4"}

func (w *world) media(snap *Snapshot, st step, p float64) {
	send, recv := st.send.between(st.sendTo, p), st.recv.between(st.recvTo, p)
	audio := Stream{Codec: "AAC-LD MONO", RateKbps: 64}
	snap.AudioSend = w.stream(chAudioSend, audio, send)
	snap.AudioRecv = w.stream(chAudioRecv, audio, recv)
	content := Stream{Codec: "H.264 EC", Size: "1920x1080", RateKbps: 640, FPS: 10}
	if st.auxSend {
		snap.AuxSend = w.stream(chAuxSend, content, send)
	}
	if st.auxRecv {
		snap.AuxRecv = w.stream(chAuxRecv, content, recv)
	}
	snap.VideoSend = []Stream{w.stream(chVideoSend, Stream{Codec: "H.264 EC", Size: "1280x720", RateKbps: 980, FPS: 30}, send)}
	if !st.single {
		snap.VideoSend = append(snap.VideoSend, w.stream(chVideoSend+1, Stream{Codec: "H.264 EC", Size: "320x180", RateKbps: 110, FPS: 15}, send))
	}
	for i := 0; i < st.sites; i++ {
		video, on := Stream{Name: siteNames[i%len(siteNames)], Codec: "H.264 EC", Size: "720p", RateKbps: 960, FPS: 30}, recv
		if st.badSite && i == 0 {
			on = bad
		}
		snap.VideoRecv = append(snap.VideoRecv, w.stream(chVideoRecv+i, video, on))
	}
}

// stream returns one stream as it goes over a path, with the noise of this
// second.
func (w *world) stream(ch int, s Stream, on path) Stream {
	s.Active = true
	s.RateKbps = round2(s.RateKbps * on.share * (1 + 0.06*w.noise(ch, 0)))
	s.LossPct = round2(math.Min(100, math.Max(0, on.loss*(1+0.6*w.noise(ch, 1)))))
	s.JitterMs = int(math.Round(math.Max(0, on.jitter*(1+0.3*w.noise(ch, 2)))))
	s.DelayMs = int(math.Round(math.Max(1, on.delay*(1+0.15*w.noise(ch, 3)))))
	if s.FPS > 0 {
		s.FPS = int(math.Round(float64(s.FPS)*math.Min(1, 0.4+0.6*on.share) + w.noise(ch, 4)))
	}
	w.lost[ch] += s.LossPct / 100 * packetsPerSecond(s.RateKbps)
	s.LossPackets = int(w.lost[ch])
	return s
}

// packetsPerSecond assumes 50 packets of audio, or packets of 1000 bytes.
func packetsPerSecond(kbps float64) float64 { return math.Max(50, kbps/8) }

// noise returns a number from -1 to 1 for a channel and quantity at this second
// (SplitMix64 over the four).
func (w *world) noise(ch, quantity int) float64 {
	x := w.seed ^ uint64(w.second)*0x9e3779b97f4a7c15 ^ uint64(ch*8+quantity+1)*0xbf58476d1ce4e5b9
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<52) - 1
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }
