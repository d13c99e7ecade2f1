// The bus over Fast DDS's C++ API, as rmw_fastrtps uses it.
#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/Topic.hpp>
#include <fastdds/rtps/common/WriteParams.h>
#include <fastdds/rtps/transport/UDPv4TransportDescriptor.h>
#include <fastrtps/utils/IPLocator.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <stdexcept>
#include <thread>

#include "rmw.hpp"
#include "ros2PubSubTypes.h"
#include "services_fastPubSubTypes.h"

#define BUS_MEMBER(value, name) (value).name##_()
#include "convert.hpp"

namespace bus {
namespace {

namespace dds = eprosima::fastdds::dds;
namespace rtps = eprosima::fastrtps::rtps;

// Wire names a message's type in C++ and how it is written.
template <class M>
struct Wire;
#define FAST_WIRE(M, package)                        \
  template <>                                        \
  struct Wire<M> {                                   \
    using Type = package::msg::dds_::M##_;           \
    using Support = package::msg::dds_::M##_PubSubType; \
  };
BUS_TYPES(FAST_WIRE)

template <class T>
T* need(T* p, const std::string& what) {
  if (!p) throw std::runtime_error(what + ": not made");
  return p;
}

std::vector<rtps::octet> octets(const std::string& text) { return {text.begin(), text.end()}; }

rmw::Gid gid(const rtps::GUID_t& g) {
  rmw::Gid out;
  std::copy(g.guidPrefix.value, g.guidPrefix.value + 12, out.begin());
  std::copy(g.entityId.value, g.entityId.value + 4, out.begin() + 12);
  return out;
}

// fill sets what readers and writers have in common.
template <class Q>
void fill(Q& out, const Qos& q, const std::string& user_data) {
  out.reliability().kind = q.reliable ? dds::RELIABLE_RELIABILITY_QOS : dds::BEST_EFFORT_RELIABILITY_QOS;
  out.durability().kind = q.latched ? dds::TRANSIENT_LOCAL_DURABILITY_QOS : dds::VOLATILE_DURABILITY_QOS;
  out.history().kind = q.depth == 0 ? dds::KEEP_ALL_HISTORY_QOS : dds::KEEP_LAST_HISTORY_QOS;
  if (q.depth > 0) out.history().depth = q.depth;
  // Room for what is kept; the default of 5000 samples in 10 instances would refuse more.
  out.resource_limits().max_samples = q.depth == 0 ? 200000 : std::max(5000, q.depth);
  out.resource_limits().max_instances = 1;
  out.resource_limits().max_samples_per_instance = out.resource_limits().max_samples;
  out.resource_limits().allocated_samples = 0;
  out.endpoint().history_memory_policy = rtps::PREALLOCATED_WITH_REALLOC_MEMORY_MODE;
  out.data_sharing().off();
  out.user_data().data_vec(octets(user_data));
}

dds::DomainParticipantQos participant_qos(const Options& o) {
  dds::DomainParticipantQos q = dds::PARTICIPANT_QOS_DEFAULT;
  q.name(o.enclave);
  // rmw_fastrtps sends the text's terminating zero too.
  if (o.named) q.user_data().data_vec(octets("enclave=" + o.enclave + ";" + '\0'));
  auto& builtin = q.wire_protocol().builtin;
  builtin.readerHistoryMemoryPolicy = builtin.writerHistoryMemoryPolicy = rtps::PREALLOCATED_WITH_REALLOC_MEMORY_MODE;
  if (o.lease_s > 0) {
    builtin.discovery_config.leaseDuration = eprosima::fastrtps::Duration_t(o.lease_s);
    builtin.discovery_config.leaseDuration_announcementperiod = eprosima::fastrtps::Duration_t(o.lease_s / 3);
  }
  if (o.transport == "udp") {
    auto udp = std::make_shared<eprosima::fastdds::rtps::UDPv4TransportDescriptor>();
    udp->interfaceWhiteList.push_back(o.host);
    udp->maxInitialPeersRange = 32;
    q.transport().use_builtin_transports = false;
    q.transport().user_transports.push_back(udp);
  }
  auto peer = [&](const std::string& host) {
    rtps::Locator_t l;
    rtps::IPLocator::setIPv4(l, host);
    builtin.initialPeersList.push_back(l);
  };
  if (!o.multicast) {
    // As rmw_fastrtps does for ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST: an empty unicast locator keeps it from multicast.
    builtin.metatrafficMulticastLocatorList.clear();
    builtin.metatrafficUnicastLocatorList.push_back(rtps::Locator_t());
    peer(o.host);
  } else if (!o.peers.empty()) {
    peer("239.255.0.1");
  }
  for (const auto& p : rmw::peers(o.peers)) peer(p);
  return q;
}

template <class M>
class FastPublisher : public Publisher<M> {
 public:
  explicit FastPublisher(dds::DataWriter* writer) : writer_(writer) {}
  bool publish(const M& m) override {
    typename Wire<M>::Type w;
    to(w, m);
    return writer_->write(&w);
  }
  int readers() override {
    dds::PublicationMatchedStatus s;
    writer_->get_publication_matched_status(s);
    return s.current_count;
  }
  bool flush(double limit_s) override {
    return writer_->wait_for_acknowledgments(eprosima::fastrtps::Duration_t(limit_s)) == ReturnCode_t::RETCODE_OK;
  }

