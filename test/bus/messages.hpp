// Messages as the peers' own code sees them, the same on every bus. Behind each structure stands the list of its members,
// from which the conversions to and from a bus's types are made (convert.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace bus {

struct Time {
  int32_t sec = 0;
  uint32_t nanosec = 0;
};
#define BUS_FIELDS_Time(F) F(sec) F(nanosec)

struct Duration {
  int32_t sec = 0;
  uint32_t nanosec = 0;
};
#define BUS_FIELDS_Duration(F) F(sec) F(nanosec)

struct Header {
  Time stamp;
  std::string frame_id;
};
#define BUS_FIELDS_Header(F) F(stamp) F(frame_id)

struct String {
  std::string data;
};
#define BUS_FIELDS_String(F) F(data)

struct Bool {
  bool data = false;
};
#define BUS_FIELDS_Bool(F) F(data)

struct Vector3 {
  double x = 0, y = 0, z = 0;
};
#define BUS_FIELDS_Vector3(F) F(x) F(y) F(z)

struct Quaternion {
  double x = 0, y = 0, z = 0, w = 0;
};
#define BUS_FIELDS_Quaternion(F) F(x) F(y) F(z) F(w)

struct Pose {
  Vector3 position;
  Quaternion orientation;
};
#define BUS_FIELDS_Pose(F) F(position) F(orientation)

struct PoseStamped {
  Header header;
  Pose pose;
};
#define BUS_FIELDS_PoseStamped(F) F(header) F(pose)

struct PoseWithCovariance {
  Pose pose;
  std::array<double, 36> covariance{};
};
#define BUS_FIELDS_PoseWithCovariance(F) F(pose) F(covariance)

struct PoseWithCovarianceStamped {
  Header header;
  PoseWithCovariance pose;
};
#define BUS_FIELDS_PoseWithCovarianceStamped(F) F(header) F(pose)

struct Twist {
  Vector3 linear, angular;
};
#define BUS_FIELDS_Twist(F) F(linear) F(angular)

struct TwistWithCovariance {
  Twist twist;
  std::array<double, 36> covariance{};
};
#define BUS_FIELDS_TwistWithCovariance(F) F(twist) F(covariance)

struct Transform {
  Vector3 translation;
  Quaternion rotation;
};
#define BUS_FIELDS_Transform(F) F(translation) F(rotation)

struct TransformStamped {
  Header header;
  std::string child_frame_id;
  Transform transform;
};
#define BUS_FIELDS_TransformStamped(F) F(header) F(child_frame_id) F(transform)

struct TFMessage {
  std::vector<TransformStamped> transforms;
};
#define BUS_FIELDS_TFMessage(F) F(transforms)

struct Odometry {
  Header header;
  std::string child_frame_id;
  PoseWithCovariance pose;
  TwistWithCovariance twist;
};
#define BUS_FIELDS_Odometry(F) F(header) F(child_frame_id) F(pose) F(twist)

struct JointState {
  Header header;
  std::vector<std::string> name;
  std::vector<double> position, velocity, effort;
};
#define BUS_FIELDS_JointState(F) F(header) F(name) F(position) F(velocity) F(effort)

struct JointTrajectoryPoint {
  std::vector<double> positions, velocities, accelerations, effort;
  Duration time_from_start;
};
#define BUS_FIELDS_JointTrajectoryPoint(F) F(positions) F(velocities) F(accelerations) F(effort) F(time_from_start)

struct JointTrajectory {
  Header header;
  std::vector<std::string> joint_names;
  std::vector<JointTrajectoryPoint> points;
};
#define BUS_FIELDS_JointTrajectory(F) F(header) F(joint_names) F(points)

struct MultiArrayDimension {
  std::string label;
  uint32_t size = 0, stride = 0;
};
#define BUS_FIELDS_MultiArrayDimension(F) F(label) F(size) F(stride)

struct MultiArrayLayout {
  std::vector<MultiArrayDimension> dim;
  uint32_t data_offset = 0;
};
#define BUS_FIELDS_MultiArrayLayout(F) F(dim) F(data_offset)

struct Float64MultiArray {
  MultiArrayLayout layout;
  std::vector<double> data;
};
#define BUS_FIELDS_Float64MultiArray(F) F(layout) F(data)

struct UInt8MultiArray {
  MultiArrayLayout layout;
  std::vector<uint8_t> data;
};
#define BUS_FIELDS_UInt8MultiArray(F) F(layout) F(data)

