// Package contract is the language that the guard speaks with the other roles over its unix socket; it never decides what
// a frame may do and never loosens anything. [FORMAT.md] describes every frame.
//
// Whatever steward and courier say here is unsigned, so it may only tighten, and only for as long as its lease. What
// loosens is a signed order, which these frames carry unread.
//
// [FORMAT.md]: https://github.com/robowarden/robowarden/blob/main/agent/contract/FORMAT.md
package contract
