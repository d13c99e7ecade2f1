#!/usr/bin/python3
"""An operator for tests: answers the guard's heartbeat challenges, rightly or, on request, wrongly.

A challenge is one line of std_msgs/String:
    rw1 challenge <robot> <boot-id> <endpoint> <challenge> <level>
and its answer:
    rw1 answer <endpoint> <challenge> <level> <mac>
with boot-id and challenge as 32 hexadecimal digits and
    mac = HMAC-SHA256(key, "robowarden/heartbeat/v1" 0 robot 0 boot-id 0 endpoint 0 challenge 0 level)
as 64 of them, over the texts as sent. The level in the answer is the operator's own: ok or stop.

Faults come as std_msgs/String on ~fault: silent, wrong_key, delayed SECONDS, duplicated, frozen, wrong_boot,
garbage, level ok|stop, clear.
"""
import argparse
import hashlib
import hmac
import sys
import threading

import rospy
from std_msgs.msg import String

LABEL = b"robowarden/heartbeat/v1"


def mac(key, robot, boot, endpoint, challenge, level):
    text = b"\0".join([LABEL] + [s.encode("ascii") for s in (robot, boot, endpoint, challenge, level)])
    return hmac.new(key, text, hashlib.sha256).hexdigest()


class Operator:
    def __init__(self, options):
        self.options = options
        with open(options.key_file, "rb") as f:
            self.key = bytes.fromhex(f.read().decode("ascii").strip())
        self.lock = threading.Lock()
        self.level = "ok"
        self.fault = ""
        self.delay = 0.0
        self.last = None
        self.pub = rospy.Publisher(options.answers, String, queue_size=10, tcp_nodelay=True)
        rospy.Subscriber(options.challenges, String, self.on_challenge, queue_size=10, tcp_nodelay=True)
        rospy.Subscriber("~fault", String, self.on_fault, queue_size=10)

    def on_fault(self, message):
        word, _, rest = message.data.partition(" ")
        with self.lock:
            if word == "level" and rest in ("ok", "stop"):
                self.level = rest
            elif word == "clear":
                self.fault, self.delay, self.level = "", 0.0, "ok"
            elif word == "delayed":
                self.fault, self.delay = word, float(rest)
            elif word in ("silent", "wrong_key", "duplicated", "frozen", "wrong_boot", "garbage"):
                self.fault = word
            else:
                print("operator unknown fault: " + message.data, flush=True)
                return
        print("operator fault: " + message.data, flush=True)

    def on_challenge(self, message):
        words = message.data.split(" ")
        if len(words) != 7 or words[:2] != ["rw1", "challenge"]:
            return
        robot, boot, endpoint, challenge = words[2:6]
        if robot != self.options.robot or endpoint != self.options.endpoint:
            return
        with self.lock:
            fault, delay, level = self.fault, self.delay, self.level
        if words[6] == "away":
            level = "stop"  # a desk checks in at stop before it lets the robot run
        if fault == "silent":
            return
        key = bytes(32) if fault == "wrong_key" else self.key
        signed_boot = "0" * 32 if fault == "wrong_boot" else boot
        answer = "rw1 answer %s %s %s %s" % (
            endpoint, challenge, level, mac(key, robot, signed_boot, endpoint, challenge, level))
        if fault == "frozen" and self.last is not None:
            answer = self.last
        elif fault == "garbage":
            answer = "rw1 answer %s %s ok\0\xff" % (endpoint, challenge[:7])
        self.last = answer
        if fault == "delayed":
            threading.Timer(delay, self.send, [answer]).start()
            return
        self.send(answer)
        if fault == "duplicated":
            self.send(answer)

    def send(self, answer):
        try:
            self.pub.publish(String(answer))
        except rospy.ROSException:
            pass  # the node is going down


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--robot", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--key-file", required=True, help="the key in hexadecimal digits")
    parser.add_argument("--challenges", default="/robowarden/challenge")
    parser.add_argument("--answers", default="/robowarden/answer")
    options = parser.parse_args(rospy.myargv(sys.argv)[1:])
    rospy.init_node("operator")
    Operator(options)
    print("operator ready", flush=True)
    rospy.spin()


if __name__ == "__main__":
    main()
