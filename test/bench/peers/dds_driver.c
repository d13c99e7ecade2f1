/* The benchmark's driver on DDS: sends numbered Twists on one topic and notes when they come back on another, in C on
   CycloneDDS, in the listener, so that as little as can be of what is measured is its own. Its node is /bench_driver.

     bench_dds_driver <domain> <address> <in topic> <out topic> [<in topic> <out topic>]...

   "ready" says that every lane, which is a pair of topics, has found who is between them. Then it reads lines

     visit <lane> <rate in hertz> <messages> <file>

   and answers "visited <times so far> sent=<n> stray=<n> took_ns=<n>". The file has two 64-bit numbers for each message:
   when it was sent, and how long it took, in nanoseconds, 0 for one that is not back. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "dds.h"

enum { max_lanes = 16, max_messages = 1 << 20 };

typedef geometry_msgs_msg_dds__Twist_ Twist;

struct lane {
  dds_entity_t writer, reader;
  _Atomic int64_t *sent, *took; /* by number, from 1 */
  _Atomic long back, stray;
};
static struct lane lanes[max_lanes];
static int lane_count;

/* A command's number is hidden in its speed: a whole number of steps above a base, small enough that no sane limit clips
   it, and exact in a double. */
static const double id_base = 0.0625, id_step = 1.0 / (1 << 30);

static long number(const Twist* m) {
  const double steps = (m->linear_.x_ - id_base) / id_step;
  if (!(steps >= 1 && steps < max_messages)) return 0;
  const long n = (long)steps;
  return (double)n == steps ? n : 0;
}

static void on_data(dds_entity_t reader, void* arg) {
  struct lane* l = arg;
  const int64_t now = now_ns();
  void* samples[8] = {0};
  dds_sample_info_t infos[8];
  for (int n; (n = dds_take(reader, samples, infos, 8, 8)) > 0;) {
    for (int i = 0; i < n; i++) {
      if (!infos[i].valid_data) continue;
      const long id = number(samples[i]);
      if (id == 0 || l->sent[id] == 0 || l->took[id] != 0) {
        l->stray++;
        continue;
      }
      l->took[id] = now - l->sent[id];
      l->back++;
    }
    dds_return_loan(reader, samples, n);
    samples[0] = NULL;
  }
}

static void send(struct lane* l, long id) {
  Twist m = {0};
  m.linear_.x_ = id_base + (double)id * id_step;
  l->sent[id] = now_ns();
  need(dds_write(l->writer, &m), "write");
}

static void sleep_until(int64_t ns) {
  const struct timespec due = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0) {
  }
}

/* settle waits until all messages are back, or until none has come for a while. */
static void settle(const struct lane* l, long count) {
  for (long before = -1; l->back != count && l->back != before;) {
    before = l->back;
    sleep_until(now_ns() + 50000000);
  }
}

static void visit(struct lane* l, double rate, long count, const char* file) {
  static int visits = 0;
  for (long id = 0; id < max_messages && (id == 0 || l->sent[id] != 0); id++) l->sent[id] = l->took[id] = 0;
  l->back = l->stray = 0;
  const int64_t begin = now_ns();
  for (long i = 0; i < count; i++) {
    sleep_until(begin + (int64_t)((double)i / rate * 1e9));
    send(l, i + 1);
  }
  const int64_t took = now_ns() - begin;
  settle(l, count);
  FILE* f = fopen(file, "wb");
  if (!f) {
    perror(file);
    exit(2);
  }
  for (long id = 1; id <= count; id++) {
    const int64_t both[2] = {l->sent[id], l->took[id]};
    fwrite(both, sizeof both, 1, f);
  }
  if (fclose(f) != 0) {
    perror(file);
    exit(2);
  }
  printf("visited %d sent=%ld stray=%ld took_ns=%lld\n", ++visits, count, (long)l->stray, (long long)took);
}

