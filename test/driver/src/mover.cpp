// Whoever commands an arm, a hand and the base's goals on DDS in a test: good commands and bad ones in turn, ten times a
// second. It knows of no limit and does not mind being refused. On ROS 1 the same is written in rospy (e2e/gate_test.go).
//
//   mover_fast --node=/move_group
#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

namespace {

bus::Duration duration(double s) {
  const auto whole = static_cast<int32_t>(std::floor(s));
  return {whole, static_cast<uint32_t>(std::lround((s - whole) * 1e9))};
}

struct Point {
  double at_s, position;
};

class Mover {
 public:
  explicit Mover(bus::Bus& node)
      : arm_(node.advertise<bus::JointTrajectory>("/arm/command_raw")),
        hand_(node.advertise<bus::Float64MultiArray>("/hand/command_raw")),
        goal_(node.advertise<bus::PoseStamped>("/goal_raw")) {}

  void command(int cycle) {
    move("joint_28", {{2, 0.25}, {3, 0.5}});    // good
    move("joint_28", {{2, 0.25}, {3, 3.5}});    // past the end stop
    move("joint_28", {{2, -1}, {2.01, 1}});     // too fast
    move("joint_00", {{2, 0.25}});              // a leg
    move("nobody", {{2, 0.25}});
    turn({0.125});                              // good
    turn({31});                                 // too fast
    turn({0.125, 0.125});                       // there is one joint
    go(1, 0, "map");                            // good
    go(22, 22, "map");                          // in the closed room
    go(1, 0, "odom");
    // Seldom: two in a row are a fault of the channel, and hold the base.
    if (cycle % 50 == 20) move("joint_28", {{2, std::nan("")}});
  }

 private:
  void move(const std::string& joint, const std::vector<Point>& way) {
    bus::JointTrajectory m;
    m.joint_names.push_back(joint);
    for (const auto& p : way) {
      auto& out = m.points.emplace_back();
      out.positions.push_back(p.position);
      out.time_from_start = duration(p.at_s);
    }
    arm_->publish(m);
  }

  void turn(const std::vector<double>& velocities) {
    bus::Float64MultiArray m;
    m.data = velocities;
    hand_->publish(m);
  }

  void go(double x, double y, const std::string& frame) {
    bus::PoseStamped m;
    m.header.frame_id = frame;
    m.pose.position.x = x, m.pose.position.y = y, m.pose.orientation.w = 1;
    goal_->publish(m);
  }

  std::unique_ptr<bus::Publisher<bus::JointTrajectory>> arm_;
  std::unique_ptr<bus::Publisher<bus::Float64MultiArray>> hand_;
  std::unique_ptr<bus::Publisher<bus::PoseStamped>> goal_;
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/move_group");
    if (argc != 1) throw std::invalid_argument("expected no more arguments");
    auto node = bus::open(where);
    {
      Mover mover(*node);
      node->start();
      std::puts("up");
      auto next = std::chrono::steady_clock::now();
      for (int cycle = 1; node->ok(); cycle++) {
        mover.command(cycle);
        std::this_thread::sleep_until(next += std::chrono::milliseconds(100));
      }
    }
    node.reset();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mover: %s\n", e.what());
    return 2;
  }
}
