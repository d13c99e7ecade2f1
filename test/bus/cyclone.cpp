// The bus over CycloneDDS's C API, as rmw_cyclonedds uses it.
#include <dds/dds.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "rmw.hpp"
#include "ros2.h"
#include "services_cyclone.h"

// How the C types store what the conversions fill.
namespace bus {
inline void to(char*& w, const std::string& n) { w = dds_string_dup(n.c_str()); }
inline void from(std::string& n, char* const& w) { n = w ? w : ""; }
template <class S, class N>
auto to(S& w, const std::vector<N>& n) -> decltype(w._buffer, void());
template <class S, class N>
auto from(std::vector<N>& n, const S& w) -> decltype(w._buffer, void());
}  // namespace bus

#define BUS_MEMBER(value, name) (value).name##_
#include "convert.hpp"

namespace bus {

template <class S, class N>
auto to(S& w, const std::vector<N>& n) -> decltype(w._buffer, void()) {
  w._length = w._maximum = static_cast<uint32_t>(n.size());
  w._release = true;
  w._buffer = static_cast<decltype(w._buffer)>(dds_alloc(n.size() * sizeof *w._buffer));
  for (size_t i = 0; i < n.size(); i++) to(w._buffer[i], n[i]);
}

template <class S, class N>
auto from(std::vector<N>& n, const S& w) -> decltype(w._buffer, void()) {
  n.resize(w._length);
  for (size_t i = 0; i < n.size(); i++) from(n[i], w._buffer[i]);
}

namespace {

// Wire names a message's type in C and its description.
template <class M>
struct Wire;
#define CYCLONE_WIRE(M, package)                                                                              \
  template <>                                                                                                 \
  struct Wire<M> {                                                                                            \
    using Type = package##_msg_dds__##M##_;                                                                   \
    static const dds_topic_descriptor_t* descriptor() { return &package##_msg_dds__##M##__desc; }             \
  };
BUS_TYPES(CYCLONE_WIRE)

dds_entity_t need(dds_entity_t e, const std::string& what) {
  if (e < 0) throw std::runtime_error(what + ": " + dds_strretcode(-e));
  return e;
}

struct QosDeleter {
  void operator()(dds_qos_t* q) const { dds_delete_qos(q); }
};
using QosPtr = std::unique_ptr<dds_qos_t, QosDeleter>;

QosPtr make_qos(const Qos& q, const std::string& user_data) {
  QosPtr out(dds_create_qos());
  dds_qset_writer_data_lifecycle(out.get(), false);
  const auto history = q.depth == 0 ? DDS_HISTORY_KEEP_ALL : DDS_HISTORY_KEEP_LAST;
  const int depth = q.depth == 0 ? DDS_LENGTH_UNLIMITED : q.depth;
  dds_qset_history(out.get(), history, depth);
  dds_qset_reliability(out.get(), q.reliable ? DDS_RELIABILITY_RELIABLE : DDS_RELIABILITY_BEST_EFFORT, DDS_INFINITY);
  dds_qset_durability(out.get(), q.latched ? DDS_DURABILITY_TRANSIENT_LOCAL : DDS_DURABILITY_VOLATILE);
  if (q.latched)
    dds_qset_durability_service(out.get(), 0, history, depth, DDS_LENGTH_UNLIMITED, DDS_LENGTH_UNLIMITED, DDS_LENGTH_UNLIMITED);
  if (!user_data.empty()) dds_qset_userdata(out.get(), user_data.data(), user_data.size());
  return out;
}

// configuration is what CYCLONEDDS_URI would say.
std::string configuration(const Options& o) {
  std::ostringstream x;
  x << "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface address=\"" << o.host << "\" multicast=\""
    << (o.multicast ? "true" : "false") << "\"/></Interfaces><AllowMulticast>" << (o.multicast ? "true" : "false")
    << "</AllowMulticast></General><Discovery><ParticipantIndex>" << (o.multicast ? "none" : "auto")
    << "</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex><Peers>";
  if (!o.multicast) x << "<Peer address=\"" << o.host << "\"/>";
  for (const auto& p : rmw::peers(o.peers)) x << "<Peer address=\"" << p << "\"/>";
  x << "</Peers>";
  if (o.lease_s > 0) x << "<LeaseDuration>" << o.lease_s << "s</LeaseDuration>";
  x << "</Discovery></Domain></CycloneDDS>";
  return x.str();
}

template <class M>
class CyclonePublisher : public Publisher<M> {
 public:
  explicit CyclonePublisher(dds_entity_t writer) : writer_(writer) {}
  bool publish(const M& m) override {
    typename Wire<M>::Type w = {};
    to(w, m);
    const bool ok = dds_write(writer_, &w) == DDS_RETCODE_OK;
    dds_sample_free(&w, Wire<M>::descriptor(), DDS_FREE_CONTENTS);
    return ok;
  }
  int readers() override {
    dds_publication_matched_status_t s;
    return dds_get_publication_matched_status(writer_, &s) == DDS_RETCODE_OK ? static_cast<int>(s.current_count) : 0;
  }
  bool flush(double limit_s) override {
    return dds_wait_for_acks(writer_, static_cast<dds_duration_t>(limit_s * 1e9)) == DDS_RETCODE_OK;
  }

