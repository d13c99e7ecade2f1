/* The body of a humanoid on plain DDS, in C on CycloneDDS: its state on rt/lowstate and its battery on rt/lf/bmsstate, in
   the vendor's types and 100 times a second. The types come from the very file that the product's example reads.

     ddsbody <domain> <address> */
#include <dds/dds.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unitree_hg.h"

static volatile sig_atomic_t stop_asked = 0;
static void on_signal(int sig) {
  (void)sig;
  stop_asked = 1;
}

static dds_entity_t need(dds_entity_t e, const char* what) {
  if (e < 0) {
    fprintf(stderr, "ddsbody: %s: %s\n", what, dds_strretcode(-e));
    exit(2);
  }
  return e;
}

static dds_entity_t writer(dds_entity_t participant, const dds_topic_descriptor_t* type, const char* name) {
  dds_qos_t* qos = dds_create_qos();
  dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
  dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, 1);
  const dds_entity_t topic = need(dds_create_topic(participant, type, name, NULL, NULL), name);
  const dds_entity_t w = need(dds_create_writer(participant, topic, qos, NULL), name);
  dds_delete_qos(qos);
  return w;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: ddsbody <domain> <address>\n");
    return 2;
  }
  const dds_domainid_t domain = (dds_domainid_t)atoi(argv[1]);
  char config[512];
  snprintf(config, sizeof config,
           "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface address=\"%s\" multicast=\"true\"/>"
           "</Interfaces></General></Domain></CycloneDDS>", argv[2]);
  signal(SIGTERM, on_signal);
  need(dds_create_domain(domain, config), "domain");
  const dds_entity_t participant = need(dds_create_participant(domain, NULL, NULL), "participant");
  const dds_entity_t low = writer(participant, &unitree_hg_msg_dds__LowState__desc, "rt/lowstate");
  const dds_entity_t bms = writer(participant, &unitree_hg_msg_dds__BmsState__desc, "rt/lf/bmsstate");
  static unitree_hg_msg_dds__LowState_ body;
  static unitree_hg_msg_dds__BmsState_ battery;
  for (int i = 0; i < 35; i++) {
    body.motor_state[i].mode = 1;
    body.motor_state[i].q = 0.25f * (float)i;
    body.motor_state[i].dq = -0.5f * (float)i;
    body.motor_state[i].tau_est = (float)i;
    body.motor_state[i].motorstate = 0xffffffffu;
  }
  for (int i = 0; i < 4; i++) body.imu_state.quaternion[i] = 0.125f * (float)(i + 1);
  for (int i = 0; i < 3; i++) {
    body.imu_state.gyroscope[i] = 1.5f + (float)i;
    body.imu_state.accelerometer[i] = -2.5f - (float)i;
  }
  body.mode_machine = 5;
  body.crc = 0xdeadbeefu;
  battery.soc = 75;
  battery.current = -1200;
  puts("ready");
  fflush(stdout);
  while (!stop_asked) {
    body.tick++;
    dds_write(low, &body);
    dds_write(bms, &battery);
    usleep(10000);
  }
  dds_delete(participant);
  return 0;
}
