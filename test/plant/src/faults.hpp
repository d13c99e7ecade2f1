// What can go wrong with the robot, switched on and off at run time by lines of text.
#pragma once

#include <mutex>
#include <string>

namespace plant {

struct Faults {
  bool freeze_pose = false;   // the same position and noise over and over, with fresh stamps
  bool stop_odom = false, stop_joints = false, stop_imu = false;
  bool nan_pose = false;
  bool zero_cov = false, nan_cov = false, huge_cov = false;
  bool freeze_joints = false;  // joints stand still whatever the body does
  double stamp_offset_s = 0;   // future_stamp, past_stamp
  std::string frame;           // wrong_frame: sent in place of the right one
  double teleport_x = 0, teleport_y = 0;  // the reported position is off by this
  bool ignore_stop_service = false;  // says yes and does nothing
  bool refuse_stop_service = false;  // says no
  bool hang_stop_service = false;    // never answers
  bool keep_moving = false;          // ignores commands, lock and stop
  bool brake = false;                // a device keeps the drive's power away: stops whatever it is told, runaway or not
};

// FaultBoard is the present set of faults; any thread may look.
class FaultBoard {
 public:
  // apply reads a line such as "freeze_pose", "teleport 3 0", "future_stamp 2", "clear freeze_pose" or "clear". It
  // returns false and changes nothing when it does not understand.
  bool apply(const std::string& line);
  Faults now() const;

 private:
  mutable std::mutex mu_;
  Faults faults_;
};

}  // namespace plant
