/* What the benchmark's peers on DDS have in common: a CycloneDDS participant on one address, in C, and clocks. */
#pragma once

#include <dds/dds.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ros2.h"

static const char* program;

/* need ends the program with what went wrong. */
static inline dds_entity_t need(dds_entity_t e, const char* what) {
  if (e >= 0) return e;
  fprintf(stderr, "%s: %s: %s\n", program, what, dds_strretcode(-e));
  exit(2);
}

static inline dds_entity_t join(const char* domain, const char* address) {
  char config[512];
  snprintf(config, sizeof config,
           "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface address=\"%s\" multicast=\"true\"/>"
           "</Interfaces></General></Domain></CycloneDDS>", address);
  const dds_domainid_t id = (dds_domainid_t)atoi(domain);
  need(dds_create_domain(id, config), "domain");
  return need(dds_create_participant(id, NULL, NULL), "participant");
}

/* A topic's name on the wire is its ROS 2 name with "rt" before it. */
static inline dds_entity_t topic_of(dds_entity_t participant, const dds_topic_descriptor_t* type, const char* name) {
  char full[256];
  snprintf(full, sizeof full, "rt%s", name);
  return need(dds_create_topic(participant, type, full, NULL, NULL), name);
}

/* reliable_qos is what rclcpp gives by default. */
static inline dds_qos_t* reliable_qos(void) {
  dds_qos_t* qos = dds_create_qos();
  dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_INFINITY);
  dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, 10);
  return qos;
}

static inline int64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
