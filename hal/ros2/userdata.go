package ros2

// typeData is the user data of a topic's endpoints.
func typeData(string) []byte { return nil }
