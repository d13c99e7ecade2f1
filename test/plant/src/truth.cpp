#include "truth.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace plant {
namespace {

// Units: ns, m, m, rad, m/s, m/s, rad/s (on the floor, in the robot's frame), the last command received, Flag bits.
constexpr char header_line[] = "t_ns,x,y,yaw,vx,vy,w,cmd_vx,cmd_vy,cmd_w,flags\n";

}  // namespace

int64_t boot_ns() {
  timespec ts;
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return int64_t{ts.tv_sec} * 1000000000 + ts.tv_nsec;
}

Truth::Truth(const std::string& path) {
  if (path.empty()) return;
  file_ = std::fopen(path.c_str(), "w");
  if (!file_) throw std::runtime_error("truth file '" + path + "': " + std::strerror(errno));
  std::setvbuf(file_, nullptr, _IOLBF, 1 << 12);
  std::fputs(header_line, file_);
}

Truth::~Truth() {
  if (file_) std::fclose(file_);
}

void Truth::row(int64_t t_ns, const Body& b) {
  if (!file_) return;
  const Velocity v = b.floor(), c = b.last_command();
  std::lock_guard<std::mutex> hold(mu_);
  std::fprintf(file_, "%lld,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%u\n", static_cast<long long>(t_ns), b.pose().x,
               b.pose().y, b.pose().yaw, v.vx, v.vy, v.w, c.vx, c.vy, c.w, b.flags());
}

void Truth::event(const std::string& kind, const std::string& text) {
  if (!file_) return;
  std::lock_guard<std::mutex> hold(mu_);
  std::fprintf(file_, "#%lld,%s,%s\n", static_cast<long long>(boot_ns()), kind.c_str(), text.c_str());
}

}  // namespace plant