 private:
  dds_entity_t writer_;
};

class Cyclone : public Bus {
 public:
  explicit Cyclone(const Options& o) : o_(o) {
    rmw::catch_signals();
    need(dds_create_domain(static_cast<dds_domainid_t>(o.domain), configuration(o).c_str()), "domain");
    QosPtr q(dds_create_qos());
    const std::string enclave = "enclave=" + o.enclave + ";";
    if (o.named) dds_qset_userdata(q.get(), enclave.data(), enclave.size());
    participant_ = need(dds_create_participant(static_cast<dds_domainid_t>(o.domain), q.get(), nullptr), "participant");
    if (!o.named) return;
    const auto info = need(dds_create_topic(participant_, &rmw_dds_common_msg_dds__ParticipantEntitiesInfo__desc,
                                            rmw::discovery_topic, nullptr, nullptr), rmw::discovery_topic);
    const Qos kept{true, true, 1};
    info_ = need(dds_create_writer(participant_, info, make_qos(kept, "").get(), nullptr), rmw::discovery_topic);
    need(dds_create_reader(participant_, info, make_qos(kept, "").get(), nullptr), rmw::discovery_topic);
  }

  ~Cyclone() override {
    ending_ = true;
    for (auto& t : threads_) t.join();
    dds_delete(participant_);
  }

  bool ok() const override { return !rmw::stopping() && !ending_; }

