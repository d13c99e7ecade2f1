// An operator's desk for tests on DDS: answers the guard's heartbeat challenges, rightly or, on request, wrongly. The same
// as operator_node.py, which is the desk on ROS 1 and says in its head what both sides send.
//
//   desk_cyclone --robot=acme/runner-1 --endpoint=operator --key-file=key
//
// Faults come as std_msgs/String on <node>/fault: silent, wrong_key, delayed SECONDS, duplicated, frozen, wrong_boot,
// garbage, level ok|stop, clear.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bus.hpp"

namespace {

using Key = std::vector<unsigned char>;

struct Options {
  std::string robot, endpoint, key_file, challenges = "/robowarden/challenge", answers = "/robowarden/answer";
};

Options parse(int argc, char** argv) {
  Options o;
  const std::map<std::string, std::string*> texts = {{"--robot", &o.robot}, {"--endpoint", &o.endpoint}, {"--key-file", &o.key_file},
                                                     {"--challenges", &o.challenges}, {"--answers", &o.answers}};
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto eq = arg.find('=');
    const auto it = eq == std::string::npos ? texts.end() : texts.find(arg.substr(0, eq));
    if (it == texts.end()) throw std::invalid_argument("'" + arg + "': expected --key=value with a known key");
    *it->second = arg.substr(eq + 1);
  }
  if (o.robot.empty() || o.endpoint.empty()) throw std::invalid_argument("--robot and --endpoint: expected both");
  return o;
}

Key read_key(const std::string& path) {
  std::ifstream in(path);
  std::string text;
  if (!(in >> text) || text.size() % 2) throw std::runtime_error("--key-file: expected hexadecimal digits in '" + path + "'");
  Key key;
  for (size_t i = 0; i < text.size(); i += 2) key.push_back(static_cast<unsigned char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return key;
}

std::string hmac(const Key& key, const std::vector<std::string>& words) {
  std::string text = "robowarden/heartbeat/v1";
  for (const auto& w : words) text += '\0' + w;
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &n);
  std::string hex;
  char two[3];
  for (unsigned int i = 0; i < n; i++) std::snprintf(two, sizeof two, "%02x", out[i]), hex += two;
  return hex;
}

class Desk {
 public:
  Desk(const Options& o, bus::Bus& node, const std::string& name) : o_(o), key_(read_key(o.key_file)) {
    pub_ = node.advertise<bus::String>(o.answers);
    node.subscribe(o.challenges, bus::Handler<bus::String>([this](const bus::String& m, const bus::Origin&) { on_challenge(m.data); }));
    node.subscribe(name + "/fault", bus::Handler<bus::String>([this](const bus::String& m, const bus::Origin&) { on_fault(m.data); }));
    node.start();
  }
  // finish waits for answers that are held back.
  void finish() {
    std::lock_guard<std::mutex> hold(mu_);
    for (auto& t : late_) t.join();
    late_.clear();
    fault_ = "silent";
  }

 private:
  void on_fault(const std::string& line) {
    static const std::set<std::string> plain = {"silent", "wrong_key", "duplicated", "frozen", "wrong_boot", "garbage"};
    std::istringstream in(line);
    std::string word, rest;
    in >> word >> rest;
    {
      std::lock_guard<std::mutex> hold(mu_);
      if (word == "level" && (rest == "ok" || rest == "stop")) {
        level_ = rest;
      } else if (word == "clear") {
        fault_.clear(), delay_s_ = 0, level_ = "ok";
      } else if (word == "delayed" && !rest.empty()) {
        fault_ = word, delay_s_ = std::stod(rest);
      } else if (plain.count(word)) {
        fault_ = word;
      } else {
        std::printf("operator unknown fault: %s\n", line.c_str());
        return;
      }
    }
    std::printf("operator fault: %s\n", line.c_str());
  }

  void on_challenge(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> w;
    for (std::string word; in >> word;) w.push_back(word);
    if (w.size() != 7 || w[0] != "rw1" || w[1] != "challenge" || w[2] != o_.robot || w[4] != o_.endpoint) return;
    std::lock_guard<std::mutex> hold(mu_);
    if (fault_ == "silent") return;
    // A desk checks in at stop before it lets the robot run.
    const std::string level = w[6] == "away" ? "stop" : level_;
    const Key wrong(32, 0);
    const std::string boot = fault_ == "wrong_boot" ? std::string(32, '0') : w[3];
    std::string answer = "rw1 answer " + w[4] + " " + w[5] + " " + level + " " +
                         hmac(fault_ == "wrong_key" ? wrong : key_, {w[2], boot, w[4], w[5], level});
    if (fault_ == "frozen" && !last_.empty()) answer = last_;
    if (fault_ == "garbage") answer = "rw1 answer " + w[4] + " " + w[5].substr(0, 7) + " ok\x01\xff";
    last_ = answer;
    if (fault_ == "delayed") {
      late_.emplace_back([this, answer, s = delay_s_] {
        std::this_thread::sleep_for(std::chrono::duration<double>(s));
        pub_->publish({answer});
      });
      return;
    }
    pub_->publish({answer});
    if (fault_ == "duplicated") pub_->publish({answer});
  }

  const Options o_;
  const Key key_;
  std::unique_ptr<bus::Publisher<bus::String>> pub_;
  std::mutex mu_;  // guards all that follows
  std::string level_ = "ok", fault_, last_;
  double delay_s_ = 0;
  std::vector<std::thread> late_;
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/operator");
    const Options o = parse(argc, argv);
    auto node = bus::open(where);
    Desk desk(o, *node, where.node);
    std::puts("operator ready");
    while (node->ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    desk.finish();
    node.reset();  // before the desk that it calls
  } catch (const std::exception& e) {
    std::fprintf(stderr, "desk: %s\n", e.what());
    return 2;
  }
}
