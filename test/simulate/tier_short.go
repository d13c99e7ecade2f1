//go:build !qualify

package simulate

// long is true in make qualify.
const long = false
