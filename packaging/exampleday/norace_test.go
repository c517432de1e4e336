//go:build !race

package exampleday

// raceDetector: the tests run with the race detector.
const raceDetector = false
