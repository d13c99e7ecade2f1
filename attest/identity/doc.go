// Package identity writes and reads what a robot's enrolment is made of, in the words of IEEE 802.1AR: requests, certificates
// and the messages of credential activation; it never opens a connection, keeps a private key or decides who is enrolled.
//
// What a certificate says follows from its role alone, see [Template]; each role has a root of its own, so that nobody who may
// enrol robots can make an operator. [CheckRequest] and [CheckChain] refuse what is for another name, key or role.
//
// The authority is in the package authority, the robot's half in the package enrol. FORMAT.md describes every byte.
package identity
