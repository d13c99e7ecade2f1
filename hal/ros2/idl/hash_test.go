package idl

import "testing"

// published are hashes that ROS 2's own generator made (Jazzy), as other implementations of it publish them in their
// tests and generated code.
var published = map[string]string{
	"builtin_interfaces/msg/Time":                 "b106235e25a4c5ed35098aa0a61a3ee9c9b18d197f398b0e4206cea9acf9c197",
	"builtin_interfaces/msg/Duration":             "e8d009f659816f758b75334ee1a9ca5b5c0b859843261f14c7f937349599d93b",
	"std_msgs/msg/Header":                         "f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01",
	"std_msgs/msg/Bool":                           "feb91e995ff9ebd09c0cb3d2aed18b11077585839fb5db80193b62d74528f6c9",
	"std_msgs/msg/Empty":                          "20b625256f32d5dbc0d04fee44f43c41e51c70d3502f84b4a08e7a9c26a96312",
	"std_msgs/msg/Float64":                        "705ba9c3d1a09df43737eb67095534de36fd426c0587779bda2bc51fe790182a",
	"std_msgs/msg/Int32":                          "b6578ded3c58c626cfe8d1a6fb6e04f706f97e9f03d2727c9ff4e74b1cef0deb",
	"std_msgs/msg/String":                         "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
	"std_msgs/msg/Float64MultiArray":              "1025ddc6b9552d191f89ef1a8d2f60f3d373e28b283d8891ddcc974e8c55397f",
	"geometry_msgs/msg/Vector3":                   "cc12fe83e4c02719f1ce8070bfd14aecd40f75a96696a67a2a1f37f7dbb0765d",
	"geometry_msgs/msg/Quaternion":                "8a765f66778c8ff7c8ab94afcc590a2ed5325a1d9a076ffff38fbce36f458684",
	"geometry_msgs/msg/Point":                     "6963084842a9b04494d6b2941d11444708d892da2f4b09843b9c43f42a7f6881",
	"geometry_msgs/msg/Pose":                      "d501954e9476cea2996984e812054b68026ae0bfae789d9a10b23daf35cc90fa",
	"geometry_msgs/msg/Twist":                     "9c45bf16fe0983d80e3cfe750d6835843d265a9a6c46bd2e609fcddde6fb8d2a",
	"geometry_msgs/msg/TwistStamped":              "5f0fcd4f81d5d06ad9b4c4c63e3ea51b82d6ae4d0558f1d475229b1121db6f64",
	"geometry_msgs/msg/Transform":                 "beb83fbe698636351461f6f35d1abb20010c43d55374d81bd041f1ba2581fddc",
	"geometry_msgs/msg/PoseStamped":               "10f3786d7d40fd2b54367835614bff85d4ad3b5dab62bf8bca0cc232d73b4cd8",
	"geometry_msgs/msg/PoseWithCovarianceStamped": "26432f9803e43727d3c8f668d1fdb3c630f548af631e2f4e31382371bfea3b6e",
	"nav_msgs/msg/Odometry":                       "3cc97dc7fb7502f8714462c526d369e35b603cfc34d946e3f2eda2766dfec6e0",
	"tf2_msgs/msg/TFMessage":                      "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
	"sensor_msgs/msg/Imu":                         "7d9a00ff131080897a5ec7e26e315954b8eae3353c3f995c55faf71574000b5b",
	"sensor_msgs/msg/JointState":                  "a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e",
	"sensor_msgs/msg/BatteryState":                "4bee5dfce981c98faa6828b868307a0a73f992ed0789f374ee96c8f840e69741",
	"trajectory_msgs/msg/JointTrajectory":         "179b33eba59d676f6d967ac71fe35e7ca2f64b2f3928f4a018cec115e213796e",
	"diagnostic_msgs/msg/KeyValue":                "d68081eaa540288c5440753baecef0c4e16e81a5f78ad68902ded5100413bb42",
	"diagnostic_msgs/msg/DiagnosticArray":         "5a8a36efb05fb25070fa0fb3810290c0e6cd4862b54a8fb975a1ee8dc55a333e",
	"std_srvs/srv/SetBool_Request":                "c62fbb99d94e1b25e8ef9e109f9581956bb1b3361a45a4e5810c36a90d29932e",
	"std_srvs/srv/SetBool_Response":               "d0814e7f7b4880ab77e9c57426c7aa1562ab69f11eef8e2e968812f9cbd0b059",
	"unique_identifier_msgs/msg/UUID":             "1b8e8aca958cbea28fe6ef60bf6c19b683c97a9ef60bb34752067d0f2f7ab437",
	"action_msgs/msg/GoalInfo":                    "6398fe763154554353930716b225947f93b672f0fb2e49fdd01bb7a7e37933e9",
	"action_msgs/msg/GoalStatus":                  "32f4cfd717735d17657e1178f24431c1ce996c878c515230f6c5b3476819dbb9",
	"action_msgs/msg/GoalStatusArray":             "6c1684b00f177d37438febe6e709fc4e2b0d4248dca4854946f9ed8b30cda83e",
}

func TestHashesAreThePublishedOnes(t *testing.T) {
	s := NewSet()
	for name, want := range published {
		typ, err := s.Type(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := Hash(typ); err != nil || got != "RIHS01_"+want {
			t.Errorf("%s: %s, %v; want RIHS01_%s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"std_srvs/srv/SetBool": "abe9e4bb6b41b40e6789712c00ec8871923e089af3f667a79992a428cff2da0a",
		"std_srvs/srv/Empty":   "5888399dedec5ccc85ea6451949fd2c9f97bfdf963f9a588821639fcd31b5d19",
		"std_srvs/Trigger":     "eeff2cd6fa5ad9d27cdf4dec64818317839b62f212a91e6b5304b634b2062c5f",
	} {
		if got, err := s.ServiceHash(name); err != nil || got != "RIHS01_"+want {
			t.Errorf("%s: %s, %v; want RIHS01_%s", name, got, err, want)
		}
	}
}
