/* A relay as simple as it can be: takes rt/cmd_vel_raw and writes what it took to rt/cmd_vel, in C on CycloneDDS, in the
   listener, without a copy. What a gate in between costs is measured beside this.

     ddsrelay <domain> <address> [<in topic> <out topic>]

   It writes "ready" when it is on the bus. Topics are named as on the wire. */
#include <dds/dds.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ros2.h"

static volatile sig_atomic_t stop_asked = 0;
static void on_signal(int sig) {
  (void)sig;
  stop_asked = 1;
}

static dds_entity_t need(dds_entity_t e, const char* what) {
  if (e < 0) {
    fprintf(stderr, "ddsrelay: %s: %s\n", what, dds_strretcode(-e));
    exit(2);
  }
  return e;
}

static void on_data(dds_entity_t reader, void* arg) {
  const dds_entity_t writer = *(dds_entity_t*)arg;
  void* samples[8] = {0};
  dds_sample_info_t infos[8];
  const int n = dds_take(reader, samples, infos, 8, 8);
  if (n <= 0) return;
  for (int i = 0; i < n; i++)
    if (infos[i].valid_data) dds_write(writer, samples[i]);
  dds_return_loan(reader, samples, n);
}

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    fprintf(stderr, "usage: ddsrelay <domain> <address> [<in topic> <out topic>]\n");
    return 2;
  }
  const char* from = argc == 5 ? argv[3] : "rt/cmd_vel_raw";
  const char* to = argc == 5 ? argv[4] : "rt/cmd_vel";
  const dds_domainid_t domain = (dds_domainid_t)atoi(argv[1]);
  char config[512];
  snprintf(config, sizeof config,
           "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface address=\"%s\" multicast=\"true\"/>"
           "</Interfaces></General></Domain></CycloneDDS>", argv[2]);
  signal(SIGTERM, on_signal);
  need(dds_create_domain(domain, config), "domain");
  const dds_entity_t participant = need(dds_create_participant(domain, NULL, NULL), "participant");
  const dds_topic_descriptor_t* twist = &geometry_msgs_msg_dds__Twist__desc;
  const dds_entity_t in = need(dds_create_topic(participant, twist, from, NULL, NULL), from);
  const dds_entity_t out = need(dds_create_topic(participant, twist, to, NULL, NULL), to);
  dds_qos_t* qos = dds_create_qos();
  dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_INFINITY);
  dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, 10);
  dds_entity_t writer = need(dds_create_writer(participant, out, qos, NULL), "writer");
  dds_listener_t* listener = dds_create_listener(&writer);
  dds_lset_data_available(listener, on_data);
  need(dds_create_reader(participant, in, qos, listener), "reader");
  puts("ready");
  fflush(stdout);
  while (!stop_asked) usleep(20000);
  dds_delete(participant);
  return 0;
}
