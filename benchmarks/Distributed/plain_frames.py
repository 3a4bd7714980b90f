#!/usr/bin/env python3
"""Has a device send frames as a wire would carry them: no larger than its MTU, and with their checksums (what ethtool -K DEVICE tx off tso off gso off gro off does)."""
import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO.
for setting in 0x17, 0x1F, 0x24, 0x2C:
    value = array.array("B", struct.pack("II", setting, 0))
    request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, request)
