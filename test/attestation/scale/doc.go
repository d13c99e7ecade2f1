// Package scale has many robots attest to several verifiers behind one broker while verifiers and the broker's nodes are
// killed; it never looks at what a verifier concludes from evidence that is not good, which is attest/verifier's to test.
package scale
