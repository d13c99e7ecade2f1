// The roscpp node that the benchmark compares with, written and built as a user would: tcpNoDelay, queues of 1000.
//   bench_gate gate  IN OUT   Twist in, forward speed clamped, Twist out
//   bench_gate reply IN OUT   Odometry in, position checked against a box, Header out
//   bench_gate busy  IN OUT   as gate, and reads /odom, /joint_states and /imu/data besides
#include <ros/ros.h>

#include <geometry_msgs/Twist.h>
#include <nav_msgs/Odometry.h>
#include <sensor_msgs/Imu.h>
#include <sensor_msgs/JointState.h>
#include <std_msgs/Header.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace {

ros::Publisher pub;

void on_twist(const geometry_msgs::Twist::ConstPtr& m) {
  geometry_msgs::Twist out = *m;
  out.linear.x = std::clamp(out.linear.x, -0.5, 0.5);
  pub.publish(out);
}

void on_odometry(const nav_msgs::Odometry::ConstPtr& m) {
  const auto& p = m->pose.pose.position;
  std_msgs::Header out;
  out.seq = m->header.seq;
  out.stamp = m->header.stamp;
  out.frame_id = std::abs(p.x) < 5 && std::abs(p.y) < 5 ? "in" : "out";
  pub.publish(out);
}

// What a relay has to look at in a robot's state: that it is finite.
double seen = 0;
void look(double v) {
  if (std::isfinite(v)) seen = v;
}
void on_pose(const nav_msgs::Odometry::ConstPtr& m) { look(m->pose.pose.position.x); }
void on_imu(const sensor_msgs::Imu::ConstPtr& m) { look(m->angular_velocity.z); }
void on_joints(const sensor_msgs::JointState::ConstPtr& m) {
  for (double v : m->position) look(v);
}

}  // namespace

int main(int argc, char** argv) {
  ros::init(argc, argv, "bench_gate");
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_gate gate|reply|busy IN OUT\n");
    return 2;
  }
  const std::string job = argv[1], in = argv[2], out = argv[3];
  ros::NodeHandle n;
  ros::Subscriber sub, odom, imu, joints;
  const auto quick = ros::TransportHints().tcpNoDelay();
  if (job == "busy") {
    odom = n.subscribe("/odom", 1000, on_pose, quick);
    imu = n.subscribe("/imu/data", 1000, on_imu, quick);
    joints = n.subscribe("/joint_states", 1000, on_joints, quick);
  }
  if (job == "gate" || job == "busy") {
    pub = n.advertise<geometry_msgs::Twist>(out, 1000);
    sub = n.subscribe(in, 1000, on_twist, quick);
  } else {
    pub = n.advertise<std_msgs::Header>(out, 1000);
    sub = n.subscribe(in, 1000, on_odometry, quick);
  }
  ros::spin();
}
