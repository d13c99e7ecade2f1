// Package evidence writes and reads what a robot says about itself to a verifier; it never decides whether that is
// believed, opens no connection and reads no clock.
//
// Evidence is one COSE_Sign1 message over claims and, on a robot with a TPM, over a quote that is bound to them. Each
// claim says whether a PCR backs it or whether it is the robot's own word; the verifier finds that out for itself and
// refuses evidence that says otherwise. FORMAT.md beside this file describes every byte.
//
// The robot's side has three steps:
//
//	challenge, err := attester.Accept(now, sinceBoot, documents, envelope) // is it a verifier's, for us, now, the first time?
//	claims := …                                                           // the caller's part, with challenge.Nonce
//	message, err := evidence.Build(claims, challenge.PCRs, key, quoter)
//
// The verifier's side has two: [Parse] reads without believing anything, [Evidence.Verify] checks the robot's key. The
// quote is for attest/tpm to check, against [Evidence.QualifyingData].
package evidence
