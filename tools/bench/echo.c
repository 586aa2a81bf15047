/* Bare UDP echo in C: what the load client itself can sustain is measured against it.
 * echo PORT serves 127.0.0.1 until it is killed. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int port = argc == 2 ? atoi(argv[1]) : 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    static char bytes[2048];

    here.sin_port = htons((unsigned short)port);
    if (port < 1 || port > 65535 || bind(fd, (struct sockaddr *)&here, sizeof here)) {
        fprintf(stderr, "echo: cannot serve 127.0.0.1:%d: give a free port\n", port);
        return 2;
    }
    printf("ready udp://127.0.0.1:%d\n", port);
    fflush(stdout);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &size);

        if (n >= 0) {
            sendto(fd, bytes, (size_t)n, 0, (struct sockaddr *)&peer, size);
        }
    }
}
