//go:build qualify

package authority

// powerCuts says which power cuts of the TPM are tried: it is back at once, or stays off until the run has ended.
var powerCuts = []bool{true, false}
