#include "count.hpp"

#include <cstdio>
#include <cstring>
#include <ctime>

namespace count {

int64_t boot_ns() {
  timespec ts;
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return int64_t{ts.tv_sec} * 1000000000 + ts.tv_nsec;
}

Arguments::Arguments(int argc, char** argv, const std::map<std::string, std::string>& defaults) : values_(defaults) {
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto eq = arg.find('=');
    const auto key = arg.rfind("--", 0) == 0 && eq != std::string::npos ? arg.substr(2, eq - 2) : "";
    if (!values_.count(key)) throw std::invalid_argument("'" + arg + "': expected --key=value with a known key");
    values_[key] = arg.substr(eq + 1);
  }
}

uint64_t fnv(uint64_t digest, const void* bytes, size_t n) {
  const auto* b = static_cast<const uint8_t*>(bytes);
  for (size_t i = 0; i < n; i++) digest = (digest ^ b[i]) * 1099511628211u;
  return digest;
}

void make(bus::Odometry& m, long n, size_t) {
  m.header.stamp = {static_cast<int32_t>(n), static_cast<uint32_t>(n % 1000)};
  m.header.frame_id = "odom";
  m.child_frame_id = "base_link";
  m.pose.pose.position = {0.5 * static_cast<double>(n), -1.25, 0};
  m.pose.pose.orientation.w = 1;
  for (size_t i = 0; i < m.pose.covariance.size(); i++) m.pose.covariance[i] = 0.001 * static_cast<double>(i);
  m.twist.twist.linear.x = 0.7;
}

void make(bus::Twist& m, long n, size_t) {
  m.linear.x = static_cast<double>(n);
  m.angular.z = -0.5;
}

// A second after 1970 for each sample.
void make(bus::Clock& m, long n, size_t) { m.clock = {static_cast<int32_t>(n), 0}; }

// The number, a space, and letters up to the size.
void make(bus::String& m, long n, size_t size) {
  m.data = std::to_string(n) + " ";
  for (size_t k = m.data.size(); k < size; k++) m.data += static_cast<char>('a' + byte_of(n, k) % 26);
}

void make(bus::Image& m, long n, size_t size) {
  m.header.stamp.sec = static_cast<int32_t>(n);
  m.header.frame_id = "camera";
  m.height = 480, m.width = 640, m.step = 1920;
  m.encoding = "rgb8";
  m.data.resize(size);
  for (size_t k = 0; k < size; k++) m.data[k] = byte_of(n, k);
}

long number(const bus::Odometry& m) { return m.header.stamp.sec; }
long number(const bus::Twist& m) { return static_cast<long>(m.linear.x); }
long number(const bus::Clock& m) { return m.clock.sec; }
long number(const bus::String& m) { return std::strtol(m.data.c_str(), nullptr, 10); }
long number(const bus::Image& m) { return m.header.stamp.sec; }

template <>
bool right(const bus::Odometry& m, uint64_t& digest) {
  bus::Odometry want;
  make(want, number(m), 0);
  digest = fnv(digest, m.pose.covariance.data(), sizeof m.pose.covariance);
  return m.header.frame_id == want.header.frame_id && m.child_frame_id == want.child_frame_id &&
         m.header.stamp.nanosec == want.header.stamp.nanosec && m.pose.covariance == want.pose.covariance &&
         !std::memcmp(&m.pose.pose, &want.pose.pose, sizeof want.pose.pose) && m.twist.covariance == want.twist.covariance &&
         !std::memcmp(&m.twist.twist, &want.twist.twist, sizeof want.twist.twist);
}

template <>
bool right(const bus::Twist& m, uint64_t& digest) {
  digest = fnv(digest, &m, sizeof m);
  return m.angular.z == -0.5 && m.linear.y == 0 && m.linear.z == 0;
}

template <>
bool right(const bus::Clock& m, uint64_t& digest) {
  digest = fnv(digest, &m.clock, sizeof m.clock);
  return m.clock.nanosec == 0;
}

template <>
bool right(const bus::String& m, uint64_t& digest) {
  bus::String want;
  make(want, number(m), m.data.size());
  digest = fnv(digest, m.data.data(), m.data.size());
  return m.data == want.data;
}

template <>
bool right(const bus::Image& m, uint64_t& digest) {
  digest = fnv(digest, m.data.data(), m.data.size());
  for (size_t k = 0; k < m.data.size(); k++)
    if (m.data[k] != byte_of(number(m), k)) return false;
  return m.encoding == "rgb8" && m.header.frame_id == "camera" && m.step == 1920;
}

}  // namespace count
