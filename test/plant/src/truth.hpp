// The ground truth of a run, written down for the oracle.
#pragma once

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

#include "dynamics.hpp"

namespace plant {

// boot_ns is CLOCK_BOOTTIME, the clock of every time in the truth file.
int64_t boot_ns();

// Truth writes comma-separated rows (see header_line in truth.cpp) and, between them, events: "#time,kind,text".
// Every line is handed to the kernel at once, so that a killed plant leaves a readable file.
class Truth {
 public:
  // An empty path writes nothing. It throws std::runtime_error when the file cannot be made.
  explicit Truth(const std::string& path);
  ~Truth();
  Truth(const Truth&) = delete;
  Truth& operator=(const Truth&) = delete;

  void row(int64_t t_ns, const Body& body);
  void event(const std::string& kind, const std::string& text);

 private:
  std::mutex mu_;
  std::FILE* file_ = nullptr;
};

}  // namespace plant
