// Package enrol gets a robot its certificate and keeps it good: from the pilot authority, which has the robot's TPM prove itself,
// or from any EST server (RFC 7030); it never makes or moves a private key, and believes nobody whom an invitation or the
// robot's owner has not named.
//
// [Run] may be ended at any moment, by kill -9 or a power cut of the robot or of its TPM, and started again: what is needed to go
// on is on the disk before the step that needs it, every file is replaced whole, and every step may be done twice. Whoever is
// enrolled keeps the certificate that it has until a better one has been checked.
package enrol
