// Package attestation compares our attestation with another implementation of it, Google's go-attestation: event logs,
// their replay, and quotes. It holds tests only; nothing in the product depends on that library.
package attestation
