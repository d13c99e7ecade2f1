#include "rmw.hpp"

#include <csignal>
#include <sstream>

namespace bus::rmw {
namespace {

volatile std::sig_atomic_t stop_asked = 0;

void on_signal(int) { stop_asked = 1; }

}  // namespace

// Hashes of the types as ROS 2 Jazzy's tools print them; where none is known, nothing is sent, as by Humble.
#define RMW_HASH(M, hash)                                        \
  template <>                                                    \
  std::string user_data<M>() {                                   \
    return *hash ? std::string("typehash=RIHS01_") + hash + ";" : ""; \
  }
RMW_HASH(String, "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18")
RMW_HASH(Bool, "feb91e995ff9ebd09c0cb3d2aed18b11077585839fb5db80193b62d74528f6c9")
RMW_HASH(Twist, "9c45bf16fe0983d80e3cfe750d6835843d265a9a6c46bd2e609fcddde6fb8d2a")
RMW_HASH(PoseStamped, "10f3786d7d40fd2b54367835614bff85d4ad3b5dab62bf8bca0cc232d73b4cd8")
RMW_HASH(PoseWithCovarianceStamped, "")
RMW_HASH(Odometry, "3cc97dc7fb7502f8714462c526d369e35b603cfc34d946e3f2eda2766dfec6e0")
RMW_HASH(TFMessage, "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087")
RMW_HASH(JointState, "a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e")
RMW_HASH(JointTrajectory, "179b33eba59d676f6d967ac71fe35e7ca2f64b2f3928f4a018cec115e213796e")
RMW_HASH(Float64MultiArray, "1025ddc6b9552d191f89ef1a8d2f60f3d373e28b283d8891ddcc974e8c55397f")
RMW_HASH(UInt8MultiArray, "")
RMW_HASH(Clock, "")
RMW_HASH(Imu, "7d9a00ff131080897a5ec7e26e315954b8eae3353c3f995c55faf71574000b5b")
RMW_HASH(BatteryState, "")
RMW_HASH(Image, "d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47")
RMW_HASH(CameraInfo, "")

void split(const std::string& node, std::string& space, std::string& name) {
  const auto slash = node.rfind('/');
  space = slash == 0 ? "/" : node.substr(0, slash);
  name = node.substr(slash + 1);
}

void catch_signals() {
  struct sigaction a = {};
  a.sa_handler = on_signal;
  sigaction(SIGTERM, &a, nullptr);
  sigaction(SIGINT, &a, nullptr);
}

bool stopping() { return stop_asked != 0; }

std::vector<std::string> peers(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ',');)
    if (!item.empty()) out.push_back(item);
  return out;
}

}  // namespace bus::rmw
