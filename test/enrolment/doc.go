// Package enrolment has robots enrolled at an EST server that is not ours, and another's EST client at our authority. It holds tests
// only; the other's library is in a module of its own, which nothing else depends on.
package enrolment
