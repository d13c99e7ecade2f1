"""A rospy robot for the tests: publishes every message type, echoes commands and provides the standard services."""
import sys

import rospy
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TransformStamped, Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import BatteryState, Imu, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Empty, EmptyResponse, SetBool, SetBoolResponse, Trigger, TriggerResponse
from tf2_msgs.msg import TFMessage

rospy.init_node('robot', disable_signals=False)


def pub(topic, cls, latch=False):
    return rospy.Publisher(topic, cls, queue_size=10, latch=latch, tcp_nodelay=True)


odom, pose, imu, battery = pub('/odom', Odometry), pub('/pose', PoseStamped), pub('/imu', Imu), pub('/battery', BatteryState)
joints, tf, camera, text = pub('/joint_states', JointState), pub('/tf', TFMessage), pub('/camera_on', Bool), pub('/text', String)
echo, raw = pub('/echo', Twist), pub('/cmd_vel_raw', Twist)
amcl = pub('/amcl_pose', PoseWithCovarianceStamped, latch=True)
start = PoseWithCovarianceStamped()
start.header.frame_id = 'map'
start.pose.pose.position.x = 42.0
start.pose.covariance[0] = 0.25
amcl.publish(start)

rospy.Subscriber('/cmd_vel', Twist, echo.publish, queue_size=1, tcp_nodelay=True)
rospy.Service('/arm_enable', SetBool, lambda r: SetBoolResponse(r.data, 'arm'))
rospy.Service('/stop', Trigger, lambda r: TriggerResponse(True, 'stopped'))
rospy.Service('/clear', Empty, lambda r: EmptyResponse())

names = ['joint_%02d' % k for k in range(29)]
rate = rospy.Rate(100)
i = 0
print('READY')
sys.stdout.flush()
while not rospy.is_shutdown():
    now = rospy.Time.now()
    o = Odometry()
    o.header.stamp, o.header.frame_id, o.child_frame_id = now, 'odom', 'base_link'
    o.pose.pose.position.x, o.twist.twist.linear.x = i * 0.01, 0.5
    p = PoseStamped()
    p.header.stamp, p.header.frame_id = now, 'map'
    m = Imu()
    m.header.stamp, m.header.frame_id = now, 'imu_link'
    m.orientation_covariance[0] = -1
    b = BatteryState()
    b.header.stamp, b.percentage, b.power_supply_status, b.present = now, 0.75, 1, True
    j = JointState()
    j.header.stamp, j.name, j.position = now, names, [0.1 * k for k in range(29)]
    t = TransformStamped()
    t.header.stamp, t.header.frame_id, t.child_frame_id = now, 'map', 'odom'
    t.transform.rotation.w = 1.0
    c = Twist()
    c.linear.x = i
    for publisher, message in ((odom, o), (pose, p), (imu, m), (battery, b), (joints, j), (tf, TFMessage([t])),
                               (camera, Bool(True)), (text, String('beat %d' % i)), (raw, c)):
        publisher.publish(message)
    i += 1
    try:
        rate.sleep()
    except rospy.ROSInterruptException:
        break
