// Says on a topic, as std_msgs/String, each line that it reads; \n and \\ in it stand for a new line and for \.
//
//   say_cyclone --node=/courier --topic=/plant/fault
//
// It writes "matched <readers>" whenever that changes, and "said <n>" after each line, once readers have acknowledged it.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

namespace {

std::string plain(const std::string& line) {
  std::string out;
  for (size_t i = 0; i < line.size(); i++) {
    const bool escaped = line[i] == '\\' && i + 1 < line.size();
    if (escaped) i++;
    out += escaped && line[i] == 'n' ? '\n' : line[i];
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/say");
    const std::string key = "--topic=";
    if (argc != 2 || std::string(argv[1]).rfind(key, 0) != 0) throw std::invalid_argument("expected --topic=/name");
    auto node = bus::open(where);
    auto pub = node->advertise<bus::String>(argv[1] + key.size());
    node->start();
    std::atomic<bool> done{false};
    std::thread watch([&] {
      for (int matched = 0; !done; std::this_thread::sleep_for(std::chrono::milliseconds(2)))
        if (const int n = pub->readers(); n != matched) std::printf("matched %d\n", matched = n);
    });
    int said = 0;
    for (std::string line; node->ok() && std::getline(std::cin, line);) {
      pub->publish({plain(line)});
      pub->flush(0.5);
      std::printf("said %d\n", ++said);
    }
    done = true;
    watch.join();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "say: %s\n", e.what());
    return 2;
  }
}
