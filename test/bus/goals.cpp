// Both sides of nav2_msgs/NavigateToPose. The server writes down every goal and every word to cancel, and accepts; the client
// asks for what it reads.
//
//   goals_fast --node=/bt_navigator --serve=/navigate_to_pose [--goals=/guarded/navigate_to_pose] [--answers=2]
//   goals_fast --node=/fleet --ask=/navigate_to_pose      on standard input: x y frame [tree [times]]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

namespace {

std::string hex(const std::array<uint8_t, 16>& id) {
  std::string out;
  for (const auto b : id) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", b);
    out += two;
  }
  return out;
}

std::string text(const bus::Goal& g) {
  char where[64];
  std::snprintf(where, sizeof where, "%.17g %.17g", g.pose[0], g.pose[1]);
  return hex(g.id) + " " + where + " '" + g.frame + "' '" + g.tree.substr(0, 40) + "'";
}

void serve(bus::Bus& node, const std::string& action, const std::string& goals, int answers) {
  node.serve_goals(goals, [=](const bus::Goal& g, const auto& answer) {
    std::printf("goal %s\n", text(g).c_str());
    for (int i = 0; i < answers; i++) answer(true);
  });
  node.serve_cancel(action, [](const auto& id) { std::printf("cancel %s\n", hex(id).c_str()); });
  node.start();
  std::printf("up\n");
  while (node.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void ask(bus::Bus& node, const std::string& action) {
  auto to = node.asker(action);
  node.start();
  while (node.ok() && !to->ready()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::printf("up\n");
  uint64_t asked = 0;
  for (std::string line; node.ok() && std::getline(std::cin, line);) {
    std::istringstream words(line);
    bus::Goal g;
    int times = 1;
    std::string x, y;
    words >> x >> y >> g.frame >> g.tree >> times;
    g.pose = {std::strtod(x.c_str(), nullptr), std::strtod(y.c_str(), nullptr), 0, 0, 0, 0, 1};
    if (g.tree == "-") g.tree.clear();
    std::map<std::string, int> got;
    for (int i = 0; i < times; i++) {
      for (size_t b = 0; b < 8; b++) g.id[b] = static_cast<uint8_t>((asked + 1) >> (8 * b));
      asked++;
      const auto a = to->ask(g, 8);
      got[a ? *a ? "accepted" : "refused" : "silence"]++;
      if (times == 1) std::printf("asked %s: %s\n", text(g).c_str(), a ? *a ? "accepted" : "refused" : "silence");
    }
    if (times > 1)
      std::printf("asked %d times: accepted %d refused %d silence %d\n", times, got["accepted"], got["refused"], got["silence"]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/goals");
    std::map<std::string, std::string> o{{"--answers", "1"}};
    for (int i = 1; i < argc; i++) {
      const std::string arg = argv[i];
      const auto eq = arg.find('=');
      if (eq == std::string::npos) throw std::invalid_argument("'" + arg + "'");
      o[arg.substr(0, eq)] = arg.substr(eq + 1);
    }
    auto node = bus::open(where);
    if (o.count("--serve")) {
      serve(*node, o["--serve"], o.count("--goals") ? o["--goals"] : o["--serve"], std::stoi(o["--answers"]));
    } else {
      ask(*node, o.at("--ask"));
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "goals: %s\n", e.what());
    return 2;
  }
}
