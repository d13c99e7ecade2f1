// Measures how long a command needs from /cmd_vel_raw to /cmd_vel through whatever is in between.
//
//   ddspinger_cyclone --count=500 --rate=100
//
// The number of a command is in the last digits of its speed, which nothing in between has a reason to change.
//
// rtt n=<answered> lost=<n> p50_us=<n> p90_us=<n> p99_us=<n> max_us=<n>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "count.hpp"

namespace {

constexpr double speed = 0.2, step = 1e-6;

long number(const bus::Twist& m) { return std::lround((m.linear.x - speed) / step); }

int run(std::unique_ptr<bus::Bus> b, const count::Arguments& a) {
  std::mutex mu;
  std::condition_variable answered;
  long waiting_for = 0;
  int64_t came_ns = 0;
  bool matched = false;
  auto pub = b->advertise<bus::Twist>(a.text("out"));
  b->subscribe(a.text("in"), bus::Handler<bus::Twist>([&](const bus::Twist& m, const bus::Origin&) {
                const int64_t now = count::boot_ns();
                std::lock_guard<std::mutex> hold(mu);
                if (number(m) == waiting_for) came_ns = now, answered.notify_one();
              }), {}, [&](int n) {
                std::lock_guard<std::mutex> hold(mu);
                matched = n > 0;
              });
  b->start();
  const auto there = [&] {
    std::lock_guard<std::mutex> hold(mu);
    return matched && pub->readers() > 0;
  };
  while (b->ok() && !there()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  std::puts("matched");
  std::vector<double> us;
  const long count = a.whole("count");
  const auto pause = std::chrono::duration<double>(1 / a.number("rate"));
  for (long n = 1; n <= count && b->ok(); n++) {
    bus::Twist m;
    m.linear.x = speed + step * static_cast<double>(n);
    std::unique_lock<std::mutex> hold(mu);
    waiting_for = n, came_ns = 0;
    const int64_t sent = count::boot_ns();
    hold.unlock();
    pub->publish(m);
    hold.lock();
    if (answered.wait_for(hold, std::chrono::milliseconds(200), [&] { return came_ns != 0; }))
      us.push_back(static_cast<double>(came_ns - sent) / 1000);
    hold.unlock();
    std::this_thread::sleep_for(pause);
  }
  b.reset();  // nobody answers any more
  std::sort(us.begin(), us.end());
  const auto at = [&](double share) { return us.empty() ? 0 : us[std::min(us.size() - 1, static_cast<size_t>(share * static_cast<double>(us.size())))]; };
  std::printf("rtt n=%zu lost=%ld p50_us=%.0f p90_us=%.0f p99_us=%.0f max_us=%.0f\n", us.size(), count - static_cast<long>(us.size()),
              at(0.5), at(0.9), at(0.99), us.empty() ? 0 : us.back());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto options = bus::take_options(argc, argv, "/planner");
    const count::Arguments a(argc, argv, {{"out", "/cmd_vel_raw"}, {"in", "/cmd_vel"}, {"count", "500"}, {"rate", "100"}});
    auto b = bus::open(options);
    return run(std::move(b), a);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ddspinger: %s\n", e.what());
    return 2;
  }
}