 private:
  dds::DataWriter* writer_;
};

class Fast : public Bus {
 public:
  explicit Fast(const Options& o) : o_(o) {
    rmw::catch_signals();
    factory_ = dds::DomainParticipantFactory::get_instance();
    participant_ = need(factory_->create_participant(static_cast<uint32_t>(o.domain), participant_qos(o)), "participant");
    publisher_ = need(participant_->create_publisher(dds::PUBLISHER_QOS_DEFAULT), "publisher");
    subscriber_ = need(participant_->create_subscriber(dds::SUBSCRIBER_QOS_DEFAULT), "subscriber");
    if (!o.named) return;
    auto* info = topic_of<rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_PubSubType>(rmw::discovery_topic);
    const Qos kept{true, true, 1};
    info_ = writer_on(info, kept, "");
    reader_on(info, kept, "");
  }

  ~Fast() override {
    ending_ = true;
    for (auto& t : threads_) t.join();
    participant_->delete_contained_entities();
    factory_->delete_participant(participant_);
  }

  bool ok() const override { return !rmw::stopping() && !ending_; }

  void start() override {
    if (!o_.named) return;
    rmw_dds_common::msg::dds_::NodeEntitiesInfo_ node;
    rmw::split(o_.node, node.node_namespace_(), node.node_name_());
    for (const auto& g : entities_.readers) node.reader_gid_seq_().emplace_back().data_(g);
    for (const auto& g : entities_.writers) node.writer_gid_seq_().emplace_back().data_(g);
    rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_ all;
    all.gid_().data_(gid(participant_->guid()));
    all.node_entities_info_seq_().push_back(node);
    if (!info_->write(&all)) throw std::runtime_error("write ros_discovery_info");
  }

#define FAST_TYPE(M, package)                                                                              \
  void subscribe(const std::string& topic, const Handler<M>& handler, const Qos& qos,                      \
                 const std::function<void(int)>& on_match) override {                                      \
    auto* r = reader(topic_of<Wire<M>::Support>(rmw::topic(topic)), qos, hash<M>());                       \
    threads_.emplace_back([=] { read<M>(r, handler, on_match); });                                         \
  }                                                                                                        \
  std::unique_ptr<Publisher<M>> make(M*, const std::string& topic, const Qos& qos) override {              \
    return std::make_unique<FastPublisher<M>>(writer(topic_of<Wire<M>::Support>(rmw::topic(topic)), qos, hash<M>())); \
  }
  BUS_TYPES(FAST_TYPE)

