// How the robot moves. Nothing here knows of ROS or of clocks: time comes in.
//
// The chain from a command to motion: dead time, command timeout, lock and stop, limits and quantisation, sampling at
// each step of the gait, slew limits that differ for speeding up and slowing down, a first-order lag, and slip between
// drive and floor. It was chosen to be unlike the constant-deceleration model by which stopping distances are
// predicted. From a zero command on, the robot travels at most
//   v * (dead_time + step_period + lag) + v² / (2 * decel).
#pragma once

#include <cmath>
#include <deque>

namespace plant {

struct Pose {
  double x = 0, y = 0, yaw = 0;  // m, m, rad
};

struct Velocity {
  double vx = 0, vy = 0, w = 0;  // m/s, m/s, rad/s, in the robot's frame
  bool zero() const { return vx == 0 && vy == 0 && w == 0; }
};

struct Params {
  double accel = 1.0, decel = 1.2;          // m/s²
  double yaw_accel = 2.0, yaw_decel = 3.0;  // rad/s²
  double stop_decel = 1.5;                  // m/s², for the stop service; turning slows in the same proportion
  double lag_s = 0.05;
  double dead_time_s = 0.02;
  double command_timeout_s = 0.5;  // infinite: the robot goes on for ever
  double step_period_s = 0;        // targets take effect at steps only; 0: at once (wheels)
  double speed_quantum = 0.01;     // m/s
  double slip = 0;                 // share of the drive's motion that does not reach the floor
  double max_speed = 2.0;          // m/s
  double max_yaw_rate = 2.0;       // rad/s
};

// Flags say why the target is not the last command.
enum Flag : unsigned { kLocked = 1, kStopped = 2, kTimedOut = 4, kDocking = 8, kRunaway = 16, kBraked = 32 };

class Body {
 public:
  Body(const Params& params, const Pose& start) : p_(params), pose_(start) {}

  // command hands in a command that arrived at time t.
  void command(double t, const Velocity& v);
  // lock notes that the lock is on; with zero it makes the target zero for as long as it holds.
  void lock(bool on, bool zero) { locked_ = on, lock_zeroes_ = zero; }
  // stop is the controlled stop with its own deceleration; commands are ignored until it is released.
  void stop(bool on);
  // dock makes the robot drive to the place by itself, in a straight line, until the next stop.
  void dock(const Pose& place, double speed);
  // runaway makes the robot keep its present target whatever it is told.
  void runaway(bool on);
  // brake takes the drive's power: the robot slows down as ever, whatever it is told.
  void brake(bool on) { braked_ = on; }
  // step moves the body from time t - dt to t.
  void step(double t, double dt);

  const Pose& pose() const { return pose_; }
  // drive is what the wheels or feet do, floor is what the body does; slip lies between them.
  const Velocity& drive() const { return drive_; }
  Velocity floor() const;
  double acceleration() const { return accel_x_; }  // m/s², forward
  const Velocity& last_command() const { return last_; }
  unsigned flags() const { return flags_; }

 private:
  struct Pending {
    double at;
    Velocity v;
  };

  Velocity target(double t);
  Velocity dock_target() const;
  Velocity limited(Velocity v) const;
  void slew(const Velocity& goal, double dt);

  Params p_;
  Pose pose_;
  std::deque<Pending> pending_;  // under way, for the dead time
  Velocity last_, active_, held_, set_, drive_;
  double last_at_ = -INFINITY, next_step_ = 0, accel_x_ = 0;
  bool locked_ = false, lock_zeroes_ = true, stopped_ = false, docking_ = false, runaway_ = false, braked_ = false;
  Pose dock_;
  double dock_speed_ = 0;
  unsigned flags_ = 0;
};

}  // namespace plant
