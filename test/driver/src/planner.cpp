// A planner for tests: publishes velocity commands, either the same one over and over or such that the robot visits
// places in turn. It knows nothing of zones and does not mind being slowed down or stopped.
//
//   planner --mode=drive --vx=0.5 --w=0 --duration=10
//   planner --mode=tour --places='3,0;3,4;0,0,5' --speed=1
//
// A place is x,y or x,y,seconds of waiting there. The last line of a tour is "tour done <seconds>". SIGUSR1 lets a drive
// command zero, SIGUSR2 lets it go on; it says so as it begins to, since two signals at once are heard in either order.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bus.hpp"

namespace {

struct Place {
  double x = 0, y = 0, wait_s = 0;
};

struct Options {
  std::string mode = "drive", cmd_topic = "/cmd_vel_raw", odom_topic = "/odom", places;
  double rate_hz = 50, vx = 0, vy = 0, w = 0;
  double duration_s = INFINITY;  // of a drive
  double speed = 1.0, reach_m = 0.25, turn_rate = 1.2;
  double timeout_s = 1800;  // of a tour
  bool final_zero = true;   // end a drive with a zero command
};

Options parse(int argc, char** argv) {
  Options o;
  std::map<std::string, std::string*> texts = {
      {"mode", &o.mode}, {"cmd-topic", &o.cmd_topic}, {"odom-topic", &o.odom_topic}, {"places", &o.places}};
  std::map<std::string, double*> numbers = {
      {"rate", &o.rate_hz}, {"vx", &o.vx}, {"vy", &o.vy}, {"w", &o.w}, {"duration", &o.duration_s},
      {"speed", &o.speed}, {"reach", &o.reach_m}, {"turn-rate", &o.turn_rate}, {"timeout", &o.timeout_s}};
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto eq = arg.find('=');
    const std::string key = arg.rfind("--", 0) == 0 && eq != std::string::npos ? arg.substr(2, eq - 2) : "";
    const std::string value = eq == std::string::npos ? "" : arg.substr(eq + 1);
    if (texts.count(key)) {
      *texts[key] = value;
    } else if (numbers.count(key)) {
      *numbers[key] = std::stod(value);
    } else if (key == "final-zero") {
      o.final_zero = value != "false";
    } else {
      throw std::invalid_argument("'" + arg + "': expected --key=value with a known key");
    }
  }
  if (o.mode != "drive" && o.mode != "tour") throw std::invalid_argument("--mode: expected drive or tour");
  if (!(o.rate_hz > 0)) throw std::invalid_argument("--rate: expected more than 0");
  return o;
}

std::vector<Place> parse_places(const std::string& text) {
  std::vector<Place> places;
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ';');) {
    Place p;
    const int n = std::sscanf(item.c_str(), "%lf,%lf,%lf", &p.x, &p.y, &p.wait_s);
    if (n < 2) throw std::invalid_argument("--places: '" + item + "': expected x,y or x,y,seconds");
    places.push_back(p);
  }
  if (places.empty()) throw std::invalid_argument("--places: expected at least one");
  return places;
}

class Tour {
 public:
  explicit Tour(const Options& o) : o_(o), places_(parse_places(o.places)) {}

  bool done() const { return next_ == places_.size(); }
  bool located() {
    std::lock_guard<std::mutex> hold(mu_);
    return located_;
  }

  void on_odom(const bus::Odometry& m) {
    const auto& p = m.pose.pose;
    std::lock_guard<std::mutex> hold(mu_);
    x_ = p.position.x, y_ = p.position.y;
    yaw_ = 2 * std::atan2(p.orientation.z, p.orientation.w);
    located_ = true;
  }

