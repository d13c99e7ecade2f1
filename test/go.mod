module github.com/robowarden/robowarden/test

go 1.26.0

replace github.com/robowarden/robowarden => ../

require (
	github.com/google/go-cmp v0.7.0
	pgregory.net/rapid v1.3.0
)