/* introduce tells on the graph that the endpoints belong to the node /bench_driver, as rmw does. */
static void introduce(dds_entity_t participant) {
  dds_qos_t* qos = dds_create_qos();
  dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_INFINITY);
  dds_qset_durability(qos, DDS_DURABILITY_TRANSIENT_LOCAL);
  const dds_entity_t topic = need(dds_create_topic(participant, &rmw_dds_common_msg_dds__ParticipantEntitiesInfo__desc,
                                                   "ros_discovery_info", NULL, NULL), "ros_discovery_info");
  const dds_entity_t writer = need(dds_create_writer(participant, topic, qos, NULL), "ros_discovery_info");
  dds_delete_qos(qos);
  rmw_dds_common_msg_dds__Gid_ readers[max_lanes], writers[max_lanes];
  dds_guid_t g;
  for (int i = 0; i < lane_count; i++) {
    need(dds_get_guid(lanes[i].reader, &g), "guid");
    memcpy(readers[i].data_, g.v, 16);
    need(dds_get_guid(lanes[i].writer, &g), "guid");
    memcpy(writers[i].data_, g.v, 16);
  }
  rmw_dds_common_msg_dds__NodeEntitiesInfo_ node = {.node_namespace_ = "/", .node_name_ = "bench_driver"};
  node.reader_gid_seq_._buffer = readers;
  node.writer_gid_seq_._buffer = writers;
  node.reader_gid_seq_._length = node.reader_gid_seq_._maximum = (uint32_t)lane_count;
  node.writer_gid_seq_._length = node.writer_gid_seq_._maximum = (uint32_t)lane_count;
  rmw_dds_common_msg_dds__ParticipantEntitiesInfo_ all = {0};
  need(dds_get_guid(participant, &g), "guid");
  memcpy(all.gid_.data_, g.v, 16);
  all.node_entities_info_seq_._buffer = &node;
  all.node_entities_info_seq_._length = all.node_entities_info_seq_._maximum = 1;
  need(dds_write(writer, &all), "ros_discovery_info");
}

static int matched(const struct lane* l) {
  dds_publication_matched_status_t p;
  dds_subscription_matched_status_t s;
  return dds_get_publication_matched_status(l->writer, &p) == DDS_RETCODE_OK && p.current_count > 0 &&
         dds_get_subscription_matched_status(l->reader, &s) == DDS_RETCODE_OK && s.current_count > 0;
}

int main(int argc, char** argv) {
  program = argv[0];
  if (argc < 5 || argc % 2 == 0 || (argc - 3) / 2 > max_lanes) {
    fprintf(stderr, "usage: %s <domain> <address> <in topic> <out topic> [<in topic> <out topic>]...\n", program);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  const dds_entity_t participant = join(argv[1], argv[2]);
  dds_qos_t* qos = reliable_qos();
  for (int i = 3; i < argc; i += 2) {
    struct lane* l = &lanes[lane_count++];
    l->sent = calloc(max_messages, sizeof *l->sent);
    l->took = calloc(max_messages, sizeof *l->took);
    if (!l->sent || !l->took) return 2;
    const dds_topic_descriptor_t* twist = &geometry_msgs_msg_dds__Twist__desc;
    l->writer = need(dds_create_writer(participant, topic_of(participant, twist, argv[i]), qos, NULL), "writer");
    dds_listener_t* listener = dds_create_listener(l);
    dds_lset_data_available(listener, on_data);
    l->reader = need(dds_create_reader(participant, topic_of(participant, twist, argv[i + 1]), qos, listener), "reader");
  }
  introduce(participant);
  for (int i = 0; i < lane_count; i++)
    while (!matched(&lanes[i])) sleep_until(now_ns() + 2000000);
  puts("ready");
  int lane;
  double rate;
  long count;
  char file[512];
  while (scanf(" visit %d %lf %ld %511s", &lane, &rate, &count, file) == 4) {
    if (lane < 0 || lane >= lane_count || !(rate > 0) || count < 1 || count >= max_messages) {
      fprintf(stderr, "%s: visit %d %g %ld: out of bounds\n", program, lane, rate, count);
      return 2;
    }
    visit(&lanes[lane], rate, count, file);
  }
  dds_delete(participant);
  return 0;
}
