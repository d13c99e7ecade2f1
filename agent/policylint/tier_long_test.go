//go:build qualify

package policylint

// Seeds that were not looked at while rules and cases were written.
const firstSeed, policies, bar = 1000, 100, 90
