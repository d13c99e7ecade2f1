// A commander for tests on DDS: sends one velocity over and over in envelopes, as agent/envelope/ENVELOPE.md has them. The
// same as commander_node.py, which is the commander on ROS 1.
//
//   commander_cyclone --key=planner --key-file=planner.key --vx=0.5
//
// Faults come as std_msgs/String on <node>/fault: replay (the last envelope again and again), wrong_key, flip (one bit of
// the command), deaf (it answers no newer challenge), silent, clear. And on DDS alone: keep (of what it sends, from now on,
// rightly, it keeps twenty envelopes) and kept (those again and again).
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bus.hpp"

namespace {

using Bytes = std::vector<uint8_t>;

struct Options {
  std::string key, key_file, topic = "/cmd_vel_raw", vx = "0.5";
};

Options parse(int argc, char** argv) {
  Options o;
  const std::map<std::string, std::string*> texts = {
      {"--key", &o.key}, {"--key-file", &o.key_file}, {"--topic", &o.topic}, {"--vx", &o.vx}};
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto eq = arg.find('=');
    const auto it = eq == std::string::npos ? texts.end() : texts.find(arg.substr(0, eq));
    if (it == texts.end()) throw std::invalid_argument("'" + arg + "': expected --key=value with a known key");
    *it->second = arg.substr(eq + 1);
  }
  if (o.key.empty()) throw std::invalid_argument("--key: expected the key's name");
  return o;
}

Bytes from_hex(const std::string& text) {
  if (text.size() % 2) throw std::runtime_error("expected hexadecimal digits, found '" + text + "'");
  Bytes out;
  for (size_t i = 0; i < text.size(); i += 2) out.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return out;
}

Bytes read_key(const std::string& path) {
  std::ifstream in(path);
  std::string text;
  if (!(in >> text)) throw std::runtime_error("--key-file: nothing in '" + path + "'");
  return from_hex(text);
}

void append(Bytes& out, const void* p, size_t n) {
  const auto* b = static_cast<const uint8_t*>(p);
  out.insert(out.end(), b, b + n);
}
void append(Bytes& out, const Bytes& b) { out.insert(out.end(), b.begin(), b.end()); }

// append_little writes an integer or a double in little-endian order, whatever this computer's is.
template <class T>
void append_little(Bytes& out, T v) {
  uint64_t bits = 0;
  static_assert(sizeof v == 8);
  std::memcpy(&bits, &v, 8);
  for (int i = 0; i < 8; i++) out.push_back(static_cast<uint8_t>(bits >> (8 * i)));
}

void append_tag(Bytes& out, const std::string& name) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(name.data()), name.size(), digest);
  append(out, digest, 8);
}

// twist is a geometry_msgs/Twist in little-endian CDR, with its encapsulation.
Bytes twist(double vx) {
  Bytes out = {0, 1, 0, 0};
  append_little(out, vx);
  for (int i = 0; i < 5; i++) append_little(out, 0.0);
  return out;
}

class Commander {
 public:
  Commander(const Options& o, bus::Bus& node, const std::string& name)
      : o_(o), key_(read_key(o.key_file)), body_(twist(std::stod(o.vx))), pub_(node.advertise<bus::UInt8MultiArray>(o.topic)) {
    node.subscribe(o.topic + "/robowarden_challenge",
                   bus::Handler<bus::String>([this](const bus::String& m, const bus::Origin&) { on_challenge(m.data); }));
    node.subscribe(name + "/fault", bus::Handler<bus::String>([this](const bus::String& m, const bus::Origin&) { on_fault(m.data); }));
    node.start();
  }

  void send() {
    bus::UInt8MultiArray m;
    {
      std::lock_guard<std::mutex> hold(mu_);
      if (challenge_.empty() || fault_ == "silent") return;
      m.data = seal();
      if (fault_ == "replay" && !last_.empty()) m.data = last_;
      if (fault_ == "flip") m.data[110] ^= 1;
      if (fault_ == "keep" && kept_.size() < 20) kept_.push_back(m.data);
      if (fault_ == "kept" && !kept_.empty()) m.data = kept_[next_++ % kept_.size()];
      last_ = m.data;
    }
    pub_->publish(m);
  }

 private:
  void on_fault(const std::string& line) {
    {
      std::lock_guard<std::mutex> hold(mu_);
      fault_ = line == "clear" ? "" : line;
      if (line == "keep") kept_.clear();
    }
    std::printf("commander fault: %s\n", line.c_str());
  }

  void on_challenge(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> w;
    for (std::string word; in >> word;) w.push_back(word);
    if (w.size() != 6 || w[0] != "rw1" || w[1] != "command-challenge" || w[4] != o_.topic) return;
    std::lock_guard<std::mutex> hold(mu_);
    const Bytes challenge = from_hex(w[5]);
    if (fault_ == "deaf" || challenge == challenge_) return;
    robot_ = w[2], boot_ = from_hex(w[3]), challenge_ = challenge, seq_ = 0;
  }

  // The caller holds mu_.
  Bytes seal() {
    Bytes head = {'R', 'W', 'E', '1', 1, 0, 0, 0};
    append_little(head, ++seq_);
    append(head, boot_);
    append(head, challenge_);
    append_tag(head, robot_);
    append_tag(head, o_.topic);
    append_tag(head, o_.key);
    Bytes covered;
    for (const std::string& word : {std::string("robowarden/command/v1"), robot_, o_.topic, std::string("geometry_msgs/Twist")}) {
      append(covered, word.data(), word.size());
      covered.push_back(0);
    }
    append(covered, head);
    append(covered, body_);
    const Bytes key = fault_ == "wrong_key" ? Bytes(32, 0) : key_;
    uint8_t code[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), covered.data(), covered.size(), code, &n);
    append(head, code, n);
    append(head, body_);
    return head;
  }

  const Options o_;
  const Bytes key_, body_;
  std::unique_ptr<bus::Publisher<bus::UInt8MultiArray>> pub_;
  std::mutex mu_;  // guards all that follows
  std::string robot_, fault_;
  Bytes boot_, challenge_, last_;
  std::vector<Bytes> kept_;
  size_t next_ = 0;
  uint64_t seq_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/planner");
    const Options o = parse(argc, argv);
    auto node = bus::open(where);
    Commander commander(o, *node, where.node);
    std::puts("commander ready");
    for (auto next = std::chrono::steady_clock::now(); node->ok();) {
      commander.send();
      std::this_thread::sleep_until(next += std::chrono::milliseconds(20));
    }
    node.reset();  // before the commander that it calls
  } catch (const std::exception& e) {
    std::fprintf(stderr, "commander: %s\n", e.what());
    return 2;
  }
}
