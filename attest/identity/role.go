package identity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/attest/order"
)

// Role says what the holder of a certificate is. Each has a root of its own; it is not a role of the key list, which says whose
// orders count.
type Role string

// The roles.
const (
	// RoleRobot is for robots: their LDevIDs.
	RoleRobot Role = "robot"
	// RoleRecovery is for robots whose own key does not sign, since they have started something that nobody has approved: their
	// holder may attest, say so, and hear of a way back, and nothing else.
	RoleRecovery Role = "robot-recovery"
	// RoleFleetManager plans the work of many robots.
	RoleFleetManager Role = "fleet-manager"
	// RoleVendor made a robot.
	RoleVendor Role = "vendor"
	// RoleOperator works with a robot.
	RoleOperator Role = "operator"
	// RoleSafetyEngineer writes policies.
	RoleSafetyEngineer Role = "safety-engineer"
	// RoleServer is for what robots connect to: the broker and the authority itself.
	RoleServer Role = "server"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleRobot, RoleRecovery, RoleFleetManager, RoleVendor, RoleOperator, RoleSafetyEngineer, RoleServer}
}

// maxHost is the longest name of a host.
const maxHost = 253

// CheckName says whether somebody of a role may have this name: a robot "manufacturer/serial", a server its host name or
// address, anybody else 1 to 64 of a-z, 0-9 and "._@-".
func CheckName(role Role, name string) error {
	var ok bool
	var want string
	switch role {
	case RoleRobot, RoleRecovery:
		ok, want = order.IsRobotID(name), `"manufacturer/serial"`
	case RoleServer:
		ok, want = of(name, 1, maxHost, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-"), "a host name or an address"
	case RoleFleetManager, RoleVendor, RoleOperator, RoleSafetyEngineer:
		ok, want = of(name, 1, 64, "abcdefghijklmnopqrstuvwxyz0123456789._@-"), `1 to 64 of a-z, 0-9 and "._@-"`
	default:
		return fmt.Errorf("role: found %q: expected one of %v", clip(string(role)), Roles())
	}
	if !ok {
		return fmt.Errorf("name: found %q: expected %s for the role %s", clip(name), want, role)
	}
	return nil
}

// CheckNew is CheckName for whoever is to get a certificate: brokers tell holders apart by [CommonName] alone, so a robot's
// manufacturer must not hold a colon, or two robots could pass for one. Such names are known elsewhere, so that they can be revoked.
func CheckNew(role Role, name string) error {
	if err := CheckName(role, name); err != nil {
		return err
	}
	if manufacturer, _, _ := strings.Cut(name, "/"); ofRobot(role) && strings.Contains(manufacturer, ":") {
		return fmt.Errorf("name: found %q: expected a manufacturer without a colon: to a broker the robot is %q, and another's name may be that too; name it otherwise",
			clip(name), clip(CommonName(role, name)))
	}
	return nil
}

// ParseRole reads a role.
func ParseRole(s string) (Role, error) {
	if !slices.Contains(Roles(), Role(s)) {
		return "", fmt.Errorf("role: found %q: expected one of %v", clip(s), Roles())
	}
	return Role(s), nil
}

// recoveryPrefix is before a robot's name where it is in recovery. A robot's name holds no "@", and another holder's no colon, so
// that no rule of a broker's for anybody else is about it.
const recoveryPrefix = "recovery@"

// CommonName is the name that a broker sees of a certificate's holder: a robot's with a colon, since the levels of MQTT topics
// are parted by slashes.
func CommonName(role Role, name string) string {
	switch role {
	case RoleRobot:
		return strings.Replace(name, "/", ":", 1)
	case RoleRecovery:
		return recoveryPrefix + strings.Replace(name, "/", ":", 1)
	case RoleFleetManager, RoleVendor, RoleOperator, RoleSafetyEngineer, RoleServer:
	}
	return name
}

// ofRobot says whether holders of a role are robots.
func ofRobot(role Role) bool { return role == RoleRobot || role == RoleRecovery }

// of says whether s has so many bytes, all of the alphabet.
func of(s string, shortest, longest int, alphabet string) bool {
	return len(s) >= shortest && len(s) <= longest && strings.Trim(s, alphabet) == ""
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
