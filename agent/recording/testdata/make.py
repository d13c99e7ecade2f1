"""Writes recordings with ROS's own rosbag (Debian: python3-rosbag and the packages of the message types).

python3 make.py OUT.bag none|lz4|bz2 SECONDS HZ

A robot of the demonstration drives along the corridor at night, at the door of ward A, which is closed then, and into ward
B. The bags beside this file: drive-none.bag none 3 10, drive-lz4.bag lz4 24 10, drive-bz2.bag bz2 24 10.
"""
import math
import os
import re
import sys

import genpy
import rosbag
from geometry_msgs.msg import PoseWithCovarianceStamped, Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import BatteryState, Imu, JointState
from std_msgs.msg import Bool, String

START = 1793307300.0  # 2026-10-29 21:55 in Berlin
WAY = [(5.2, 12), (10, 12), (10, 13.4), (10, 12), (25, 12), (25, 18), (25, 12), (30, 12)]
SPEED = 0.7

out, compression, seconds, hz = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
profile = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../configs/demo/profile.yaml")
names = re.findall(r"name: (\w+_joint)", open(profile).read())
bag = rosbag.Bag(out, "w", compression=compression, chunk_threshold=256 * 1024)
headers = {}


def write(topic, caller, m, t):
    if topic not in headers:
        headers[topic] = {
            "topic": topic, "type": m._type, "md5sum": m._md5sum, "message_definition": m._full_text, "callerid": caller, "latching": "0",
        }
    bag.write(topic, m, genpy.Time.from_sec(t), connection_header=headers[topic])


x, y = WAY[0]
goal, yaw, dt = 1, 0.0, 1 / hz
for k in range(int(seconds * hz)):
    t = START + k * dt
    speed = turn = 0.0
    if k * dt > 6 and goal < len(WAY):
        tx, ty = WAY[goal]
        off = (math.atan2(ty - y, tx - x) - yaw + math.pi) % (2 * math.pi) - math.pi
        if abs(off) > 0.05:
            turn = max(-0.8, min(0.8, off / dt))
            yaw += turn * dt
        else:
            yaw, speed = yaw + off, SPEED
            x, y = x + speed * math.cos(yaw) * dt, y + speed * math.sin(yaw) * dt
            if math.hypot(tx - x, ty - y) < 0.05:
                goal += 1
    stamp = genpy.Time.from_sec(t - 0.004)
    p = PoseWithCovarianceStamped()
    p.header.stamp, p.header.frame_id, p.header.seq = stamp, "map", k
    p.pose.pose.position.x, p.pose.pose.position.y = x, y
    p.pose.pose.orientation.z, p.pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    p.pose.covariance = [4e-4 if i in (0, 7, 35) else 0.0 for i in range(36)]
    write("/localization/pose", "/localization", p, t)
    o = Odometry()
    o.header.stamp, o.header.frame_id, o.child_frame_id = stamp, "odom", "base_link"
    o.twist.twist.linear.x, o.twist.twist.angular.z = speed, turn
    write("/odom", "/walker", o, t + 0.0005)
    j = JointState(name=names, position=[0.0] * len(names), velocity=[0.5 * speed if "hip" in n or "knee" in n else 0.0 for n in names])
    j.header.stamp = stamp
    write("/joint_states", "/walker", j, t + 0.001)
    m = Imu()
    m.header.stamp, m.header.frame_id, m.orientation.w, m.angular_velocity.z = stamp, "imu_link", 1, turn
    write("/imu/data", "/walker", m, t + 0.0015)
    if k % max(1, int(hz / 10)) == 0:
        c = Twist()
        c.linear.x, c.angular.z = speed, turn
        write("/cmd_vel_raw", "/planner", c, t + 0.002)
    if k % int(hz) == 0:
        b = BatteryState()
        b.header.stamp, b.percentage = stamp, 0.8
        write("/battery", "/power", b, t + 0.0025)
        write("/map_id", "/localization", String("hospital-ground"), t + 0.003)
        write("/camera/head/active", "/camera_head", Bool(False), t + 0.003)
        write("/microphone/active", "/audio", Bool(False), t + 0.003)
bag.close()
