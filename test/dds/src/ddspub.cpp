// A publisher that counts: numbered samples of one type at a steady rate, and lines for a test to read.
//
//   ddspub_cyclone --topic=/odom --type=odometry --count=1000 --rate=1000 --wait=1
//
// ready <boot ns>                    it is on the bus
// matched <readers> <boot ns>        whenever that changes
// sent <n>                           at the end, before it waits for acknowledgements
// done <n> acknowledged|unacknowledged
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "count.hpp"

namespace {

using Clock = std::chrono::steady_clock;

template <class M>
int run(bus::Bus& b, const count::Arguments& a) {
  auto p = b.advertise<M>(a.text("topic"), {a.on("reliable"), a.on("latched"), static_cast<int>(a.whole("depth"))});
  b.start();
  std::printf("ready %lld\n", static_cast<long long>(count::boot_ns()));
  int matched = 0;
  const auto look = [&] {
    const int n = p->readers();
    if (n != matched) std::printf("matched %d %lld\n", n, static_cast<long long>(count::boot_ns()));
    return matched = n;
  };
  while (b.ok() && look() < a.whole("wait")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  // The reader's side may need a moment longer to match; what a volatile reader missed is not the writer's fault.
  std::this_thread::sleep_for(std::chrono::duration<double>(a.number("settle")));
  const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / a.number("rate")));
  const long count = a.whole("count"), first = a.whole("first");
  long sent = 0;
  auto next = Clock::now();
  for (; b.ok() && (count == 0 || sent < count); sent++, next += period) {
    std::this_thread::sleep_until(next);
    M m;
    count::make(m, first + sent, static_cast<size_t>(a.whole("size")));
    if (!p->publish(m)) std::printf("refused %ld\n", first + sent);
    look();
  }
  std::printf("sent %ld\n", sent);
  const bool all = p->flush(a.number("flush"));
  std::printf("done %ld %s\n", sent, all ? "acknowledged" : "unacknowledged");
  const auto end = Clock::now() + std::chrono::duration<double>(a.number("linger"));
  while (b.ok() && Clock::now() < end) {
    look();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto options = bus::take_options(argc, argv, "/ddspub");
    const count::Arguments a(argc, argv, {{"topic", "/odom"}, {"type", "odometry"}, {"count", "0"}, {"first", "1"},
                                          {"rate", "50"}, {"size", "0"}, {"reliable", "on"}, {"latched", "off"},
                                          {"depth", "10"}, {"wait", "0"}, {"settle", "0.3"}, {"flush", "10"}, {"linger", "0"}});
    auto b = bus::open(options);
    return count::with(a.text("type"), [&](auto* m) { return run<std::remove_pointer_t<decltype(m)>>(*b, a); });
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ddspub: %s\n", e.what());
    return 2;
  }
}
