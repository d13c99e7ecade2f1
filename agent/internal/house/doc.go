// Package house holds no code, only tests that keep the rules of the house without any tool but Go: who may import whom,
// what is linked into the robot's binary, and how files look. The linter says the same, earlier and with more words.
package house
