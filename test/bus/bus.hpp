// One node on a robot's bus, whichever bus that is: a program is written once and linked with roscpp, CycloneDDS or
// Fast DDS (roscpp.cpp, cyclone.cpp, fast.cpp). On DDS the node looks like one of rmw's: its user data, type hashes, the
// names of topics, types and services, and ros_discovery_info.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "messages.hpp"

namespace bus {

struct Qos {
  bool reliable = true;
  bool latched = false;  // late joiners get the last samples
  int depth = 10;        // samples kept; 0: all that a reader has not acknowledged
};

// Options say which bus and which node. ROS 1 takes the master from its environment and needs the name only.
struct Options {
  std::string node;               // the name on the graph, such as "/plant"
  int domain = 0;                 // DDS domain
  std::string host = "127.0.0.1"; // address of the one interface to use
  bool multicast = true;          // false: unicast probing of the host and of the peers only
  std::string peers;              // more hosts to probe, separated by commas
  std::string transport = "udp";  // Fast DDS: "default" is shared memory and UDP on all interfaces
  std::string enclave = "/";      // in the participant's user data
  double lease_s = 0;             // of the participant; 0: the vendor's default
  bool named = true;              // false: raw DDS without rmw's data about nodes
};

// take_options removes the options above (--node=, --domain=, --host=, --multicast=on|off, --peers=, --transport=,
// --enclave=, --lease=, --named=on|off) from the arguments. It throws std::invalid_argument.
Options take_options(int& argc, char** argv, const std::string& node);

// Origin is who sent a sample, and when by its own clock: the writer's GUID, zero where the bus has none.
struct Origin {
  std::array<uint8_t, 16> writer{};
  int64_t stamp_ns = 0;
};

template <class M>
using Handler = std::function<void(const M&, const Origin&)>;

template <class M>
class Publisher {
 public:
  virtual ~Publisher() = default;
  // publish returns false when the bus refused the sample.
  virtual bool publish(const M& message) = 0;
  virtual int readers() = 0;
  // flush waits until all readers have acknowledged everything, where the bus knows of acknowledgements.
  virtual bool flush(double limit_s) = 0;
};

struct Answer {
  bool success = false;
  std::string message;
};

// Goal is a request to nav2_msgs/NavigateToPose: where to, x y z and the quaternion's x y z w, and by which behaviour tree.
struct Goal {
  std::array<uint8_t, 16> id{};
  Time stamp;
  std::string frame;
  std::array<double, 7> pose{};
  std::string tree;
};

// Asker is a client of send_goal.
class Asker {
 public:
  virtual ~Asker() = default;
  // ready is true once there is a server, both ways.
  virtual bool ready() = 0;
  // ask returns whether the goal is accepted, nothing if nobody says so within the limit.
  virtual std::optional<bool> ask(const Goal& goal, double limit_s) = 0;
};

class Bus {
 public:
  virtual ~Bus() = default;

  template <class M>
  std::unique_ptr<Publisher<M>> advertise(const std::string& topic, const Qos& qos = {}) {
    return make(static_cast<M*>(nullptr), topic, qos);
  }

  // subscribe calls the handler on a thread that only this subscription has. The second form is told of readers and
  // writers that come and go: matched is how many there are.
#define BUS_VIRTUALS(M, package)                                                                        \
  virtual void subscribe(const std::string& topic, const Handler<M>& handler, const Qos& qos = {},      \
                         const std::function<void(int matched)>& on_match = {}) = 0;
  BUS_TYPES(BUS_VIRTUALS)
#undef BUS_VIRTUALS

  // serve answers each request on a thread of its own, so that one that hangs holds up nothing.
  virtual void serve_set_bool(const std::string& name, const std::function<Answer(bool)>& f) = 0;
  virtual void serve_trigger(const std::string& name, const std::function<Answer()>& f) = 0;

  // serve_goals answers send_goal of an action, by calling answer as often as it likes; serve_cancel takes the id of whatever
  // is to be cancelled, zeros for everything, and answers that it is. Only DDS has these.
  virtual void serve_goals(const std::string&, const std::function<void(const Goal&, const std::function<void(bool)>& answer)>&) {
    throw std::logic_error("no actions on this bus");
  }
  virtual void serve_cancel(const std::string&, const std::function<void(const std::array<uint8_t, 16>&)>&) {
    throw std::logic_error("no actions on this bus");
  }
  virtual std::unique_ptr<Asker> asker(const std::string&) { throw std::logic_error("no actions on this bus"); }

  // start says on the graph which topics the node has; call it once everything is advertised and subscribed to.
  virtual void start() = 0;
  // ok is false as soon as the program shall end.
  virtual bool ok() const = 0;

 protected:
#define BUS_VIRTUALS(M, package) \
  virtual std::unique_ptr<Publisher<M>> make(M*, const std::string& topic, const Qos& qos) = 0;
  BUS_TYPES(BUS_VIRTUALS)
#undef BUS_VIRTUALS
};

// open joins the bus that the program was linked with.
std::unique_ptr<Bus> open(const Options& options);

}  // namespace bus
