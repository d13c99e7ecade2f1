//go:build !qualify

package authority

// powerCuts says which power cuts of the TPM are tried: it stays off until the run has ended.
var powerCuts = []bool{false}
