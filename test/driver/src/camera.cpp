// A camera's driver in a test: while it records it has a device file open and streams sensor_msgs/CameraInfo at 20 Hz, and it has a
// service by which it is asked to be private.
//
//   camera_ros --node=/camera --device=/dev/shm/camera
//
// It reads lines: "obey" makes it do as it is asked, "lie" makes it say that it does and go on recording. It writes "asked <0 or 1>
// <CLOCK_BOOTTIME in ns>" when it is asked, and "will <line>" once it has understood.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bus.hpp"

namespace {

class Camera {
 public:
  explicit Camera(std::string device) : device_(std::move(device)) {
    if (!hold(true)) throw std::runtime_error(device_ + ": cannot be opened");
  }

  bool records() const { return records_; }

  bus::Answer ask(bool is_private) {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    if (obeys_) {
      records_ = !is_private;
      hold(!is_private);
    }
    std::printf("asked %d %lld\n", is_private ? 1 : 0, now.tv_sec * 1000000000LL + now.tv_nsec);
    return {true, is_private ? "closed" : "open"};
  }

  bool tell(const std::string& line) {
    if (line != "obey" && line != "lie") return false;
    obeys_ = line == "obey";
    return true;
  }

 private:
  bool hold(bool open) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!open && file_ >= 0) {
      ::close(file_);
      file_ = -1;
    } else if (open && file_ < 0) {
      file_ = ::open(device_.c_str(), O_RDONLY | O_CLOEXEC);
    }
    return (file_ >= 0) == open;
  }

  const std::string device_;
  std::mutex mu_;
  int file_ = -1;
  std::atomic<bool> records_{true}, obeys_{true};
};

void stream(bus::Bus& node, bus::Publisher<bus::CameraInfo>& out, const Camera& camera, const std::atomic<bool>& done) {
  bus::CameraInfo m;
  m.header.frame_id = "camera";
  m.height = 480;
  m.width = 640;
  m.distortion_model = "plumb_bob";
  m.d.assign(5, 0);
  m.k = {500, 0, 320, 0, 500, 240, 0, 0, 1};
  m.r = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  m.p = {500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0};
  for (; node.ok() && !done; std::this_thread::sleep_for(std::chrono::milliseconds(50)))
    if (camera.records()) out.publish(m);
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const auto where = bus::take_options(argc, argv, "/camera");
    const std::string key = "--device=";
    if (argc != 2 || std::string(argv[1]).rfind(key, 0) != 0) throw std::invalid_argument("expected --device=/dev/…");
    Camera camera(argv[1] + key.size());
    auto node = bus::open(where);
    auto out = node->advertise<bus::CameraInfo>("/camera/camera_info");
    node->serve_set_bool("/camera/private", [&](bool is_private) { return camera.ask(is_private); });
    node->start();
    std::atomic<bool> done{false};
    std::thread streaming([&] { stream(*node, *out, camera, done); });
    std::puts("camera ready");
    for (std::string line; node->ok() && std::getline(std::cin, line);)
      if (camera.tell(line)) std::printf("will %s\n", line.c_str());
    done = true;
    streaming.join();
    out.reset();
    node.reset();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "camera: %s\n", e.what());
    return 2;
  }
}
