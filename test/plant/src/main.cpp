// A robot for tests: moves by /cmd_vel, reports where it is, fails on request, and writes down the truth.
#include <chrono>
#include <functional>
#include <iostream>
#include <thread>

#include "bus.hpp"
#include "sensors.hpp"
#include "truth.hpp"

namespace plant {
namespace {

using Clock = std::chrono::steady_clock;

// every calls f at the rate until the node ends; a late call is made up for, so that simulated time never falls behind.
void every(const bus::Bus& node, double hz, const std::function<void()>& f) {
  const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / hz));
  for (auto next = Clock::now(); node.ok(); next += period) {
    std::this_thread::sleep_until(next);
    f();
  }
}

class Robot {
 public:
  Robot(const Options& o, Truth& truth, bus::Bus& node)
      : o_(o), truth_(truth), node_(node), body_(o.body, o.start), random_(o.seed), start_ns_(boot_ns()) {}

  void connect() {
    constexpr bus::Qos commands{true, false, 100};
    listen<bus::Twist>(o_.cmd_topic, &Robot::on_command, commands);
    if (!o_.lock_topic.empty()) listen<bus::Bool>(o_.lock_topic, &Robot::on_lock, commands);
    listen<bus::String>("/plant/fault", &Robot::on_fault, commands);
    node_.serve_set_bool(o_.stop_service, [this](bool on) { return on_stop(on); });
    node_.serve_trigger(o_.dock_service, [this] { return on_dock(); });
    odom_pub_ = node_.advertise<bus::Odometry>(o_.odom_topic);
    if (!o_.pose_topic.empty()) pose_pub_ = node_.advertise<bus::PoseWithCovarianceStamped>(o_.pose_topic);
    if (o_.tf) tf_pub_ = node_.advertise<bus::TFMessage>("/tf");
    if (o_.joints_hz > 0) joints_pub_ = node_.advertise<bus::JointState>(o_.joints_topic);
    if (o_.imu_hz > 0) imu_pub_ = node_.advertise<bus::Imu>(o_.imu_topic);
    if (o_.battery_hz > 0) battery_pub_ = node_.advertise<bus::BatteryState>("/battery_state");
    node_.start();
  }

  void run() {
    std::vector<std::thread> threads;
    auto stream = [&](double hz, const std::function<void()>& f) {
      if (hz > 0) threads.emplace_back([=] { every(node_, hz, f); });
    };
    stream(1000, [this] { physics(); });
    Odometer odometer(o_, o_.seed + 1);
    std::mt19937_64 jitter(o_.seed + 2);
    stream(o_.odom_hz, [&] { odometry(odometer, jitter); });
    Joints joints(o_, o_.seed + 3);
    stream(o_.joints_hz, [&] {
      const Faults f = faults_.now();
      if (!f.stop_joints) joints_pub_->publish(joints.read(snapshot(), f));
    });
    Inertial inertial(o_, o_.seed + 4);
    stream(o_.imu_hz, [&] {
      const Faults f = faults_.now();
      if (!f.stop_imu) imu_pub_->publish(inertial.read(snapshot(), f));
    });
    stream(o_.battery_hz, [&] { battery_pub_->publish(battery(o_)); });
    truth_.event("ready", "");
    std::cout << "plant ready" << std::endl;
    for (auto& t : threads) t.join();
  }

 private:
  template <class M>
  void listen(const std::string& topic, void (Robot::*f)(const M&), const bus::Qos& qos) {
    node_.subscribe(topic, bus::Handler<M>([this, f](const M& m, const bus::Origin&) { (this->*f)(m); }), qos);
  }

  double seconds(int64_t t_ns) const { return static_cast<double>(t_ns - start_ns_) * 1e-9; }

  void physics() {
    constexpr int64_t step_ns = 1000000;
    std::lock_guard<std::mutex> hold(mu_);
    const int64_t now = boot_ns();
    if (steps_ > 0 && now - at(steps_ + 1) > 50 * step_ns && now - late_ns_ > 1000 * step_ns) {
      // The oracle must know when it was the machine that was slow.
      truth_.event("late", std::to_string((now - at(steps_ + 1)) / step_ns) + " ms");
      late_ns_ = now;
    }
    for (; at(steps_ + 1) <= now; steps_++) one_step(at(steps_ + 1));
  }

  int64_t at(int64_t step) const { return start_ns_ + step * 1000000; }

  void one_step(int64_t t_ns) {
    if (!o_.lock_topic.empty()) {
      // As twist_mux: never heard is expired, and expired is locked.
      locked_ = lock_value_ || t_ns - lock_ns_ > static_cast<int64_t>(o_.lock_timeout_s * 1e9);
      body_.lock(locked_, o_.lock_zeroes);
    }
    body_.step(seconds(t_ns), 1e-3);
    const Velocity v = body_.drive();
    travelled_ += (std::hypot(v.vx, v.vy) + 0.3 * std::abs(v.w)) * 1e-3;
    if (steps_ % 5 == 0) truth_.row(t_ns, body_);
    if (locked_ != was_locked_) truth_.event("lock", locked_ ? "on" : "off");
    was_locked_ = locked_;
  }