struct Clock {
  Time clock;
};
#define BUS_FIELDS_Clock(F) F(clock)

struct Imu {
  Header header;
  Quaternion orientation;
  std::array<double, 9> orientation_covariance{};
  Vector3 angular_velocity;
  std::array<double, 9> angular_velocity_covariance{};
  Vector3 linear_acceleration;
  std::array<double, 9> linear_acceleration_covariance{};
};
#define BUS_FIELDS_Imu(F)                                                                                        \
  F(header) F(orientation) F(orientation_covariance) F(angular_velocity) F(angular_velocity_covariance) \
      F(linear_acceleration) F(linear_acceleration_covariance)

struct BatteryState {
  static constexpr uint8_t kDischarging = 2;

  Header header;
  float voltage = 0, temperature = 0, current = 0, charge = 0, capacity = 0, design_capacity = 0, percentage = 0;
  uint8_t power_supply_status = 0, power_supply_health = 0, power_supply_technology = 0;
  bool present = false;
  std::vector<float> cell_voltage, cell_temperature;
  std::string location, serial_number;
};
#define BUS_FIELDS_BatteryState(F)                                                                        \
  F(header) F(voltage) F(temperature) F(current) F(charge) F(capacity) F(design_capacity) F(percentage)   \
      F(power_supply_status) F(power_supply_health) F(power_supply_technology) F(present) F(cell_voltage) \
          F(cell_temperature) F(location) F(serial_number)

struct Image {
  Header header;
  uint32_t height = 0, width = 0;
  std::string encoding;
  uint8_t is_bigendian = 0;
  uint32_t step = 0;
  std::vector<uint8_t> data;
};
#define BUS_FIELDS_Image(F) F(header) F(height) F(width) F(encoding) F(is_bigendian) F(step) F(data)

struct RegionOfInterest {
  uint32_t x_offset = 0, y_offset = 0, height = 0, width = 0;
  bool do_rectify = false;
};
#define BUS_FIELDS_RegionOfInterest(F) F(x_offset) F(y_offset) F(height) F(width) F(do_rectify)

struct CameraInfo {
  Header header;
  uint32_t height = 0, width = 0;
  std::string distortion_model;
  std::vector<double> d;
  std::array<double, 9> k{}, r{};
  std::array<double, 12> p{};
  uint32_t binning_x = 0, binning_y = 0;
  RegionOfInterest roi;
};
#define BUS_FIELDS_CameraInfo(F)                                                                                  \
  F(header) F(height) F(width) F(distortion_model) F(d) F(k) F(r) F(p) F(binning_x) F(binning_y) F(roi)

// BUS_STRUCTS is every structure above, inner ones first.
#define BUS_STRUCTS(X)                                                                                              \
  X(Time) X(Duration) X(Header) X(String) X(Bool) X(Vector3) X(Quaternion) X(Pose) X(PoseStamped)                   \
      X(PoseWithCovariance) X(PoseWithCovarianceStamped) X(Twist) X(TwistWithCovariance) X(Transform)               \
          X(TransformStamped) X(TFMessage) X(Odometry) X(JointState) X(JointTrajectoryPoint) X(JointTrajectory)     \
              X(MultiArrayDimension) X(MultiArrayLayout) X(Float64MultiArray) X(UInt8MultiArray) X(Clock) X(Imu)     \
                  X(BatteryState) X(Image) X(RegionOfInterest) X(CameraInfo)

// BUS_TYPES is what goes over a topic: the structure and the package that it comes from.
#define BUS_TYPES(X)                                                                                          \
  X(String, std_msgs)                                                                                         \
  X(Bool, std_msgs)                                                                                           \
  X(Twist, geometry_msgs)                                                                                     \
  X(PoseStamped, geometry_msgs)                                                                               \
  X(PoseWithCovarianceStamped, geometry_msgs)                                                                 \
  X(Odometry, nav_msgs)                                                                                       \
  X(TFMessage, tf2_msgs)                                                                                      \
  X(JointState, sensor_msgs)                                                                                  \
  X(JointTrajectory, trajectory_msgs)                                                                         \
  X(Float64MultiArray, std_msgs)                                                                              \
  X(UInt8MultiArray, std_msgs)                                                                                \
  X(Clock, rosgraph_msgs)                                                                                     \
  X(Imu, sensor_msgs)                                                                                         \
  X(BatteryState, sensor_msgs)                                                                                \
  X(Image, sensor_msgs)                                                                                       \
  X(CameraInfo, sensor_msgs)

}  // namespace bus
