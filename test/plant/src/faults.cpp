#include "faults.hpp"

#include <cmath>
#include <map>
#include <sstream>

namespace plant {
namespace {

const std::map<std::string, bool Faults::*> kSwitches = {
    {"freeze_pose", &Faults::freeze_pose},
    {"freeze_joints", &Faults::freeze_joints},
    {"stop_odom", &Faults::stop_odom},
    {"stop_joints", &Faults::stop_joints},
    {"stop_imu", &Faults::stop_imu},
    {"nan_pose", &Faults::nan_pose},
    {"zero_cov", &Faults::zero_cov},
    {"nan_cov", &Faults::nan_cov},
    {"huge_cov", &Faults::huge_cov},
    {"ignore_stop_service", &Faults::ignore_stop_service},
    {"refuse_stop_service", &Faults::refuse_stop_service},
    {"hang_stop_service", &Faults::hang_stop_service},
    {"keep_moving", &Faults::keep_moving},
    {"brake", &Faults::brake},
};

bool clear(Faults& f, const std::string& name) {
  if (name.empty()) {
    f = Faults();
  } else if (auto it = kSwitches.find(name); it != kSwitches.end()) {
    f.*(it->second) = false;
  } else if (name == "future_stamp" || name == "past_stamp") {
    f.stamp_offset_s = 0;
  } else if (name == "wrong_frame") {
    f.frame.clear();
  } else if (name == "teleport") {
    f.teleport_x = f.teleport_y = 0;
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool FaultBoard::apply(const std::string& line) {
  std::istringstream in(line);
  std::string word, name;
  if (!(in >> word)) return false;
  std::lock_guard<std::mutex> hold(mu_);
  if (word == "clear") {
    in >> name;
    return clear(faults_, name);
  }
  if (auto it = kSwitches.find(word); it != kSwitches.end()) {
    faults_.*(it->second) = true;
    return true;
  }
  if (word == "future_stamp" || word == "past_stamp") {
    double seconds = 5;
    if (double v; in >> v) seconds = v;
    faults_.stamp_offset_s = word == "future_stamp" ? seconds : -seconds;
    return true;
  }
  if (word == "wrong_frame") {
    if (!(in >> faults_.frame)) faults_.frame = "somewhere_else";
    return true;
  }
  double dx, dy;
  if (word == "teleport" && in >> dx >> dy) {
    faults_.teleport_x += dx;
    faults_.teleport_y += dy;
    return true;
  }
  return false;
}

Faults FaultBoard::now() const {
  std::lock_guard<std::mutex> hold(mu_);
  return faults_;
}

}  // namespace plant
