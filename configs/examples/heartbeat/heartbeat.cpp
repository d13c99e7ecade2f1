// The operator's end of a robowarden heartbeat on ROS 1, as small as it can be: an example to build a desk from.
//
// heartbeat.py beside this file explains the lines. Build it with roscpp and OpenSSL's libcrypto:
//   g++ -O2 -std=c++17 heartbeat.cpp $(pkg-config --cflags --libs roscpp std_msgs libcrypto) -o heartbeat
// Run it where the operator sits, never on the robot:
//   heartbeat acme/runner-1 operator operator.key __name:=operator_console
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <ros/callback_queue.h>
#include <ros/ros.h>
#include <std_msgs/String.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

volatile std::sig_atomic_t stopping = 0;  // from SIGTERM on

void onSignal(int) { stopping = 1; }

std::string hex(const unsigned char* b, size_t n) {
  static const char digits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < n; i++) {
    out += digits[b[i] >> 4];
    out += digits[b[i] & 15];
  }
  return out;
}

// A key of 64 hexadecimal digits; empty if the file does not hold one.
std::string readKey(const char* name) {
  std::string text, key;
  std::ifstream(name) >> text;
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return "";
  for (size_t i = 0; i < text.size(); i += 2) key += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return key;
}

// Answers the challenges of one robot to one endpoint, and of nobody else.
struct Desk {
  std::string robot, endpoint, key, phase;
  bool heard = false;  // the robot says that it has heard the stop
  ros::Publisher answers;

  std::string mac(const std::string& boot, const std::string& challenge, const std::string& level) const {
    const std::string zero(1, '\0');
    const std::string text =
        "robowarden/heartbeat/v1" + zero + robot + zero + boot + zero + endpoint + zero + challenge + zero + level;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum, &n);
    return hex(sum, n);
  }

  void challenged(const std_msgs::String::ConstPtr& message) {
    std::istringstream line(message->data);
    std::vector<std::string> w;
    for (std::string s; line >> s;) w.push_back(s);
    if (w.size() != 7 || w[0] != "rw1" || w[1] != "challenge") return;
    if (w[2] != robot || w[4] != endpoint || w[3].size() != 32 || w[5].size() != 32) return;
    if (w[6] != phase) {
      phase = w[6];
      std::printf("phase %s\n", phase.c_str());
      std::fflush(stdout);
    }
    heard = heard || (stopping && (phase == "stopped" || phase == "away" || phase == "checked-in"));
    const std::string level = phase == "away" || stopping ? "stop" : "ok";  // a check-in is at stop
    std_msgs::String answer;
    answer.data = "rw1 answer " + endpoint + " " + w[5] + " " + level + " " + mac(w[3], w[5], level);
    answers.publish(answer);
  }
};

}  // namespace

int main(int argc, char** argv) {
  ros::init(argc, argv, "operator_console", ros::init_options::NoSigintHandler);
  if (argc != 4) {
    std::fprintf(stderr, "usage: heartbeat MANUFACTURER/SERIAL ENDPOINT KEY-FILE\n");
    return 2;
  }
  Desk desk{argv[1], argv[2], readKey(argv[3]), "", false, {}};
  if (desk.key.empty()) {
    std::fprintf(stderr, "the key file does not hold 64 hexadecimal digits\n");
    return 1;
  }
  std::signal(SIGTERM, onSignal);
  std::signal(SIGINT, onSignal);
  ros::NodeHandle node;
  desk.answers = node.advertise<std_msgs::String>("/robowarden/response", 10);
  const ros::Subscriber challenges =
      node.subscribe("/robowarden/challenge", 10, &Desk::challenged, &desk, ros::TransportHints().tcpNoDelay());
  std::printf("ready\n");
  std::fflush(stdout);
  ros::WallTime until;
  while (ros::ok() && !desk.heard) {
    ros::getGlobalCallbackQueue()->callAvailable(ros::WallDuration(0.05));
    if (stopping && until.isZero()) until = ros::WallTime::now() + ros::WallDuration(5);
    if (stopping && ros::WallTime::now() > until) break;
  }
  std::printf("%s\n", desk.heard ? "stop heard" : "nobody has confirmed the stop");
  return desk.heard ? 0 : 1;
}
