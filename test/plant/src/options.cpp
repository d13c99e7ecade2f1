#include "options.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <stdexcept>

namespace plant {
namespace {

double number(const std::string& text) {
  size_t used = 0;
  double v = std::stod(text, &used);
  if (used != text.size() || !std::isfinite(v)) throw std::invalid_argument("not a finite number");
  return v;
}

double positive_or_zero(const std::string& text) {
  double v = number(text);
  if (v < 0) throw std::invalid_argument("negative");
  return v;
}

double positive(const std::string& text) {
  double v = number(text);
  if (v <= 0) throw std::invalid_argument("not positive");
  return v;
}

bool boolean(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw std::invalid_argument("neither true nor false");
}

using Setter = std::function<void(const std::string&)>;

void add_body(std::map<std::string, Setter>& set, Params& b) {
  set["accel"] = [&](auto& v) { b.accel = positive(v); };
  set["decel"] = [&](auto& v) { b.decel = positive(v); };
  set["yaw-accel"] = [&](auto& v) { b.yaw_accel = positive(v); };
  set["yaw-decel"] = [&](auto& v) { b.yaw_decel = positive(v); };
  set["stop-decel"] = [&](auto& v) { b.stop_decel = positive(v); };
  set["lag"] = [&](auto& v) { b.lag_s = positive_or_zero(v); };
  set["dead-time"] = [&](auto& v) { b.dead_time_s = positive_or_zero(v); };
  set["command-timeout"] = [&](auto& v) { b.command_timeout_s = v == "never" ? INFINITY : positive(v); };
  set["step-period"] = [&](auto& v) { b.step_period_s = positive_or_zero(v); };
  set["speed-quantum"] = [&](auto& v) { b.speed_quantum = positive_or_zero(v); };
  set["slip"] = [&](auto& v) { b.slip = number(v); };
  set["max-speed"] = [&](auto& v) { b.max_speed = positive(v); };
  set["max-yaw-rate"] = [&](auto& v) { b.max_yaw_rate = positive(v); };
}

void add_streams(std::map<std::string, Setter>& set, Options& o) {
  set["odom-hz"] = [&](auto& v) { o.odom_hz = positive_or_zero(v); };
  set["joints-hz"] = [&](auto& v) { o.joints_hz = positive_or_zero(v); };
  set["imu-hz"] = [&](auto& v) { o.imu_hz = positive_or_zero(v); };
  set["battery-hz"] = [&](auto& v) { o.battery_hz = positive_or_zero(v); };
  set["odom-jitter"] = [&](auto& v) { o.odom_jitter_s = positive_or_zero(v); };
  set["odom-topic"] = [&](auto& v) { o.odom_topic = v; };
  set["pose-topic"] = [&](auto& v) { o.pose_topic = v; };
  set["joints-topic"] = [&](auto& v) { o.joints_topic = v; };
  set["imu-topic"] = [&](auto& v) { o.imu_topic = v; };
  set["map-frame"] = [&](auto& v) { o.map_frame = v; };
  set["base-frame"] = [&](auto& v) { o.base_frame = v; };
  set["tf"] = [&](auto& v) { o.tf = boolean(v); };
  set["joints"] = [&](auto& v) { o.joints = static_cast<int>(positive_or_zero(v)); };
  set["pose-sigma"] = [&](auto& v) { o.pose_sigma_m = positive_or_zero(v); };
  set["yaw-sigma"] = [&](auto& v) { o.yaw_sigma_rad = positive_or_zero(v); };
  set["covariance-sigma"] = [&](auto& v) { o.covariance_sigma_m = positive_or_zero(v); };
  set["joint-sigma"] = [&](auto& v) { o.joint_sigma = positive_or_zero(v); };
  set["imu-vibration"] = [&](auto& v) { o.imu_vibration = positive_or_zero(v); };
  set["battery"] = [&](auto& v) { o.battery_fraction = positive_or_zero(v); };
}

void add_control(std::map<std::string, Setter>& set, Options& o) {
  set["x"] = [&](auto& v) { o.start.x = number(v); };
  set["y"] = [&](auto& v) { o.start.y = number(v); };
  set["yaw"] = [&](auto& v) { o.start.yaw = number(v); };
  set["truth"] = [&](auto& v) { o.truth = v; };
  set["seed"] = [&](auto& v) { o.seed = std::stoull(v); };
  set["cmd-topic"] = [&](auto& v) { o.cmd_topic = v; };
  set["loss-probability"] = [&](auto& v) { o.loss_probability = positive_or_zero(v); };
  set["loss-length"] = [&](auto& v) { o.loss_length = static_cast<int>(positive(v)); };
  set["lock-topic"] = [&](auto& v) { o.lock_topic = v; };
  set["lock-timeout"] = [&](auto& v) { o.lock_timeout_s = positive(v); };
  set["lock-zeroes"] = [&](auto& v) { o.lock_zeroes = boolean(v); };
  set["stop-service"] = [&](auto& v) { o.stop_service = v; };
  set["dock-service"] = [&](auto& v) { o.dock_service = v; };
  set["dock-x"] = [&](auto& v) { o.has_dock = true, o.dock.x = number(v); };
  set["dock-y"] = [&](auto& v) { o.has_dock = true, o.dock.y = number(v); };
  set["dock-speed"] = [&](auto& v) { o.dock_speed = positive(v); };
}

}  // namespace

Options parse(const std::vector<std::string>& args) {
  Options o;
  std::map<std::string, Setter> set;
  add_body(set, o.body);
  add_streams(set, o);
  add_control(set, o);
  for (const auto& arg : args) {
    auto eq = arg.find('=');
    if (arg.rfind("--", 0) != 0 || eq == std::string::npos)
      throw std::invalid_argument("'" + arg + "': expected --key=value");
    auto it = set.find(arg.substr(2, eq - 2));
    if (it == set.end()) throw std::invalid_argument("'" + arg + "': no such key");
    try {
      it->second(arg.substr(eq + 1));
    } catch (const std::exception& e) {
      throw std::invalid_argument("'" + arg + "': " + e.what());
    }
  }
  if (o.odom_hz > 0 && o.odom_jitter_s >= 1 / o.odom_hz)
    throw std::invalid_argument("--odom-jitter: expected less than one period of the odometry");
  return o;
}

}  // namespace plant
