// The bus over roscpp.
#include <ros/callback_queue.h>
#include <ros/ros.h>
#include <ros/spinner.h>

#include <geometry_msgs/PoseStamped.h>
#include <geometry_msgs/PoseWithCovarianceStamped.h>
#include <geometry_msgs/Twist.h>
#include <nav_msgs/Odometry.h>
#include <rosgraph_msgs/Clock.h>
#include <sensor_msgs/BatteryState.h>
#include <sensor_msgs/CameraInfo.h>
#include <sensor_msgs/Image.h>
#include <sensor_msgs/Imu.h>
#include <sensor_msgs/JointState.h>
#include <std_msgs/Bool.h>
#include <std_msgs/Float64MultiArray.h>
#include <std_msgs/String.h>
#include <std_msgs/UInt8MultiArray.h>
#include <std_srvs/SetBool.h>
#include <std_srvs/Trigger.h>
#include <tf2_msgs/TFMessage.h>
#include <trajectory_msgs/JointTrajectory.h>

#include <chrono>
#include <thread>

#include "bus.hpp"

#define BUS_MEMBER(value, name) (value).name
#include "convert.hpp"

namespace bus {

// ROS 1 has times of its own kind.
inline void to(ros::Time& w, const Time& n) {
  w.sec = static_cast<uint32_t>(n.sec);
  w.nsec = n.nanosec;
}
inline void from(Time& n, const ros::Time& w) {
  n.sec = static_cast<int32_t>(w.sec);
  n.nanosec = w.nsec;
}
inline void to(ros::Duration& w, const Duration& n) {
  w.sec = n.sec;
  w.nsec = static_cast<int32_t>(n.nanosec);
}
inline void from(Duration& n, const ros::Duration& w) {
  n.sec = w.sec;
  n.nanosec = static_cast<uint32_t>(w.nsec);
}

// ROS 1 writes the matrices in capitals.
inline void to(sensor_msgs::CameraInfo& w, const CameraInfo& n) {
  to(w.header, n.header);
  to(w.roi, n.roi);
  w.height = n.height;
  w.width = n.width;
  w.distortion_model = n.distortion_model;
  w.binning_x = n.binning_x;
  w.binning_y = n.binning_y;
  w.D = n.d;
  to(w.K, n.k);
  to(w.R, n.r);
  to(w.P, n.p);
}
inline void from(CameraInfo& n, const sensor_msgs::CameraInfo& w) {
  from(n.header, w.header);
  from(n.roi, w.roi);
  n.height = w.height;
  n.width = w.width;
  n.distortion_model = w.distortion_model;
  n.binning_x = w.binning_x;
  n.binning_y = w.binning_y;
  n.d = w.D;
  from(n.k, w.K);
  from(n.r, w.R);
  from(n.p, w.P);
}

namespace {

template <class M>
struct Wire;
#define ROSCPP_WIRE(M, package)  \
  template <>                    \
  struct Wire<M> {               \
    using Type = package::M;     \
  };
BUS_TYPES(ROSCPP_WIRE)

template <class M>
class RosPublisher : public Publisher<M> {
 public:
  explicit RosPublisher(const ros::Publisher& p) : p_(p) {}
  bool publish(const M& m) override {
    typename Wire<M>::Type w;
    to(w, m);
    p_.publish(w);
    return true;
  }
  int readers() override { return static_cast<int>(p_.getNumSubscribers()); }
  bool flush(double) override { return true; }

 private:
  ros::Publisher p_;
};

class Ros : public Bus {
 public:
  explicit Ros(const Options& o) {
    int argc = 0;
    ros::init(argc, nullptr, o.node.substr(o.node.rfind('/') + 1));
    ros::start();
  }
  ~Ros() override {
    for (auto& l : lanes_) l->spinner->stop();
    ros::shutdown();
  }

  bool ok() const override { return ros::ok(); }
  void start() override {
    for (auto& l : lanes_) l->spinner->start();
  }

#define ROSCPP_TYPE(M, package)                                                                      \
  void subscribe(const std::string& topic, const Handler<M>& handler, const Qos& qos,                \
                 const std::function<void(int)>&) override {                                         \
    using W = Wire<M>::Type;                                                                         \
    const boost::function<void(const boost::shared_ptr<const W>&)> f = [handler](const auto& w) {    \
      M m;                                                                                           \
      from(m, *w);                                                                                   \
      handler(m, Origin{});                                                                          \
    };                                                                                               \
    subscribers_.push_back(lane(1).subscribe<W>(topic, qos.depth, f, {}, ros::TransportHints().tcpNoDelay())); \
  }                                                                                                  \
  std::unique_ptr<Publisher<M>> make(M*, const std::string& topic, const Qos& qos) override {        \
    return std::make_unique<RosPublisher<M>>(ros::NodeHandle().advertise<Wire<M>::Type>(topic, qos.depth, qos.latched)); \
  }
  BUS_TYPES(ROSCPP_TYPE)

  void serve_set_bool(const std::string& name, const std::function<Answer(bool)>& f) override {
    serve<std_srvs::SetBool>(name, [f](const std_srvs::SetBool::Request& q) { return f(q.data); });
  }
  void serve_trigger(const std::string& name, const std::function<Answer()>& f) override {
    serve<std_srvs::Trigger>(name, [f](const std_srvs::Trigger::Request&) { return f(); });
  }

 private:
  // Lane is a queue with threads of its own.
  struct Lane {
    ros::CallbackQueue queue;
    ros::NodeHandle handle;
    std::unique_ptr<ros::AsyncSpinner> spinner;
  };

  ros::NodeHandle& lane(uint32_t threads) {
    auto& l = lanes_.emplace_back(std::make_unique<Lane>());
    l->handle.setCallbackQueue(&l->queue);
    l->spinner = std::make_unique<ros::AsyncSpinner>(threads, &l->queue);
    return l->handle;
  }

  template <class S>
  void serve(const std::string& name, const std::function<Answer(const typename S::Request&)>& f) {
    constexpr uint32_t at_once = 3;
    const boost::function<bool(typename S::Request&, typename S::Response&)> call = [f](auto& q, auto& r) {
      const Answer a = f(q);
      r.success = a.success;
      r.message = a.message;
      return true;
    };
    servers_.push_back(lane(at_once).advertiseService(name, call));
  }

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<ros::Subscriber> subscribers_;
  std::vector<ros::ServiceServer> servers_;
};

}  // namespace

std::unique_ptr<Bus> open(const Options& o) { return std::make_unique<Ros>(o); }

}  // namespace bus
