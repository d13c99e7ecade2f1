// Package verifier appraises what robots say about themselves and signs what it concludes; it never opens a connection,
// never reads a clock and never believes a robot's own label for its claims.
//
// A robot is enrolled with its keys and with reference values: for each claim and each PCR the set of values that are
// allowed, and a list of what is rejected whatever else allows it. [Verifier] hands out challenges, takes evidence and
// logs, and signs results; time and randomness are the caller's, and what must outlive a crash is a [Store]'s.
// [Appraise] is the judgement itself, a pure function, for live evidence and for recorded evidence alike. FORMAT.md
// beside this file describes the documents and every reason.
package verifier
