#!/usr/bin/python3
"""A commander for tests: sends one velocity over and over in envelopes, as agent/envelope/ENVELOPE.md has them.

Faults come as std_msgs/String on ~fault: replay (the last envelope again and again), wrong_key, flip (one bit of the
command), deaf (it answers no newer challenge), silent, clear.
"""
import argparse
import hashlib
import hmac
import io
import struct
import sys
import threading

import rospy
from geometry_msgs.msg import Twist
from std_msgs.msg import String, UInt8MultiArray


def tag(name):
    return hashlib.sha256(name).digest()[:8]


class Commander:
    def __init__(self, options):
        self.options = options
        with open(options.key_file, "rb") as f:
            self.key = bytes.fromhex(f.read().decode("ascii").strip())
        self.lock = threading.Lock()
        self.challenge = None
        self.boot = self.robot = b""
        self.seq = 0
        self.fault = ""
        self.last = None
        twist = Twist()
        twist.linear.x = options.vx
        body = io.BytesIO()
        twist.serialize(body)
        self.body = body.getvalue()
        self.pub = rospy.Publisher(options.topic, UInt8MultiArray, queue_size=10, tcp_nodelay=True)
        rospy.Subscriber(options.topic + "/robowarden_challenge", String, self.on_challenge, queue_size=10)
        rospy.Subscriber("~fault", String, self.on_fault, queue_size=10)
        rospy.Timer(rospy.Duration(1.0 / options.rate), self.send)

    def on_fault(self, message):
        with self.lock:
            self.fault = "" if message.data == "clear" else message.data
        print("commander fault: " + message.data, flush=True)

    def on_challenge(self, message):
        words = message.data.split(" ")
        if len(words) != 6 or words[:2] != ["rw1", "command-challenge"] or words[4] != self.options.topic:
            return
        with self.lock:
            challenge = bytes.fromhex(words[5])
            if self.fault != "deaf" and challenge != self.challenge:
                self.robot, self.boot = words[2].encode("ascii"), bytes.fromhex(words[3])
                self.challenge, self.seq = challenge, 0

    def seal(self):
        topic = self.options.topic.encode("ascii")
        self.seq += 1
        head = struct.pack("<4sB3xQ16s16s8s8s8s", b"RWE1", 1, self.seq, self.boot, self.challenge,
                           tag(self.robot), tag(topic), tag(self.options.key.encode("ascii")))
        context = b"\0".join([b"robowarden/command/v1", self.robot, topic, b"geometry_msgs/Twist", b""])
        key = bytes(32) if self.fault == "wrong_key" else self.key
        return head + hmac.new(key, context + head + self.body, hashlib.sha256).digest() + self.body

    def send(self, _):
        with self.lock:
            if self.challenge is None or self.fault == "silent":
                return
            data = self.seal()
            if self.fault == "replay" and self.last is not None:
                data = self.last
            elif self.fault == "flip":
                data = data[:110] + bytes([data[110] ^ 1]) + data[111:]
            self.last = data
        try:
            self.pub.publish(UInt8MultiArray(data=data))
        except rospy.ROSException:
            pass  # the node is going down


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True, help="the key's name")
    parser.add_argument("--key-file", required=True, help="the key in hexadecimal digits")
    parser.add_argument("--topic", default="/cmd_vel_raw")
    parser.add_argument("--vx", type=float, default=0.5)
    parser.add_argument("--rate", type=float, default=50)
    options = parser.parse_args(rospy.myargv(sys.argv)[1:])
    rospy.init_node("planner")
    commander = Commander(options)  # noqa: F841 - kept while the node spins
    print("commander ready", flush=True)
    rospy.spin()


if __name__ == "__main__":
    main()
