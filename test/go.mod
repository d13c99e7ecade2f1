module github.com/robowarden/robowarden/test

go 1.26.0

replace github.com/robowarden/robowarden => ../
