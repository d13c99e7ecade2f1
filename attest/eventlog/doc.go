// Package eventlog reads the logs that go with a TPM's PCRs and computes the values that those PCRs must then have; it
// never opens a file, and believes nothing of a log that the quoted PCRs do not bear out.
//
// There are three logs. The firmware's is the crypto-agile log of the TCG PC Client Platform Firmware Profile (section 10);
// Linux shows it as /sys/kernel/security/tpm0/binary_bios_measurements. The small one is our own: what `robowarden
// measure` has extended after the start, see Measured and FORMAT.md. The third is the kernel's, of its integrity
// measurements (IMA), which can be read in pieces; no evidence carries it yet.
//
// A log is a claim. Only after Differences has found none between the replayed and the quoted PCRs, its digests are
// proven, and even then an event's data is proven only where its digest is known to cover it, see Event.Covered. The
// older log format with SHA-1 alone is refused by name, since SHA-1 digests prove nothing any more; ParseLegacy reads it
// for people.
package eventlog
