// Package need says what a test needs from the machine and skips it when that is missing; it never installs anything.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Missing skips the test with the reason, or fails it when REQUIRE_ALL=1 is set, so that CI cannot pass by skipping.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1: "+format, args...)
	}
	t.Skipf(format, args...)
}

// ROS demands a ROS 1 master, rospy and the tools to build roscpp nodes.
func ROS(t testing.TB) {
	t.Helper()
	tools(t, "rosmaster", "cmake", "g++")
	if _, err := os.Stat("/usr/lib/python3/dist-packages/rospy"); err != nil {
		Missing(t, "no rospy for /usr/bin/python3 here: run test/setup/install.sh")
	}
}

// DDS demands both vendors' generators of code; their libraries come with the packages of the same list.
func DDS(t testing.TB) {
	t.Helper()
	tools(t, "idlc", "fastddsgen", "java")
}

// Networks demands the rights and the tools to make networks in which nothing else is.
func Networks(t testing.TB) {
	t.Helper()
	Root(t)
	tools(t, "unshare", "nsenter", "ip", "nft")
}

// Root demands the rights to mount file systems and to make control groups.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "needs root")
	}
}

func tools(t testing.TB, names ...string) {
	t.Helper()
	for _, tool := range names {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, "no %s here: run test/setup/install.sh", tool)
		}
	}
}
