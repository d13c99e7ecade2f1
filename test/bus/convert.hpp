// Conversions between the peers' messages and those of one bus. Whoever includes this says before how a member of the
// bus's type is reached, by BUS_MEMBER(value, name), and how its strings and sequences are filled, where they are not
// those of the standard library.
#pragma once

#include <type_traits>

#include "messages.hpp"

namespace bus {

template <class W, class N, class = std::enable_if_t<std::is_arithmetic_v<W> && std::is_arithmetic_v<N>>>
void to(W& w, const N& n) {
  w = static_cast<W>(n);
}
template <class W, class N, class = std::enable_if_t<std::is_arithmetic_v<W> && std::is_arithmetic_v<N>>>
void from(N& n, const W& w) {
  n = static_cast<N>(w);
}

inline void to(std::string& w, const std::string& n) { w = n; }
inline void from(std::string& n, const std::string& w) { n = w; }

template <class W, class N, size_t size>
void to(W& w, const std::array<N, size>& n) {
  for (size_t i = 0; i < size; i++) to(w[i], n[i]);
}
template <class W, class N, size_t size>
void from(std::array<N, size>& n, const W& w) {
  for (size_t i = 0; i < size; i++) from(n[i], w[i]);
}

template <class W, class N>
void to(std::vector<W>& w, const std::vector<N>& n) {
  w.resize(n.size());
  for (size_t i = 0; i < n.size(); i++) to(w[i], n[i]);
}
template <class W, class N>
void from(std::vector<N>& n, const std::vector<W>& w) {
  n.resize(w.size());
  for (size_t i = 0; i < w.size(); i++) from(n[i], w[i]);
}

#define BUS_TO(f) to(BUS_MEMBER(w, f), n.f);
#define BUS_FROM(f) from(n.f, BUS_MEMBER(w, f));
#define BUS_CONVERT(M)            \
  template <class W>              \
  void to(W& w, const M& n) {     \
    BUS_FIELDS_##M(BUS_TO)        \
  }                               \
  template <class W>              \
  void from(M& n, const W& w) {   \
    BUS_FIELDS_##M(BUS_FROM)      \
  }
BUS_STRUCTS(BUS_CONVERT)

}  // namespace bus
