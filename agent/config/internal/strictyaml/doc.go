// Package strictyaml reads the part of YAML 1.2 that configurations need and that every YAML reader understands alike; it
// never guesses, never expands anything and never stops at the first fault.
//
// Accepted are one document of block and flow mappings and sequences, plain and quoted scalars on one line, and comments.
// Refused, each with its place and a way out: anchors, aliases, tags, merge and complex keys, block scalars, text over
// several lines, directives, further documents, tabs, byte order marks and characters that hide or reorder text.
// JSON is accepted as far as it keeps to the same limits.
//
// Time and memory are linear in the input, which Parse caps: a hostile document costs no more than an honest one of the
// same size. Scalars are not typed here; their text and style are passed on, and the caller decides what it asked for.
package strictyaml
