#include "sensors.hpp"

#include <chrono>
#include <cmath>
#include <limits>

namespace plant {
namespace {

bus::Time stamp(const Faults& f) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t ns = std::chrono::nanoseconds(now).count() + static_cast<int64_t>(f.stamp_offset_s * 1e9);
  return {static_cast<int32_t>(ns / 1000000000), static_cast<uint32_t>(ns % 1000000000)};
}

bus::Quaternion heading(double yaw) {
  bus::Quaternion q;
  q.z = std::sin(yaw / 2);
  q.w = std::cos(yaw / 2);
  return q;
}

template <typename Array>
void covariance(Array& c, double sigma, const Faults& f) {
  double variance = sigma * sigma;
  if (f.zero_cov) variance = 0;
  if (f.nan_cov) variance = std::numeric_limits<double>::quiet_NaN();
  if (f.huge_cov) variance = 1e6;
  for (size_t i = 0; i < 6; i++) c[i * 7] = variance;
}

}  // namespace

bus::Odometry Odometer::read(const Snapshot& s, const Faults& f) {
  bus::Odometry m;
  m.header.stamp = stamp(f);
  m.header.frame_id = f.frame.empty() ? o_.map_frame : f.frame;
  m.child_frame_id = o_.base_frame;
  auto& p = m.pose.pose;
  p.position.x = s.pose.x + o_.pose_sigma_m * normal_(random_) + f.teleport_x;
  p.position.y = s.pose.y + o_.pose_sigma_m * normal_(random_) + f.teleport_y;
  p.orientation = heading(s.pose.yaw + o_.yaw_sigma_rad * normal_(random_));
  if (f.freeze_pose) {
    if (!frozen_) frozen_pose_ = p;
    p = frozen_pose_;
  }
  frozen_ = f.freeze_pose;
  if (f.nan_pose) p.position.x = std::numeric_limits<double>::quiet_NaN();
  covariance(m.pose.covariance, o_.covariance_sigma_m, f);
  // The twist comes from the drive: it does not see slip.
  m.twist.twist.linear.x = s.drive.vx;
  m.twist.twist.linear.y = s.drive.vy;
  m.twist.twist.angular.z = s.drive.w;
  covariance(m.twist.covariance, 0.02, f);
  return m;
}

Joints::Joints(const Options& o, uint64_t seed) : o_(o), random_(seed) {
  for (int i = 0; i < o.joints; i++) names_.push_back("joint_" + std::to_string(i / 10) + std::to_string(i % 10));
}

// The joints swing with the gait: half a metre a cycle, each with its own phase. Standing, they only shiver.
bus::JointState Joints::read(const Snapshot& s, const Faults& f) {
  constexpr double cycle_m = 0.5, swing_rad = 0.4;
  bus::JointState m;
  m.header.stamp = stamp(f);
  m.name = names_;
  double phase = 2 * M_PI * s.travelled / cycle_m;
  double pace = 2 * M_PI * (std::hypot(s.drive.vx, s.drive.vy) + 0.3 * std::abs(s.drive.w)) / cycle_m;
  if (f.freeze_joints) phase = pace = 0;
  for (size_t i = 0; i < names_.size(); i++) {
    double own = 0.7 * static_cast<double>(i);
    m.position.push_back(swing_rad * std::sin(phase + own) + o_.joint_sigma * normal_(random_));
    m.velocity.push_back(swing_rad * pace * std::cos(phase + own) + o_.joint_sigma * normal_(random_));
    m.effort.push_back(0);
  }
  return m;
}

bus::Imu Inertial::read(const Snapshot& s, const Faults& f) {
  bus::Imu m;
  m.header.stamp = stamp(f);
  m.header.frame_id = o_.base_frame;
  m.orientation = heading(s.pose.yaw);
  m.angular_velocity.z = s.floor.w + 1e-3 * normal_(random_);
  double shake = o_.imu_vibration * std::hypot(s.drive.vx, s.drive.vy);
  m.linear_acceleration.x = s.accel_x + shake * std::sin(2 * M_PI * 7 * s.t) + 0.01 * normal_(random_);
  m.linear_acceleration.y = shake * std::cos(2 * M_PI * 5 * s.t) + 0.01 * normal_(random_);
  m.linear_acceleration.z = 9.81 + 0.01 * normal_(random_);
  for (size_t i = 0; i < 3; i++) {
    m.orientation_covariance[i * 4] = 1e-4;
    m.angular_velocity_covariance[i * 4] = 1e-6;
    m.linear_acceleration_covariance[i * 4] = 1e-4;
  }
  return m;
}

bus::PoseWithCovarianceStamped as_pose(const bus::Odometry& odom) {
  bus::PoseWithCovarianceStamped m;
  m.header = odom.header;
  m.pose = odom.pose;
  return m;
}

bus::TFMessage as_transform(const bus::Odometry& odom) {
  bus::TransformStamped t;
  t.header = odom.header;
  t.child_frame_id = odom.child_frame_id;
  t.transform.translation.x = odom.pose.pose.position.x;
  t.transform.translation.y = odom.pose.pose.position.y;
  t.transform.rotation = odom.pose.pose.orientation;
  bus::TFMessage m;
  m.transforms.push_back(t);
  return m;
}

bus::BatteryState battery(const Options& o) {
  bus::BatteryState m;
  m.header.stamp = stamp({});
  m.voltage = static_cast<float>(48 * (0.85 + 0.15 * o.battery_fraction));
  m.percentage = static_cast<float>(o.battery_fraction);
  m.power_supply_status = bus::BatteryState::kDischarging;
  m.present = true;
  return m;
}

}  // namespace plant