  void serve_set_bool(const std::string& name, const std::function<Answer(bool)>& f) override {
    using namespace std_srvs::srv::dds_;
    serve<SetBool_Request_, SetBool_Request_PubSubType, SetBool_Response_, SetBool_Response_PubSubType>(
        name, [](const SetBool_Request_& q) { return q.data_(); }, [f](bool on, auto& out, const auto& send) { reply(f(on), out, send); });
  }
  void serve_trigger(const std::string& name, const std::function<Answer()>& f) override {
    using namespace std_srvs::srv::dds_;
    serve<Trigger_Request_, Trigger_Request_PubSubType, Trigger_Response_, Trigger_Response_PubSubType>(
        name, [](const Trigger_Request_&) { return 0; }, [f](int, auto& out, const auto& send) { reply(f(), out, send); });
  }
  void serve_goals(const std::string& action, const std::function<void(const Goal&, const std::function<void(bool)>&)>& f) override {
    using namespace nav2_msgs::action::dds_;
    serve<NavigateToPose_SendGoal_Request_, NavigateToPose_SendGoal_Request_PubSubType, NavigateToPose_SendGoal_Response_,
          NavigateToPose_SendGoal_Response_PubSubType>(
        action + "/_action/send_goal",
        [](const NavigateToPose_SendGoal_Request_& q) {
          Goal g;
          g.id = q.id_(), g.frame = q.frame_id_(), g.pose = q.pose_(), g.tree = q.behavior_tree_();
          g.stamp.sec = q.sec_(), g.stamp.nanosec = q.nanosec_();
          return g;
        },
        [f](const Goal& g, auto& out, const auto& send) {
          f(g, [&](bool accepted) {
            out.accepted_(accepted), out.sec_(7), out.nanosec_(8);
            send();
          });
        });
  }
  void serve_cancel(const std::string& action, const std::function<void(const std::array<uint8_t, 16>&)>& f) override {
    using namespace action_msgs::srv::dds_;
    serve<CancelGoal_Request_, CancelGoal_Request_PubSubType, CancelGoal_Response_, CancelGoal_Response_PubSubType>(
        action + "/_action/cancel_goal", [](const CancelGoal_Request_& q) { return q.id_(); },
        [f](const auto& id, auto&, const auto& send) {
          f(id);
          send();
        });
  }
  std::unique_ptr<Asker> asker(const std::string& action) override;

 private:
  friend class FastAsker;

  template <class Reply, class Send>
  static void reply(const Answer& a, Reply& out, const Send& send) {
    out.success_(a.success);
    out.message_(a.message);
    send();
  }

  template <class M>
  std::string hash() const {
    return o_.named ? rmw::user_data<M>() : "";
  }

  template <class Support>
  dds::Topic* topic_of(const std::string& name) {
    if (const auto it = topics_.find(name); it != topics_.end()) return it->second;
    dds::TypeSupport type(new Support());
    type->auto_fill_type_information(false);
    type->auto_fill_type_object(false);
    type.register_type(participant_);
    return topics_[name] = need(participant_->create_topic(name, type.get_type_name(), dds::TOPIC_QOS_DEFAULT), name);
  }
  dds::DataReader* reader_on(dds::Topic* t, const Qos& q, const std::string& user_data) {
    dds::DataReaderQos out = dds::DATAREADER_QOS_DEFAULT;
    fill(out, q, user_data);
    return need(subscriber_->create_datareader(t, out), "reader of " + t->get_name());
  }
  dds::DataReader* reader(dds::Topic* t, const Qos& q, const std::string& user_data) {
    auto* r = reader_on(t, q, user_data);
    entities_.add_reader(gid(r->guid()));
    return r;
  }
  dds::DataWriter* writer_on(dds::Topic* t, const Qos& q, const std::string& user_data) {
    dds::DataWriterQos out = dds::DATAWRITER_QOS_DEFAULT;
    fill(out, q, user_data);
    out.publish_mode().kind = dds::SYNCHRONOUS_PUBLISH_MODE;  // rmw's default
    return need(publisher_->create_datawriter(t, out), "writer of " + t->get_name());
  }
  dds::DataWriter* writer(dds::Topic* t, const Qos& q, const std::string& user_data) {
    auto* w = writer_on(t, q, user_data);
    entities_.add_writer(gid(w->guid()));
    return w;
  }

  // take hands every sample that comes to f until the program ends; between them it calls idle, ten times a second.
  template <class T, class F, class G>
  void take(dds::DataReader* r, const F& f, const G& idle) {
    while (ok()) {
      r->wait_for_unread_message(eprosima::fastrtps::Duration_t(0.1));
      idle();
      dds::SampleInfo info;
      for (T w; r->take_next_sample(&w, &info) == ReturnCode_t::RETCODE_OK;)
        if (info.valid_data) f(w, info);
    }
  }

