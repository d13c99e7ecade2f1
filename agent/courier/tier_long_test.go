//go:build qualify

package courier

// allSteps has an attestation interrupted at each step, each of the TPM's commands included, not only at those that others see.
const allSteps = true
