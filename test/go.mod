module github.com/robowarden/robowarden/test

go 1.26.0

replace github.com/robowarden/robowarden => ../

require (
	github.com/bluenviron/goroslib/v2 v2.1.5
	github.com/google/go-cmp v0.7.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/gookit/color v1.5.4 // indirect
	github.com/xo/terminfo v0.0.0-20210125001918-ca9a967f8778 // indirect
	golang.org/x/sys v0.18.0 // indirect
)
