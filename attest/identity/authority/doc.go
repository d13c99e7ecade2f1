// Package authority is the pilot authority: it invites robots, has their TPMs prove themselves and issues their certificates; it
// never makes a robot's key, believes a certificate request without its proof, or is linked into the robot's binary.
//
// It is for a pilot of some hundred robots: its private keys are files of one computer. docs/enrolment.md says what it is
// not. Robots reach it over [Handler], people through its folder.
//
// Everything about one holder of certificates is one file, which is replaced whole: after a crash there is the state before
// or after a step, and whoever asks again with the same keys gets the same certificate.
package authority