  // command is what to do at time t (s since the start of the tour).
  bus::Twist command(double t) {
    std::lock_guard<std::mutex> hold(mu_);
    bus::Twist m;
    if (!located_ || done()) return m;
    if (waiting_until_ > 0) {
      if (t < waiting_until_) return m;
      waiting_until_ = 0;
      advance(t);
      if (done()) return m;
    }
    const Place& p = places_[next_];
    const double dx = p.x - x_, dy = p.y - y_, distance = std::hypot(dx, dy);
    if (distance < o_.reach_m) {
      if (p.wait_s > 0) {
        waiting_until_ = t + p.wait_s;
      } else {
        advance(t);
      }
      return m;
    }
    const double turn = std::remainder(std::atan2(dy, dx) - yaw_, 2 * M_PI);
    m.angular.z = std::clamp(2.5 * turn, -o_.turn_rate, o_.turn_rate);
    // Nearly the right way: drive; before that, turn on the spot, as in a corridor.
    if (std::abs(turn) < 0.35) m.linear.x = o_.speed * std::cos(turn) * std::min(1.0, 0.3 + distance);
    return m;
  }

 private:
  void advance(double t) {
    std::printf("place %zu of %zu at %.3f s\n", next_ + 1, places_.size(), t);
    std::fflush(stdout);
    next_++;
  }

  const Options& o_;
  std::vector<Place> places_;
  size_t next_ = 0;
  std::mutex mu_;  // guards all that follows
  double x_ = 0, y_ = 0, yaw_ = 0, waiting_until_ = 0;
  bool located_ = false;
};

using Clock = std::chrono::steady_clock;

// Rate is a steady pace.
class Rate {
 public:
  explicit Rate(double hz) : period_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / hz))) {}
  void sleep() { std::this_thread::sleep_until(next_ += period_); }

 private:
  const Clock::duration period_;
  Clock::time_point next_ = Clock::now();
};

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

volatile std::sig_atomic_t standing = 0;

void on_signal(int number) { standing = number == SIGUSR1; }

int drive(const Options& o, bus::Bus& node, bus::Publisher<bus::Twist>& pub) {
  node.start();
  bus::Twist m;
  m.linear.x = o.vx, m.linear.y = o.vy, m.angular.z = o.w;
  std::puts("planner ready");
  std::fflush(stdout);
  Rate rate(o.rate_hz);
  const auto start = Clock::now();
  bool stood = false;
  while (node.ok() && since(start) < o.duration_s) {
    const bool still = standing;
    pub.publish(still ? bus::Twist() : m);
    if (still != stood) std::puts(still ? "planner stands" : "planner drives"), std::fflush(stdout);
    stood = still;
    rate.sleep();
  }
  if (o.final_zero && node.ok()) {
    for (int i = 0; i < 5; i++) {
      pub.publish({});
      rate.sleep();
    }
  }
  std::puts("drive done");
  return 0;
}

int tour(const Options& o, Tour& t, bus::Bus& node, bus::Publisher<bus::Twist>& pub) {
  node.subscribe(o.odom_topic, bus::Handler<bus::Odometry>([&](const bus::Odometry& m, const bus::Origin&) { t.on_odom(m); }), {true, false, 1});
  node.start();
  Rate rate(o.rate_hz);
  bool under_way = false;
  auto start = Clock::now();
  while (node.ok() && !t.done()) {
    if (!under_way && t.located()) start = Clock::now(), under_way = true;
    const double at = under_way ? since(start) : 0;
    if (at > o.timeout_s) {
      std::printf("tour timeout after %.3f s\n", at);
      return 3;
    }
    pub.publish(t.command(at));
    rate.sleep();
  }
  const double took = since(start);
  for (int i = 0; i < 5 && node.ok(); i++) {
    pub.publish({});
    rate.sleep();
  }
  if (!t.done()) return 1;
  std::printf("tour done %.3f\n", took);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGUSR1, on_signal);
  std::signal(SIGUSR2, on_signal);
  try {
    const auto where = bus::take_options(argc, argv, "/planner");
    const Options o = parse(argc, argv);
    std::unique_ptr<Tour> places;
    if (o.mode == "tour") places = std::make_unique<Tour>(o);
    auto node = bus::open(where);
    auto pub = node->advertise<bus::Twist>(o.cmd_topic);
    const int code = places ? tour(o, *places, *node, *pub) : drive(o, *node, *pub);
    node.reset();  // before the places that it tells of
    return code;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "planner: %s\n", e.what());
    return 2;
  }
}
