#include <cmath>
#include <map>
#include <stdexcept>

#include "bus.hpp"

namespace bus {
namespace {

bool on_off(const std::string& text) {
  if (text == "on") return true;
  if (text == "off") return false;
  throw std::invalid_argument("expected on or off");
}

}  // namespace

Options take_options(int& argc, char** argv, const std::string& node) {
  Options o;
  o.node = node;
  const std::map<std::string, std::function<void(const std::string&)>> set = {
      {"--node", [&](auto& v) { o.node = v; }},
      {"--domain", [&](auto& v) { o.domain = std::stoi(v); }},
      {"--host", [&](auto& v) { o.host = v; }},
      {"--multicast", [&](auto& v) { o.multicast = on_off(v); }},
      {"--peers", [&](auto& v) { o.peers = v; }},
      {"--transport", [&](auto& v) { o.transport = v; }},
      {"--enclave", [&](auto& v) { o.enclave = v; }},
      {"--lease", [&](auto& v) { o.lease_s = std::stod(v); }},
      {"--named", [&](auto& v) { o.named = on_off(v); }},
  };
  int kept = 1;
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto eq = arg.find('=');
    const auto it = eq == std::string::npos ? set.end() : set.find(arg.substr(0, eq));
    if (it == set.end()) {
      argv[kept++] = argv[i];
      continue;
    }
    try {
      it->second(arg.substr(eq + 1));
    } catch (const std::exception& e) {
      throw std::invalid_argument("'" + arg + "': " + e.what());
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  if (o.node.empty() || o.node[0] != '/') o.node = "/" + o.node;
  return o;
}

}  // namespace bus
