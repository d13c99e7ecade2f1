// Writes down what is said on a topic, one "heard <text>" for each std_msgs/String.
//
//   hear_fast --node=/ear --topic=/robowarden/answer
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/hear");
    const std::string key = "--topic=";
    if (argc != 2 || std::string(argv[1]).rfind(key, 0) != 0) throw std::invalid_argument("expected --topic=/name");
    auto node = bus::open(where);
    node->subscribe(
        argv[1] + key.size(), bus::Handler<bus::String>([](const bus::String& m, const bus::Origin&) { std::printf("heard %s\n", m.data.c_str()); }),
        {}, [](int matched) { std::printf("matched %d\n", matched); });
    node->start();
    while (node->ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    node.reset();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hear: %s\n", e.what());
    return 2;
  }
}
