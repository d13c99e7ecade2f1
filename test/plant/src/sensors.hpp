// What the robot says about itself: messages made of a snapshot of the body, noise and faults.
#pragma once

#include <geometry_msgs/PoseWithCovarianceStamped.h>
#include <nav_msgs/Odometry.h>
#include <sensor_msgs/BatteryState.h>
#include <sensor_msgs/Imu.h>
#include <sensor_msgs/JointState.h>
#include <tf2_msgs/TFMessage.h>

#include <random>

#include "faults.hpp"
#include "options.hpp"

namespace plant {

// Snapshot is the body at one moment.
struct Snapshot {
  double t = 0;  // s since the start
  Pose pose;
  Velocity drive, floor;
  double accel_x = 0;  // m/s²
  double travelled = 0;  // m, and turned with 0.3 m per rad: the phase of the gait
};

// Each sensor is used by one thread only.
class Odometer {
 public:
  Odometer(const Options& o, uint64_t seed) : o_(o), random_(seed) {}
  nav_msgs::Odometry read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  bool frozen_ = false;
  geometry_msgs::Pose frozen_pose_;
};

class Joints {
 public:
  Joints(const Options& o, uint64_t seed);
  sensor_msgs::JointState read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::vector<std::string> names_;
};

class Inertial {
 public:
  Inertial(const Options& o, uint64_t seed) : o_(o), random_(seed) {}
  sensor_msgs::Imu read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

geometry_msgs::PoseWithCovarianceStamped as_pose(const nav_msgs::Odometry& odom);
tf2_msgs::TFMessage as_transform(const nav_msgs::Odometry& odom);
sensor_msgs::BatteryState battery(const Options& o);

}  // namespace plant
