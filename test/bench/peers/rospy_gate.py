#!/usr/bin/python3
"""The rospy node that the benchmark compares with: the same jobs as gate.cpp.

usage: rospy_gate.py gate|reply IN OUT
"""
import sys

import rospy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from std_msgs.msg import Header


def main():
    job, source, sink = rospy.myargv(sys.argv)[1:4]
    rospy.init_node("bench_gate")
    if job == "gate":
        pub = rospy.Publisher(sink, Twist, queue_size=1000, tcp_nodelay=True)

        def on_twist(m):
            m.linear.x = max(-0.5, min(0.5, m.linear.x))
            pub.publish(m)

        rospy.Subscriber(source, Twist, on_twist, queue_size=1000, tcp_nodelay=True, buff_size=1 << 20)
    else:
        pub = rospy.Publisher(sink, Header, queue_size=1000, tcp_nodelay=True)

        def on_odometry(m):
            p = m.pose.pose.position
            frame = "in" if abs(p.x) < 5 and abs(p.y) < 5 else "out"
            pub.publish(Header(seq=m.header.seq, stamp=m.header.stamp, frame_id=frame))

        rospy.Subscriber(source, Odometry, on_odometry, queue_size=1000, tcp_nodelay=True, buff_size=1 << 20)
    rospy.spin()


if __name__ == "__main__":
    main()
