// Package setup holds the list of Debian packages that the tests need and the script that installs them; it never
// runs the script itself, since that is the business of whoever runs the tests.
package setup
