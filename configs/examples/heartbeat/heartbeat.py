#!/usr/bin/python3
"""The operator's end of a robowarden heartbeat on ROS 1, as small as it can be: an example to build a desk from.

A challenge and its answer are each one line of std_msgs/String:

    rw1 challenge <robot> <boot id, 32 hex> <endpoint> <challenge, 32 hex> <phase>
    rw1 answer <endpoint> <challenge, 32 hex> <level> <mac, 64 hex>

    mac = HMAC-SHA256(key, "robowarden/heartbeat/v1" 0 robot 0 boot id 0 endpoint 0 challenge 0 level)

over the texts as they stand in the lines. The level is ok or stop. While the phase is "away" the answer has to be stop: a
desk checks in at stop. SIGTERM or Ctrl-C asks for a stop and ends once the robot has heard it.

Run it where the operator sits, never on the robot. Try it with
    heartbeat.py --robot=acme/runner-1 --key-file=operator.key __name:=operator_console
"""
import argparse
import hashlib
import hmac
import signal
import sys
import threading

import rospy
from std_msgs.msg import String


class Desk:
    """Answers the challenges of one robot to one endpoint, and of nobody else."""

    def __init__(self, robot, endpoint, key):
        self.robot, self.endpoint, self.key = robot, endpoint, key
        self.stopping = threading.Event()  # from SIGTERM on
        self.heard = threading.Event()     # the robot says that it has heard the stop
        self.phase = ""

    def mac(self, boot, challenge, level):
        text = "\0".join(["robowarden/heartbeat/v1", self.robot, boot, self.endpoint, challenge, level])
        return hmac.new(self.key, text.encode("ascii"), hashlib.sha256).hexdigest()

    def answer(self, line):
        """The answer to a challenge's line, None if it is not for us."""
        words = line.split(" ")
        if len(words) != 7 or words[:2] != ["rw1", "challenge"]:
            return None
        robot, boot, endpoint, challenge, phase = words[2:]
        if robot != self.robot or endpoint != self.endpoint or len(boot) != 32 or len(challenge) != 32:
            return None  # somebody may want another robot's challenge answered here
        if phase != self.phase:
            self.phase = phase
            print("phase " + phase, flush=True)
        if self.stopping.is_set() and phase in ("stopped", "away", "checked-in"):
            self.heard.set()
        level = "stop" if phase == "away" or self.stopping.is_set() else "ok"
        return "rw1 answer %s %s %s %s" % (endpoint, challenge, level, self.mac(boot, challenge, level))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--robot", required=True, help="manufacturer/serial, as the policy set names it")
    p.add_argument("--endpoint", default="operator")
    p.add_argument("--key-file", required=True, help="64 hexadecimal digits")
    p.add_argument("--challenges", default="/robowarden/challenge")
    p.add_argument("--answers", default="/robowarden/response")
    options = p.parse_args(rospy.myargv()[1:])
    with open(options.key_file, encoding="ascii") as f:
        key = bytes.fromhex(f.read().strip())
    if len(key) != 32:
        sys.exit("the key file does not hold 64 hexadecimal digits")

    desk = Desk(options.robot, options.endpoint, key)
    rospy.init_node("operator_console", disable_signals=True)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: desk.stopping.set())
    answers = rospy.Publisher(options.answers, String, queue_size=10, tcp_nodelay=True)

    def challenged(message):
        answer = desk.answer(message.data)
        if answer is not None:
            answers.publish(answer)

    rospy.Subscriber(options.challenges, String, challenged, queue_size=10, tcp_nodelay=True)
    print("ready", flush=True)
    while not desk.stopping.wait(0.2):
        pass
    told = desk.heard.wait(5)
    print("stop heard" if told else "nobody has confirmed the stop", flush=True)
    rospy.signal_shutdown("the operator leaves")
    return 0 if told else 1


if __name__ == "__main__":
    sys.exit(main())
