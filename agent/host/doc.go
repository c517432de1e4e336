// Package host is what the agent needs of the machine it runs on: clock, disk,
// boot, locks, signals, log and journal, terminal.
//
// Promise: it knows nothing of endpoints, records or brokers, and everything in
// agent may use it. What a system does not tell is "not known", never a guess.
package host
