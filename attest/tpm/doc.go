// Package tpm proves with a TPM 2.0 which machine is speaking and in which state it has started; it never decides what
// that proof is worth, opens no network connection and starts no process.
//
// One half runs on the robot and talks to the TPM: attestation key, device key, quotes, enrolment, counters. Every call
// there ends within its time limit, whatever the TPM does, and no two calls reach the TPM at once. The other half is
// pure Go and needs no TPM: VerifyQuote, VerifyDevice, MakeCredential and VerifyEndorsement check what
// robots send.
//
// Keys are primaries: the TPM makes the same key from its seed and a template each time, so nothing about them is on
// the robot's disk, and a cloned disk carries no identity. The attestation key lies in the endorsement hierarchy,
// because in any other the TPM obfuscates its reset counter and firmware version (TPM 2.0 Library, part 1, 36.7). The
// device key lies in the owner hierarchy: whoever clears the TPM for a new owner ends the old owner's device identity.
//
// The passwords of the endorsement and owner hierarchies must be empty, as they are unless somebody has set them.
//
// A machine without a TPM gets a Software key. Its tier is "software-key", everywhere, and it can quote nothing.
package tpm