  void odometry(Odometer& odometer, std::mt19937_64& jitter) {
    const Faults f = faults_.now();
    const bus::Odometry m = odometer.read(snapshot(), f);
    if (o_.odom_jitter_s > 0) {
      std::uniform_real_distribution<double> wait(0, o_.odom_jitter_s);
      std::this_thread::sleep_for(std::chrono::duration<double>(wait(jitter)));
    }
    if (f.stop_odom) return;
    // When the first such pose went out is wanted more exactly than when the fault was switched on.
    if (f.nan_pose != was_nan_) truth_.event("pose", f.nan_pose ? "nan" : "good");
    was_nan_ = f.nan_pose;
    odom_pub_->publish(m);
    if (!o_.pose_topic.empty()) pose_pub_->publish(as_pose(m));
    if (o_.tf) tf_pub_->publish(as_transform(m));
  }

  Snapshot snapshot() {
    std::lock_guard<std::mutex> hold(mu_);
    return {seconds(at(steps_)), body_.pose(), body_.drive(), body_.floor(), body_.acceleration(), travelled_};
  }

  void on_command(const bus::Twist& m) {
    std::lock_guard<std::mutex> hold(mu_);
    if (lose()) return;
    if (!o_.lock_topic.empty() && locked_ && !o_.lock_zeroes) return;
    const Velocity v{m.linear.x, m.linear.y, m.angular.z};
    body_.command(seconds(boot_ns()), v);
    // The moments at which commands turn to zero and back are wanted more exactly than the rows give them.
    if (v.zero() != was_zero_) truth_.event("cmd", v.zero() ? "zero" : "moving");
    was_zero_ = v.zero();
  }

  // lose decides whether a command gets lost: bursts start by chance and have a fixed length.
  bool lose() {
    if (burst_ == 0 && o_.loss_probability > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < o_.loss_probability)
      burst_ = o_.loss_length;
    if (burst_ == 0) return false;
    burst_--;
    return true;
  }

  void on_lock(const bus::Bool& m) {
    std::lock_guard<std::mutex> hold(mu_);
    lock_value_ = m.data;
    lock_ns_ = boot_ns();
  }

  void on_fault(const bus::String& m) {
    if (m.data == "release") {
      // The button beside the robot by which a person takes back what the stop service has done.
      std::lock_guard<std::mutex> hold(mu_);
      body_.stop(false);
      truth_.event("fault", m.data);
      return;
    }
    const bool known = faults_.apply(m.data);
    if (known) {
      std::lock_guard<std::mutex> hold(mu_);
      body_.runaway(faults_.now().keep_moving);
      body_.brake(faults_.now().brake);
    }
    truth_.event(known ? "fault" : "bad-fault", m.data);
    std::cout << (known ? "fault: " : "unknown fault: ") << m.data << std::endl;
  }

  bus::Answer on_stop(bool on) {
    const Faults f = faults_.now();
    truth_.event("stop-service", on ? "on" : "off");
    while (faults_.now().hang_stop_service && node_.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (f.refuse_stop_service) return {false, ""};
    if (f.ignore_stop_service || f.hang_stop_service) return {true, ""};
    std::lock_guard<std::mutex> hold(mu_);
    body_.stop(on);
    return {true, on ? "stopping" : "released"};
  }

  bus::Answer on_dock() {
    truth_.event("dock-service", "");
    std::lock_guard<std::mutex> hold(mu_);
    if (!o_.has_dock) return {false, "this robot has no dock"};
    body_.dock(o_.dock, o_.dock_speed);
    return {true, "on the way"};
  }

  const Options& o_;
  Truth& truth_;
  bus::Bus& node_;
  FaultBoard faults_;
  std::unique_ptr<bus::Publisher<bus::Odometry>> odom_pub_;
  std::unique_ptr<bus::Publisher<bus::PoseWithCovarianceStamped>> pose_pub_;
  std::unique_ptr<bus::Publisher<bus::TFMessage>> tf_pub_;
  std::unique_ptr<bus::Publisher<bus::JointState>> joints_pub_;
  std::unique_ptr<bus::Publisher<bus::Imu>> imu_pub_;
  std::unique_ptr<bus::Publisher<bus::BatteryState>> battery_pub_;

  std::mutex mu_;  // guards all that follows
  Body body_;
  std::mt19937_64 random_;
  const int64_t start_ns_;
  int64_t steps_ = 0, late_ns_ = 0, lock_ns_ = INT64_MIN / 2;
  double travelled_ = 0;
  int burst_ = 0;
  bool lock_value_ = false, locked_ = false, was_locked_ = false, was_zero_ = true;
  bool was_nan_ = false;  // the odometry's own thread alone
};

}  // namespace
}  // namespace plant

int main(int argc, char** argv) {
  try {
    const auto where = bus::take_options(argc, argv, "/plant");
    const plant::Options options = plant::parse({argv + 1, argv + argc});
    plant::Truth truth(options.truth);
    auto node = bus::open(where);
    plant::Robot robot(options, truth, *node);
    robot.connect();
    robot.run();
    node.reset();  // before the robot that it calls
  } catch (const std::exception& e) {
    std::cerr << "plant: " << e.what() << std::endl;
    return 2;
  }
}
