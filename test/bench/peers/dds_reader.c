/* A subscriber as simple as it can be: takes every sample in the listener and looks at one value of it, in C on CycloneDDS.
   What reading costs is measured beside this.

     bench_dds_reader <domain> <address> odometry|twist <topic>

   "ready" says that it is on the bus, "read <n>" at the end how many samples there were. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "dds.h"

static volatile sig_atomic_t stop_asked = 0;
static void on_signal(int sig) {
  (void)sig;
  stop_asked = 1;
}

static long count = 0;
static volatile double seen = 0;

static void on_data(dds_entity_t reader, void* arg) {
  const int odometry = arg != NULL;
  void* samples[8] = {0};
  dds_sample_info_t infos[8];
  for (int n; (n = dds_take(reader, samples, infos, 8, 8)) > 0;) {
    for (int i = 0; i < n; i++) {
      if (!infos[i].valid_data) continue;
      count++;
      seen = odometry ? ((nav_msgs_msg_dds__Odometry_*)samples[i])->pose_.pose_.position_.x_
                      : ((geometry_msgs_msg_dds__Twist_*)samples[i])->linear_.x_;
    }
    dds_return_loan(reader, samples, n);
    samples[0] = NULL;
  }
}

int main(int argc, char** argv) {
  program = argv[0];
  const int odometry = argc == 5 && strcmp(argv[3], "odometry") == 0;
  if (argc != 5 || (!odometry && strcmp(argv[3], "twist") != 0)) {
    fprintf(stderr, "usage: %s <domain> <address> odometry|twist <topic>\n", program);
    return 2;
  }
  signal(SIGTERM, on_signal);
  const dds_entity_t participant = join(argv[1], argv[2]);
  const dds_topic_descriptor_t* type = odometry ? &nav_msgs_msg_dds__Odometry__desc : &geometry_msgs_msg_dds__Twist__desc;
  dds_qos_t* qos = reliable_qos();
  dds_listener_t* listener = dds_create_listener(odometry ? &count : NULL);
  dds_lset_data_available(listener, on_data);
  need(dds_create_reader(participant, topic_of(participant, type, argv[4]), qos, listener), "reader");
  puts("ready");
  fflush(stdout);
  while (!stop_asked) usleep(20000);
  dds_delete(participant);
  printf("read %ld\n", count);
  return 0;
}
