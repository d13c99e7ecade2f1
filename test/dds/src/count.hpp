// Samples that are numbered and whose content anybody can compute: what the counting peers send and check.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

#include "bus.hpp"

namespace count {

// boot_ns is CLOCK_BOOTTIME.
int64_t boot_ns();

// Arguments are --key=value.
class Arguments {
 public:
  Arguments(int argc, char** argv, const std::map<std::string, std::string>& defaults);
  const std::string& text(const std::string& key) const { return values_.at(key); }
  double number(const std::string& key) const { return std::stod(text(key)); }
  long whole(const std::string& key) const { return std::stol(text(key)); }
  bool on(const std::string& key) const { return text(key) == "on"; }

 private:
  std::map<std::string, std::string> values_;
};

// fnv is the 64-bit FNV-1a hash of what the digest has seen and the bytes.
constexpr uint64_t fnv_start = 14695981039346656037u;
uint64_t fnv(uint64_t digest, const void* bytes, size_t n);

// byte_of is the content of sample n at place k.
inline uint8_t byte_of(long n, size_t k) { return static_cast<uint8_t>(k * 7 + static_cast<size_t>(n) * 13 + (k >> 8)); }

// make fills sample n with size bytes of content, where the type has room for that. number and content read it back.
void make(bus::Odometry& m, long n, size_t size);
void make(bus::Twist& m, long n, size_t size);
void make(bus::Clock& m, long n, size_t size);
void make(bus::String& m, long n, size_t size);
void make(bus::Image& m, long n, size_t size);
long number(const bus::Odometry& m);
long number(const bus::Twist& m);
long number(const bus::Clock& m);
long number(const bus::String& m);
long number(const bus::Image& m);
// right says whether all of the content is as make made it.
template <class M>
bool right(const M& m, uint64_t& digest);

// with calls f with a null pointer of the type that the name stands for: odometry, twist, clock, string, image.
template <class F>
int with(const std::string& type, const F& f) {
  if (type == "odometry") return f(static_cast<bus::Odometry*>(nullptr));
  if (type == "twist") return f(static_cast<bus::Twist*>(nullptr));
  if (type == "clock") return f(static_cast<bus::Clock*>(nullptr));
  if (type == "string") return f(static_cast<bus::String*>(nullptr));
  if (type == "image") return f(static_cast<bus::Image*>(nullptr));
  throw std::invalid_argument("--type: expected odometry, twist, clock, string or image");
}

}  // namespace count
