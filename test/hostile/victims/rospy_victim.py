#!/usr/bin/python3
"""An ordinary rospy node to be attacked: listens to poses, publishes a text, and prints what it has seen.

Its line of status says how many poses came, how many of them were forged (x beyond 40 m), the smallest and the largest
header time with respect to now, and what rospy takes for the time.
"""
import argparse
import sys
import time

import rospy
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import String


class Victim:
    def __init__(self, joints):
        self.total = self.forged = self.odd = 0
        self.lead = 0.0
        if joints:
            rospy.Subscriber("/odom", JointState, self.on_joints)
        else:
            rospy.Subscriber("/odom", Odometry, self.on_pose)
        self.pub = rospy.Publisher("/served", String, queue_size=10)

    def on_pose(self, m):
        self.total += 1
        x = m.pose.pose.position.x
        self.forged += x > 40
        self.odd += not abs(x) < 1e6 or m.pose.pose.orientation.w == 0
        self.lead = m.header.stamp.to_sec() - time.time()

    def on_joints(self, m):
        self.total += 1
        self.forged += len(m.position) != 2

    def status(self):
        print("status total=%d forged=%d odd=%d lead=%.1f clock=%.1f" % (
            self.total, self.forged, self.odd, self.lead, rospy.get_time()), flush=True)
        self.pub.publish(String("tick"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--joints", action="store_true", help="take JointState for poses")
    options = parser.parse_args(rospy.myargv(sys.argv)[1:])
    rospy.init_node("victim")
    victim = Victim(options.joints)
    while not rospy.is_shutdown():
        victim.status()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
