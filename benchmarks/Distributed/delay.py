#!/usr/bin/env python3
"""Passes frames between two network devices, each after a delay: a wire of some length, for kernels without netem.

delay.py DEVICE DEVICE MILLISECONDS    (as root, in the namespace that has both)
"""
import collections
import select
import socket
import sys
import time

ETH_P_ALL = 3
LARGEST = 65536


def open_device(name):
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    device.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    device.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 20)
    device.bind((name, 0))
    device.setblocking(False)
    return device


def main():
    one, other, delay = open_device(sys.argv[1]), open_device(sys.argv[2]), float(sys.argv[3]) / 1000
    peers = {one: other, other: one}
    waiting = collections.deque()
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for device in select.select([one, other], [], [], pause)[0]:
            while True:
                try:
                    frame, address = device.recvfrom(LARGEST)
                except BlockingIOError:
                    break
                # What goes out comes back on such a socket.
                if address[2] != socket.PACKET_OUTGOING:
                    waiting.append((time.monotonic() + delay, peers[device], frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, device, frame = waiting.popleft()
            device.send(frame)


main()
