# Bare UDP echo on MicroPython: the receive loop of coap/transports/udp.py and nothing else, so
# that Mote's rate divided by this one's is what the protocol costs. Arguments: HOST PORT.
import select
import socket
import sys

RECV_MAX = 1153


def serve(host, port):
    """Send each datagram back, without end."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(socket.getaddrinfo(host, port)[0][-1])
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    ipoll = poller.ipoll
    recvfrom = sock.recvfrom
    sendto = sock.sendto
    while True:
        for _ in ipoll(1000):
            data, peer = recvfrom(RECV_MAX)
            sendto(data, peer)


serve(sys.argv[1], int(sys.argv[2]))
