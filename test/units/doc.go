// Package units tests the systemd units and the Debian package as they ship: how exposed they are, and in a robot
// computer with a real systemd what they do; it never installs anything on the host.
package units
