//go:build race

package stricttest

// raceDetector: the tests run with the race detector.
const raceDetector = true