  void start() override {
    if (!o_.named) return;
    rmw_dds_common_msg_dds__NodeEntitiesInfo_ node = {};
    std::string space, name;
    rmw::split(o_.node, space, name);
    node.node_namespace_ = space.data();
    node.node_name_ = name.data();
    std::vector<rmw_dds_common_msg_dds__Gid_> readers, writers;
    for (const auto& g : entities_.readers) std::memcpy(readers.emplace_back().data_, g.data(), g.size());
    for (const auto& g : entities_.writers) std::memcpy(writers.emplace_back().data_, g.data(), g.size());
    node.reader_gid_seq_._buffer = readers.data();
    node.reader_gid_seq_._length = node.reader_gid_seq_._maximum = static_cast<uint32_t>(readers.size());
    node.writer_gid_seq_._buffer = writers.data();
    node.writer_gid_seq_._length = node.writer_gid_seq_._maximum = static_cast<uint32_t>(writers.size());
    rmw_dds_common_msg_dds__ParticipantEntitiesInfo_ all = {};
    std::memcpy(all.gid_.data_, gid(participant_).data(), 16);
    all.node_entities_info_seq_._buffer = &node;
    all.node_entities_info_seq_._length = all.node_entities_info_seq_._maximum = 1;
    need(dds_write(info_, &all), "write ros_discovery_info");
  }

#define CYCLONE_TYPE(M, package)                                                                                \
  void subscribe(const std::string& topic, const Handler<M>& handler, const Qos& qos,                           \
                 const std::function<void(int)>& on_match) override {                                           \
    const auto t = topic_of(Wire<M>::descriptor(), rmw::topic(topic));                                          \
    const auto r = reader(t, qos, o_.named ? rmw::user_data<M>() : "");                                         \
    threads_.emplace_back([=] { read<M>(r, handler, on_match); });                                              \
  }                                                                                                             \
  std::unique_ptr<Publisher<M>> make(M*, const std::string& topic, const Qos& qos) override {                   \
    const auto t = topic_of(Wire<M>::descriptor(), rmw::topic(topic));                                          \
    return std::make_unique<CyclonePublisher<M>>(writer(t, qos, o_.named ? rmw::user_data<M>() : ""));          \
  }
  BUS_TYPES(CYCLONE_TYPE)

  void serve_set_bool(const std::string& name, const std::function<Answer(bool)>& f) override {
    serve<std_srvs_srv_dds__SetBool_Request_, std_srvs_srv_dds__SetBool_Response_>(
        name, &std_srvs_srv_dds__SetBool_Request__desc, &std_srvs_srv_dds__SetBool_Response__desc,
        [](const std_srvs_srv_dds__SetBool_Request_& q) { return q.data_; },
        [f](bool on, auto& out, const auto& send) { reply(f(on), out, send); });
  }
  void serve_trigger(const std::string& name, const std::function<Answer()>& f) override {
    serve<std_srvs_srv_dds__Trigger_Request_, std_srvs_srv_dds__Trigger_Response_>(
        name, &std_srvs_srv_dds__Trigger_Request__desc, &std_srvs_srv_dds__Trigger_Response__desc,
        [](const std_srvs_srv_dds__Trigger_Request_&) { return 0; },
        [f](int, auto& out, const auto& send) { reply(f(), out, send); });
  }
  void serve_goals(const std::string& action, const std::function<void(const Goal&, const std::function<void(bool)>&)>& f) override {
    serve<nav2_msgs_action_dds__NavigateToPose_SendGoal_Request_, nav2_msgs_action_dds__NavigateToPose_SendGoal_Response_>(
        action + "/_action/send_goal", &nav2_msgs_action_dds__NavigateToPose_SendGoal_Request__desc,
        &nav2_msgs_action_dds__NavigateToPose_SendGoal_Response__desc,
        [](const nav2_msgs_action_dds__NavigateToPose_SendGoal_Request_& q) {
          Goal g;
          from(g.id, q.id_), from(g.frame, q.frame_id_), from(g.pose, q.pose_), from(g.tree, q.behavior_tree_);
          g.stamp.sec = q.sec_, g.stamp.nanosec = q.nanosec_;
          return g;
        },
        [f](const Goal& g, auto& out, const auto& send) {
          f(g, [&](bool accepted) {
            out.accepted_ = accepted, out.sec_ = 7, out.nanosec_ = 8;
            send();
          });
        });
  }
  void serve_cancel(const std::string& action, const std::function<void(const std::array<uint8_t, 16>&)>& f) override {
    serve<action_msgs_srv_dds__CancelGoal_Request_, action_msgs_srv_dds__CancelGoal_Response_>(
        action + "/_action/cancel_goal", &action_msgs_srv_dds__CancelGoal_Request__desc, &action_msgs_srv_dds__CancelGoal_Response__desc,
        [](const action_msgs_srv_dds__CancelGoal_Request_& q) {
          std::array<uint8_t, 16> id;
          from(id, q.id_);
          return id;
        },
        [f](const auto& id, auto&, const auto& send) {
          f(id);
          send();
        });
  }
  std::unique_ptr<Asker> asker(const std::string& action) override;

