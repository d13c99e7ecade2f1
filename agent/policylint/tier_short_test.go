//go:build !qualify

package policylint

// A sample of the held-out seeds.
const firstSeed, policies, bar = 1000, 12, 10
