// What rmw adds to DDS so that a participant is a set of ROS 2 nodes: names of topics and types, user data, and
// ros_discovery_info. Nothing here depends on a vendor.
#pragma once

#include <mutex>
#include <vector>

#include "bus.hpp"

namespace bus::rmw {

using Gid = std::array<uint8_t, 16>;

constexpr char discovery_topic[] = "ros_discovery_info";

inline std::string topic(const std::string& name) { return "rt" + name; }
inline std::string request(const std::string& service) { return "rq" + service + "Request"; }
inline std::string reply(const std::string& service) { return "rr" + service + "Reply"; }

// user_data is that of an endpoint: the type's hash, which older distributions do not send, and more.
template <class M>
std::string user_data();

// split takes a node's full name apart into namespace and name.
void split(const std::string& node, std::string& space, std::string& name);

// Entities collects the endpoints of the one node.
class Entities {
 public:
  void add_reader(const Gid& g) { readers.push_back(g); }
  void add_writer(const Gid& g) { writers.push_back(g); }

  std::vector<Gid> readers, writers;
};

// catch_signals makes SIGTERM and SIGINT end the program in order; stopping says that one came.
void catch_signals();
bool stopping();

// peers splits the option's text.
std::vector<std::string> peers(const std::string& text);

}  // namespace bus::rmw
