// What a run of the plant can be told on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dynamics.hpp"

namespace plant {

struct Options {
  Params body;
  Pose start;

  std::string truth;  // file for the ground truth, empty for none
  uint64_t seed = 1;

  // Streams; a rate of 0 Hz leaves the stream out.
  double odom_hz = 50, joints_hz = 50, imu_hz = 100, battery_hz = 1;
  double odom_jitter_s = 0;  // each odometry message is held back by up to this long
  std::string odom_topic = "/odom", pose_topic, joints_topic = "/joint_states", imu_topic = "/imu/data";
  std::string map_frame = "map", base_frame = "base_link";
  bool tf = true;
  int joints = 29;
  double pose_sigma_m = 0.002, yaw_sigma_rad = 0.001, covariance_sigma_m = 0.01;
  double joint_sigma = 1e-4;     // rad and rad/s
  double imu_vibration = 1.0;    // m/s² of shaking for each m/s
  double battery_fraction = 0.8;

  // Commands.
  std::string cmd_topic = "/cmd_vel";
  double loss_probability = 0;  // chance that an incoming command starts a burst of lost ones
  int loss_length = 1;          // commands lost in a burst

  // A lock as twist_mux has it: locked while the last Bool is true or older than the timeout.
  std::string lock_topic;  // empty: no lock
  double lock_timeout_s = 0.5;
  bool lock_zeroes = true;  // false: commands are just not let through, as twist_mux itself does

  // Services.
  std::string stop_service = "/motor_stop", dock_service = "/return_to_dock";
  bool has_dock = false;
  Pose dock;
  double dock_speed = 0.3;
};

// parse reads --key=value arguments. It throws std::invalid_argument that names the argument and what was expected.
Options parse(const std::vector<std::string>& args);

}  // namespace plant