 private:
  friend class CycloneAsker;

  template <class Reply, class Send>
  static void reply(const Answer& a, Reply& out, const Send& send) {
    out.success_ = a.success;
    out.message_ = const_cast<char*>(a.message.c_str());
    send();
  }

  static rmw::Gid gid(dds_entity_t e) {
    dds_guid_t g;
    need(dds_get_guid(e, &g), "guid");
    rmw::Gid out;
    std::memcpy(out.data(), g.v, 16);
    return out;
  }

  dds_entity_t topic_of(const dds_topic_descriptor_t* type, const std::string& name) {
    return need(dds_create_topic(participant_, type, name.c_str(), nullptr, nullptr), name);
  }
  dds_entity_t reader(dds_entity_t topic, const Qos& q, const std::string& user_data) {
    const auto r = need(dds_create_reader(participant_, topic, make_qos(q, user_data).get(), nullptr), "reader");
    entities_.add_reader(gid(r));
    return r;
  }
  dds_entity_t writer(dds_entity_t topic, const Qos& q, const std::string& user_data) {
    const auto w = need(dds_create_writer(participant_, topic, make_qos(q, user_data).get(), nullptr), "writer");
    entities_.add_writer(gid(w));
    return w;
  }

  // wait returns when the reader has something to say, and at least ten times a second.
  static void wait(dds_entity_t set) { dds_waitset_wait(set, nullptr, 0, DDS_MSECS(100)); }
  // A status that is waited for has to be taken by whoever waits, or the wait never waits again.
  static dds_entity_t waitset(dds_entity_t participant, dds_entity_t reader, uint32_t status) {
    const auto set = need(dds_create_waitset(participant), "waitset");
    need(dds_set_status_mask(reader, status), "status");
    need(dds_waitset_attach(set, reader, reader), "waitset");
    return set;
  }

  // take hands every sample that is there to f.
  template <class T, class F>
  static void take(dds_entity_t reader, const F& f) {
    constexpr size_t batch = 32;
    void* samples[batch] = {};
    dds_sample_info_t infos[batch];
    for (int n; (n = dds_take(reader, samples, infos, batch, batch)) > 0;) {
      for (int i = 0; i < n; i++)
        if (infos[i].valid_data) f(*static_cast<T*>(samples[i]), infos[i]);
      dds_return_loan(reader, samples, n);
      samples[0] = nullptr;
    }
  }

  template <class M>
  void read(dds_entity_t reader, const Handler<M>& handler, const std::function<void(int)>& on_match) {
    const auto set = waitset(participant_, reader, DDS_DATA_AVAILABLE_STATUS | DDS_SUBSCRIPTION_MATCHED_STATUS);
    std::map<dds_instance_handle_t, rmw::Gid> writers;
    int matched = 0;
    while (ok()) {
      wait(set);
      dds_subscription_matched_status_t s;
      if (dds_get_subscription_matched_status(reader, &s) == DDS_RETCODE_OK && static_cast<int>(s.current_count) != matched) {
        matched = static_cast<int>(s.current_count);
        if (on_match) on_match(matched);
      }
      take<typename Wire<M>::Type>(reader, [&](const auto& w, const dds_sample_info_t& i) {
        M m;
        from(m, w);
        handler(m, Origin{writer_of(reader, i.publication_handle, writers), i.source_timestamp});
      });
    }
  }

  static rmw::Gid writer_of(dds_entity_t reader, dds_instance_handle_t h, std::map<dds_instance_handle_t, rmw::Gid>& known) {
    if (const auto it = known.find(h); it != known.end()) return it->second;
    rmw::Gid g{};
    if (auto* e = dds_get_matched_publication_data(reader, h)) {
      std::memcpy(g.data(), e->key.v, 16);
      dds_builtintopic_free_endpoint(e);
      known[h] = g;
    }
    return g;
  }

