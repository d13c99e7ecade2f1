/* Writes down what is on a DDS domain, serialised as it came: the part of a recorder that listens, in C on CycloneDDS. It asks
   nobody what there is to record: each writer that is announced is listened to, with the reliability and durability that it
   offers, if its type is one of those below.

     ddsrecord <domain> <address> <file>

   The file may be a pipe. It holds, little-endian and without padding, for each topic
     u8 1, u16 number, u16 length, topic as on the wire, u16 length, type as on the wire
   and for each sample
     u8 2, u16 number, i64 received and i64 sent in nanoseconds since the Unix epoch, u32 length, CDR with its header.
   It writes "recording <topic>" for each topic, and ends in order by SIGTERM. */
#include <dds/dds.h>
#include <dds/ddsi/ddsi_serdata.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ros2.h"

static const dds_topic_descriptor_t* const types[] = {
    &std_msgs_msg_dds__String__desc,     &std_msgs_msg_dds__Bool__desc,          &geometry_msgs_msg_dds__Twist__desc,
    &geometry_msgs_msg_dds__PoseWithCovarianceStamped__desc,                     &nav_msgs_msg_dds__Odometry__desc,
    &tf2_msgs_msg_dds__TFMessage__desc,  &sensor_msgs_msg_dds__JointState__desc, &sensor_msgs_msg_dds__Imu__desc,
    &sensor_msgs_msg_dds__BatteryState__desc,
};

static volatile sig_atomic_t stop_asked = 0;
static void on_signal(int sig) {
  (void)sig;
  stop_asked = 1;
}

static FILE* out;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static dds_entity_t need(dds_entity_t e, const char* what) {
  if (e < 0) {
    fprintf(stderr, "ddsrecord: %s: %s\n", what, dds_strretcode(-e));
    exit(2);
  }
  return e;
}

static void put(const void* data, size_t size) {
  if (size > 0 && fwrite(data, size, 1, out) != 1) {
    perror("ddsrecord: write");
    _exit(2);
  }
}
static void put16(size_t v) {
  const uint16_t x = (uint16_t)v;
  put(&x, sizeof x);
}

enum { most_topics = 64, most_samples = 16 };
static struct channel {
  uint16_t number;
  char* topic;
} channels[most_topics];
static int recorded = 0;

static void on_data(dds_entity_t reader, void* arg) {
  const struct channel* c = arg;
  for (;;) {
    struct ddsi_serdata* samples[most_samples] = {0};
    dds_sample_info_t infos[most_samples];
    const int n = dds_takecdr(reader, samples, most_samples, infos, DDS_ANY_STATE);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t received = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    for (int i = 0; i < n; i++) {
      if (infos[i].valid_data) {
        const uint32_t size = ddsi_serdata_size(samples[i]);
        void* data = malloc(size);
        if (!data) abort();
        ddsi_serdata_to_ser(samples[i], 0, size, data);
        const int64_t sent = infos[i].source_timestamp;
        pthread_mutex_lock(&writing);
        put("\x02", 1);
        put16(c->number);
        put(&received, sizeof received);
        put(&sent, sizeof sent);
        put(&size, sizeof size);
        put(data, size);
        fflush(out);
        pthread_mutex_unlock(&writing);
        free(data);
      }
      ddsi_serdata_unref(samples[i]);
    }
    if (n < most_samples) return;
  }
}

/* record begins with a topic, as its writer offers it. */
static void record(dds_entity_t participant, const dds_builtintopic_endpoint_t* w) {
  const dds_topic_descriptor_t* type = NULL;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i]->m_typename, w->type_name) == 0) type = types[i];
  for (int i = 0; i < recorded; i++)
    if (strcmp(channels[i].topic, w->topic_name) == 0) return;
  if (!type || recorded == most_topics) return;
  struct channel* c = &channels[recorded];
  c->number = (uint16_t)++recorded;
  c->topic = strdup(w->topic_name);
  pthread_mutex_lock(&writing);
  put("\x01", 1);
  put16(c->number);
  put16(strlen(w->topic_name));
  put(w->topic_name, strlen(w->topic_name));
  put16(strlen(w->type_name));
  put(w->type_name, strlen(w->type_name));
  fflush(out);
  pthread_mutex_unlock(&writing);

  dds_reliability_kind_t reliable = DDS_RELIABILITY_BEST_EFFORT;
  dds_durability_kind_t durable = DDS_DURABILITY_VOLATILE;
  dds_duration_t block = 0;
  dds_qget_reliability(w->qos, &reliable, &block);
  dds_qget_durability(w->qos, &durable);
  dds_qos_t* qos = dds_create_qos();
  dds_qset_reliability(qos, reliable, DDS_INFINITY);
  dds_qset_durability(qos, durable);
  dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, DDS_LENGTH_UNLIMITED);
  dds_listener_t* listener = dds_create_listener(c);
  dds_lset_data_available(listener, on_data);
  const dds_entity_t topic = need(dds_create_topic(participant, type, w->topic_name, NULL, NULL), w->topic_name);
  need(dds_create_reader(participant, topic, qos, listener), w->topic_name);
  dds_delete_listener(listener);
  dds_delete_qos(qos);
  printf("recording %s\n", w->topic_name);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: ddsrecord <domain> <address> <file>\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  out = fopen(argv[3], "w");
  if (!out) {
    perror(argv[3]);
    return 2;
  }
  const dds_domainid_t domain = (dds_domainid_t)atoi(argv[1]);
  char config[512];
  snprintf(config, sizeof config,
           "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface address=\"%s\" multicast=\"true\"/>"
           "</Interfaces></General></Domain></CycloneDDS>", argv[2]);
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  need(dds_create_domain(domain, config), "domain");
  const dds_entity_t participant = need(dds_create_participant(domain, NULL, NULL), "participant");
  const dds_entity_t writers = need(dds_create_reader(participant, DDS_BUILTIN_TOPIC_DCPSPUBLICATION, NULL, NULL), "writers");
  puts("ready");
  while (!stop_asked) {
    void* samples[most_samples] = {0};
    dds_sample_info_t infos[most_samples];
    const int n = dds_take(writers, samples, infos, most_samples, most_samples);
    for (int i = 0; i < n; i++)
      if (infos[i].valid_data) record(participant, samples[i]);
    if (n > 0) dds_return_loan(writers, samples, n);
    if (n < most_samples) usleep(5000);
  }
  dds_delete(participant); /* after this no listener runs */
  return fclose(out) == 0 ? 0 : 2;
}
