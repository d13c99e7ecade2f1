#include "dynamics.hpp"

#include <algorithm>

namespace plant {
namespace {

// approach moves from towards to, by at most up when the speed grows and by at most down when it falls.
double approach(double from, double to, double up, double down) {
  bool growing = std::abs(to) > std::abs(from) && from * to >= 0;
  double most = growing ? up : down;
  return from + std::clamp(to - from, -most, most);
}

double wrap(double angle) { return std::remainder(angle, 2 * M_PI); }

}  // namespace

void Body::command(double t, const Velocity& v) {
  last_ = v;
  last_at_ = t;
  pending_.push_back({t + p_.dead_time_s, v});
}

void Body::stop(bool on) {
  stopped_ = on;
  if (on) docking_ = false;
}

void Body::dock(const Pose& place, double speed) {
  docking_ = true;
  dock_ = place;
  dock_speed_ = speed;
}

void Body::runaway(bool on) { runaway_ = on; }

Velocity Body::limited(Velocity v) const {
  double speed = std::hypot(v.vx, v.vy);
  if (!std::isfinite(speed) || !std::isfinite(v.w)) return {};
  if (speed > p_.max_speed) v.vx *= p_.max_speed / speed, v.vy *= p_.max_speed / speed;
  v.w = std::clamp(v.w, -p_.max_yaw_rate, p_.max_yaw_rate);
  if (p_.speed_quantum > 0) {
    v.vx = std::round(v.vx / p_.speed_quantum) * p_.speed_quantum;
    v.vy = std::round(v.vy / p_.speed_quantum) * p_.speed_quantum;
  }
  return v;
}

Velocity Body::dock_target() const {
  double dx = dock_.x - pose_.x, dy = dock_.y - pose_.y, distance = std::hypot(dx, dy);
  if (distance < 0.03) return {};
  double turn = wrap(std::atan2(dy, dx) - pose_.yaw);
  Velocity v;
  v.w = std::clamp(2 * turn, -0.8, 0.8);
  if (std::abs(turn) < 0.2) v.vx = std::min(dock_speed_, distance);
  return v;
}

// target is where the speed shall go now, and notes in flags_ why.
Velocity Body::target(double t) {
  while (!pending_.empty() && pending_.front().at <= t) {
    active_ = pending_.front().v;
    pending_.pop_front();
  }
  flags_ = (locked_ ? kLocked : 0u) | (stopped_ ? kStopped : 0u) | (runaway_ ? kRunaway : 0u) | (docking_ ? kDocking : 0u) | (braked_ ? kBraked : 0u);
  if (t - last_at_ > p_.command_timeout_s) flags_ |= kTimedOut;
  if (braked_) return {};
  if (runaway_) return held_;
  if ((locked_ && lock_zeroes_) || stopped_) return {};
  if (docking_) return dock_target();
  if (flags_ & kTimedOut) return {};
  return limited(active_);
}

void Body::slew(const Velocity& goal, double dt) {
  double down = p_.decel, yaw_down = p_.yaw_decel;
  if (stopped_) {
    down = p_.stop_decel;
    yaw_down *= p_.stop_decel / p_.decel;
  }
  // Along the direction of motion, so that a sideways command is not stronger than a forward one.
  double speed = std::hypot(set_.vx, set_.vy), aim = std::hypot(goal.vx, goal.vy);
  double most = (aim > speed ? p_.accel : down) * dt;
  double dx = goal.vx - set_.vx, dy = goal.vy - set_.vy, gap = std::hypot(dx, dy);
  double share = gap > most ? most / gap : 1;
  set_.vx += share * dx;
  set_.vy += share * dy;
  set_.w = approach(set_.w, goal.w, p_.yaw_accel * dt, yaw_down * dt);
}

void Body::step(double t, double dt) {
  Velocity goal = target(t);
  if (p_.step_period_s <= 0) {
    held_ = goal;
  } else if (t >= next_step_) {
    held_ = goal;
    next_step_ = t + p_.step_period_s;
  }
  slew(held_, dt);
  double blend = p_.lag_s > 0 ? 1 - std::exp(-dt / p_.lag_s) : 1;
  double before = drive_.vx;
  drive_.vx += blend * (set_.vx - drive_.vx);
  drive_.vy += blend * (set_.vy - drive_.vy);
  drive_.w += blend * (set_.w - drive_.w);
  // Friction ends the lag's endless tail: below a tenth of a millimetre per second nothing moves.
  if (set_.zero() && std::hypot(drive_.vx, drive_.vy) < 1e-4 && std::abs(drive_.w) < 1e-4) drive_ = {};
  accel_x_ = (drive_.vx - before) / dt;
  // Semi-implicit: the new speeds move the body, along the heading in the middle of the step.
  Velocity v = floor();
  double middle = pose_.yaw + v.w * dt / 2;
  pose_.yaw = wrap(pose_.yaw + v.w * dt);
  pose_.x += (v.vx * std::cos(middle) - v.vy * std::sin(middle)) * dt;
  pose_.y += (v.vx * std::sin(middle) + v.vy * std::cos(middle)) * dt;
}

Velocity Body::floor() const {
  double grip = 1 - p_.slip;
  return {drive_.vx * grip, drive_.vy * grip, drive_.w * grip};
}

}  // namespace plant
