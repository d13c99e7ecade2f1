// A person at a joystick, for tests: publishes the last command that it has read from its input, 50 times a second.
//
//   hands_cyclone --node=/planner --cmd-topic=/cmd_vel_raw
//
// Each line that it reads is a forward speed in m/s and a yaw rate in rad/s. It begins with zero, and says "hands ready".
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include "bus.hpp"

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/planner");
    const std::string key = "--cmd-topic=";
    if (argc != 2 || std::string(argv[1]).rfind(key, 0) != 0) throw std::invalid_argument("expected --cmd-topic=/name");
    auto node = bus::open(where);
    auto pub = node->advertise<bus::Twist>(argv[1] + key.size());
    node->start();
    std::atomic<double> v{0}, w{0};
    std::atomic<bool> done{false};
    std::thread speak([&] {
      for (auto next = std::chrono::steady_clock::now(); node->ok() && !done; std::this_thread::sleep_until(next)) {
        bus::Twist m;
        m.linear.x = v, m.angular.z = w;
        pub->publish(m);
        next += std::chrono::milliseconds(20);
      }
    });
    std::puts("hands ready");
    for (double a, b; std::cin >> a >> b;) v = a, w = b;
    done = true;
    speak.join();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hands: %s\n", e.what());
    return 2;
  }
}