  template <class M>
  void read(dds::DataReader* r, const Handler<M>& handler, const std::function<void(int)>& on_match) {
    int matched = 0;
    take<typename Wire<M>::Type>(
        r,
        [&](const auto& w, const dds::SampleInfo& i) {
          M m;
          from(m, w);
          handler(m, Origin{gid(i.sample_identity.writer_guid()), i.source_timestamp.to_ns()});
        },
        [&] {
          dds::SubscriptionMatchedStatus s;
          r->get_subscription_matched_status(s);
          if (s.current_count == matched) return;
          matched = s.current_count;
          if (on_match) on_match(matched);
        });
  }

  // serve answers requests, each on a thread of its own with what was read of it; the reply's related identity is that of the request, or of the client's reader where the
  // request names it.
  template <class Request, class RequestSupport, class Reply, class ReplySupport, class Read, class F>
  void serve(const std::string& name, const Read& read, const F& f) {
    auto* w = writer(topic_of<ReplySupport>(rmw::reply(name)), {}, "");
    auto* r = reader(topic_of<RequestSupport>(rmw::request(name)), {}, "");
    threads_.emplace_back([=] {
      std::vector<std::thread> calls;
      take<Request>(
          r,
          [&](const Request& q, const dds::SampleInfo& i) {
            auto id = i.sample_identity;
            if (i.related_sample_identity.writer_guid() != rtps::GUID_t::unknown())
              id.writer_guid() = i.related_sample_identity.writer_guid();
            calls.emplace_back([w, f, id, in = read(q)] {
              Reply out;
              f(in, out, [&] {
                rtps::WriteParams params;
                params.related_sample_identity(id);
                w->write(&out, params);
              });
            });
          },
          [] {});
      for (auto& c : calls) c.join();
    });
  }

  const Options o_;
  dds::DomainParticipantFactory* factory_ = nullptr;
  dds::DomainParticipant* participant_ = nullptr;
  dds::Publisher* publisher_ = nullptr;
  dds::Subscriber* subscriber_ = nullptr;
  dds::DataWriter* info_ = nullptr;
  std::map<std::string, dds::Topic*> topics_;
  rmw::Entities entities_;
  std::vector<std::thread> threads_;
  std::atomic<bool> ending_{false};
};

// FastAsker names its reader as what each request is related to, and knows its answers by that and the request's number.
class FastAsker : public Asker {
  using Request = nav2_msgs::action::dds_::NavigateToPose_SendGoal_Request_;
  using Reply = nav2_msgs::action::dds_::NavigateToPose_SendGoal_Response_;

 public:
  FastAsker(Fast& bus, const std::string& action) {
    using namespace nav2_msgs::action::dds_;
    const std::string name = action + "/_action/send_goal";
    writer_ = bus.writer(bus.topic_of<NavigateToPose_SendGoal_Request_PubSubType>(rmw::request(name)), {}, "");
    reader_ = bus.reader(bus.topic_of<NavigateToPose_SendGoal_Response_PubSubType>(rmw::reply(name)), {}, "");
  }
  bool ready() override {
    dds::PublicationMatchedStatus w;
    dds::SubscriptionMatchedStatus r;
    writer_->get_publication_matched_status(w);
    reader_->get_subscription_matched_status(r);
    return w.current_count > 0 && r.current_count > 0;
  }
  std::optional<bool> ask(const Goal& g, double limit_s) override {
    Request q;
    q.id_(g.id), q.frame_id_(g.frame), q.pose_(g.pose), q.behavior_tree_(g.tree);
    q.sec_(g.stamp.sec), q.nanosec_(g.stamp.nanosec);
    rtps::SampleIdentity who;
    who.writer_guid(reader_->guid());
    rtps::WriteParams params;
    params.related_sample_identity(who);
    if (!writer_->write(&q, params)) return {};
    const auto number = params.sample_identity().sequence_number();
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
    for (; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      dds::SampleInfo info;
      for (Reply a; reader_->take_next_sample(&a, &info) == ReturnCode_t::RETCODE_OK;) {
        const auto& of = info.related_sample_identity;
        if (info.valid_data && of.writer_guid() == reader_->guid() && of.sequence_number() == number) return a.accepted_();
      }
    }
    return {};
  }

 private:
  dds::DataWriter* writer_;
  dds::DataReader* reader_;
};

std::unique_ptr<Asker> Fast::asker(const std::string& action) { return std::make_unique<FastAsker>(*this, action); }

}  // namespace

std::unique_ptr<Bus> open(const Options& o) { return std::make_unique<Fast>(o); }

}  // namespace bus
