// The controllers of an arm, a hand and a base on DDS in a test: they say what reaches them, a line a message, and move
// nothing. On ROS 1 the same is written in rospy (e2e/gate_test.go).
//
//   arm_cyclone --node=/arm
//
// Lines are "arm <joints> <position>@<seconds>…", "hand <values>" and "goal <frame> <x> <y>".
#include <chrono>
#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

namespace {

// Each topic has its own thread: a line goes out whole.
void say(const std::ostringstream& line) { std::fputs((line.str() + "\n").c_str(), stdout); }

void on_arm(const bus::JointTrajectory& m, const bus::Origin&) {
  std::ostringstream line;
  line << "arm";
  for (const auto& j : m.joint_names) line << " " << j;
  for (const auto& p : m.points) {
    line << " ";
    for (const double x : p.positions) line << x << "@";
    line << p.time_from_start.sec + p.time_from_start.nanosec * 1e-9;
  }
  say(line);
}

void on_hand(const bus::Float64MultiArray& m, const bus::Origin&) {
  std::ostringstream line;
  line << "hand";
  for (const double x : m.data) line << " " << x;
  say(line);
}

void on_goal(const bus::PoseStamped& m, const bus::Origin&) {
  std::ostringstream line;
  line << "goal " << m.header.frame_id << " " << m.pose.position.x << " " << m.pose.position.y;
  say(line);
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/arm");
    if (argc != 1) throw std::invalid_argument("expected no more arguments");
    auto node = bus::open(where);
    node->subscribe("/arm/command", bus::Handler<bus::JointTrajectory>(on_arm));
    node->subscribe("/hand/command", bus::Handler<bus::Float64MultiArray>(on_hand));
    node->subscribe("/goal", bus::Handler<bus::PoseStamped>(on_goal));
    node->start();
    std::puts("up");
    while (node->ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    node.reset();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "arm: %s\n", e.what());
    return 2;
  }
}