  // serve answers requests, each on a thread of its own with what was read of it; the reply repeats the header of its request.
  template <class Request, class Reply, class Read, class F>
  void serve(const std::string& name, const dds_topic_descriptor_t* request, const dds_topic_descriptor_t* reply, const Read& read,
             const F& f) {
    const std::string id = o_.named ? "serviceid=" + std::to_string(++services_) + ";" : "";
    const Qos q;
    const auto w = writer(topic_of(reply, rmw::reply(name)), q, id);
    const auto r = reader(topic_of(request, rmw::request(name)), q, id);
    threads_.emplace_back([=] {
      const auto set = waitset(participant_, r, DDS_DATA_AVAILABLE_STATUS);
      std::vector<std::thread> calls;
      while (ok()) {
        wait(set);
        take<Request>(r, [&](const Request& q, const dds_sample_info_t&) {
          calls.emplace_back([w, f, in = read(q), client = q.client_, sequence = q.sequence_] {
            Reply out = {};
            out.client_ = client, out.sequence_ = sequence;
            f(in, out, [&] { dds_write(w, &out); });
          });
        });
      }
      for (auto& c : calls) c.join();
    });
  }

  const Options o_;
  dds_entity_t participant_ = 0, info_ = 0;
  rmw::Entities entities_;
  std::vector<std::thread> threads_;
  std::atomic<bool> ending_{false};
  int services_ = 0;
};

// CycloneAsker puts its number and the request's in front of each request, and knows its answers by them.
class CycloneAsker : public Asker {
 public:
  CycloneAsker(Cyclone& bus, const std::string& action) : client_(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())) {
    const std::string name = action + "/_action/send_goal", id = "clientid=" + std::to_string(client_) + ";";
    writer_ = bus.writer(bus.topic_of(&nav2_msgs_action_dds__NavigateToPose_SendGoal_Request__desc, rmw::request(name)), {}, id);
    reader_ = bus.reader(bus.topic_of(&nav2_msgs_action_dds__NavigateToPose_SendGoal_Response__desc, rmw::reply(name)), {}, id);
  }
  bool ready() override {
    dds_publication_matched_status_t w;
    dds_subscription_matched_status_t r;
    return dds_get_publication_matched_status(writer_, &w) == DDS_RETCODE_OK && w.current_count > 0 &&
           dds_get_subscription_matched_status(reader_, &r) == DDS_RETCODE_OK && r.current_count > 0;
  }
  std::optional<bool> ask(const Goal& g, double limit_s) override {
    nav2_msgs_action_dds__NavigateToPose_SendGoal_Request_ q = {};
    q.client_ = client_, q.sequence_ = ++sequence_;
    to(q.id_, g.id), to(q.pose_, g.pose);
    q.sec_ = g.stamp.sec, q.nanosec_ = g.stamp.nanosec;
    q.frame_id_ = const_cast<char*>(g.frame.c_str()), q.behavior_tree_ = const_cast<char*>(g.tree.c_str());
    if (dds_write(writer_, &q) != DDS_RETCODE_OK) return {};
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
    for (std::optional<bool> out; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      Cyclone::take<nav2_msgs_action_dds__NavigateToPose_SendGoal_Response_>(reader_, [&](const auto& a, const dds_sample_info_t&) {
        if (a.client_ == client_ && a.sequence_ == sequence_) out = a.accepted_;
      });
      if (out) return out;
    }
    return {};
  }

 private:
  const uint64_t client_;
  int64_t sequence_ = 0;
  dds_entity_t writer_, reader_;
};

std::unique_ptr<Asker> Cyclone::asker(const std::string& action) { return std::make_unique<CycloneAsker>(*this, action); }

}  // namespace

std::unique_ptr<Bus> open(const Options& o) { return std::make_unique<Cyclone>(o); }

}  // namespace bus
