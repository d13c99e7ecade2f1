// A subscriber that counts: what came of a numbered stream, and lines for a test to read.
//
//   ddssub_fast --topic=/odom --type=odometry --count=1000
//
// ready <boot ns>                    it is on the bus
// matched <writers> <boot ns>        whenever that changes
// sample <number> <writer's GUID> <digest of the content> <boot ns>      with --each=on
// first <number> <boot ns>           at the first sample
// done received=<n> first=<n> last=<n> missing=<n> disordered=<n> wrong=<n> writers=<n> digest=<hex>
//
// It ends after --count samples, --idle seconds without one after the first, or on a signal. Missing are the numbers
// between the first and the last that never came, disordered those that came after a higher one or twice.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "count.hpp"

namespace {

std::string hex(const std::array<uint8_t, 16>& g) {
  std::string out;
  char two[3];
  for (auto b : g) std::snprintf(two, sizeof two, "%02x", b), out += two;
  return out;
}

struct Tally {
  long received = 0, first = 0, last = 0, disordered = 0, wrong = 0;
  uint64_t digest = count::fnv_start;
  std::set<std::string> writers;
};

template <class M>
int run(std::unique_ptr<bus::Bus> b, const count::Arguments& a) {
  std::mutex mu;
  Tally t;
  std::atomic<int64_t> newest{0};
  const bool each = a.on("each");
  const auto on_sample = [&](const M& m, const bus::Origin& from) {
    const long n = count::number(m);
    const int64_t now = count::boot_ns();
    std::lock_guard<std::mutex> hold(mu);
    uint64_t own = count::fnv_start;
    if (!count::right(m, own)) t.wrong++;
    t.digest = count::fnv(t.digest, &own, sizeof own);
    t.writers.insert(hex(from.writer));
    if (t.received++ == 0) {
      t.first = n;
      std::printf("first %ld %lld\n", n, static_cast<long long>(now));
    } else if (n <= t.last) {
      t.disordered++;
    }
    t.last = std::max(t.last, n);
    if (each)
      std::printf("sample %ld %s %016llx %lld\n", n, hex(from.writer).c_str(), static_cast<unsigned long long>(own),
                  static_cast<long long>(now));
    newest = now;
  };
  b->subscribe(a.text("topic"), bus::Handler<M>(on_sample),
              {a.on("reliable"), a.on("latched"), static_cast<int>(a.whole("depth"))}, [](int matched) {
                std::printf("matched %d %lld\n", matched, static_cast<long long>(count::boot_ns()));
              });
  b->start();
  std::printf("ready %lld\n", static_cast<long long>(count::boot_ns()));
  const long count = a.whole("count");
  const auto idle = static_cast<int64_t>(a.number("idle") * 1e9);
  const auto over = [&] {
    std::lock_guard<std::mutex> hold(mu);
    return (count > 0 && t.received >= count) || (idle > 0 && t.received > 0 && count::boot_ns() - newest > idle);
  };
  while (b->ok() && !over()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  b.reset();  // nobody counts any more
  const long span = t.received == 0 ? 0 : t.last - t.first + 1;
  std::printf("done received=%ld first=%ld last=%ld missing=%ld disordered=%ld wrong=%ld writers=%zu digest=%016llx\n",
              t.received, t.first, t.last, span - (t.received - t.disordered), t.disordered, t.wrong, t.writers.size(),
              static_cast<unsigned long long>(t.digest));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto options = bus::take_options(argc, argv, "/ddssub");
    const count::Arguments a(argc, argv, {{"topic", "/odom"}, {"type", "odometry"}, {"count", "0"}, {"idle", "0"},
                                          {"reliable", "on"}, {"latched", "off"}, {"depth", "10"}, {"each", "off"}});
    auto b = bus::open(options);
    return count::with(a.text("type"), [&](auto* m) { return run<std::remove_pointer_t<decltype(m)>>(std::move(b), a); });
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ddssub: %s\n", e.what());
    return 2;
  }
}
