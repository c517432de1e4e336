//go:build !race

package main

// raceDetector: the tests run with the race detector.
const raceDetector = false
