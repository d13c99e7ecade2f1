// Package geos holds the product's geometry against an independent judge: GEOS, by a program in C that knows nothing of
// the product. Where the two disagree, a referee in math/big says who is right; it also looks at a share of what they agree on.
// Worlds, queries and the referee were written from the specification: a zone is a closed set with its boundary and those
// of its holes, a robot's outline is closed, and touching counts as inside.
package geos
