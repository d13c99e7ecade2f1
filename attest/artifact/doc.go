// Package artifact verifies what a robot runs or is steered by, models and firmware included, without a network: OpenSSF
// Model Signing bundles over files and folders, sigstore bundles over one file, detached signatures, and the provenance
// that goes with them. It never fetches a key, a log entry or a certificate, and it executes nothing.
//
// Whom it believes comes from a [Trust]: public keys, and certificate authorities whose certificates count only at a time
// that a trusted timestamp proves. FORMAT.md beside this file says which bytes are read and when they count.
package artifact
