// What the robot says about itself: messages made of a snapshot of the body, noise and faults.
#pragma once

#include <random>

#include "faults.hpp"
#include "messages.hpp"
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
  bus::Odometry read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  bool frozen_ = false;
  bus::Pose frozen_pose_;
};

class Joints {
 public:
  Joints(const Options& o, uint64_t seed);
  bus::JointState read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::vector<std::string> names_;
};

class Inertial {
 public:
  Inertial(const Options& o, uint64_t seed) : o_(o), random_(seed) {}
  bus::Imu read(const Snapshot& s, const Faults& f);

 private:
  const Options& o_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

bus::PoseWithCovarianceStamped as_pose(const bus::Odometry& odom);
bus::TFMessage as_transform(const bus::Odometry& odom);
bus::BatteryState battery(const Options& o);

}  // namespace plant
