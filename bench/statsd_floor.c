/*
 * The floor under the agent's statsd receiver: poll and recvmmsg on a Unix datagram socket, nothing else.
 * What the agent costs above it under the same load is parsing, context and counting.
 *
 *     statsd_floor PATH        until SIGTERM or SIGINT, at most an hour
 */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BATCH_COUNT = 32, PAYLOAD_BYTES = 65536, LIFE_S = 3600, TURN_MS = 100 };

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int open_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
    static struct mmsghdr messages[BATCH_COUNT];
    static struct iovec vectors[BATCH_COUNT];
    uint8_t *payloads = malloc((size_t)BATCH_COUNT * PAYLOAD_BYTES);
    struct sigaction action = {.sa_handler = on_signal};
    struct pollfd watch = {.fd = argc == 2 ? open_path(argv[1]) : -1, .events = POLLIN};

    if (payloads == NULL || watch.fd < 0) {
        (void)fprintf(stderr, "statsd_floor PATH\n");
        free(payloads);
        return 1;
    }
    for (size_t i = 0; i < BATCH_COUNT; i++) {
        vectors[i] = (struct iovec){.iov_base = payloads + i * PAYLOAD_BYTES, .iov_len = PAYLOAD_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    for (int turns = 0; !ended && turns < LIFE_S * (1000 / TURN_MS);) {
        if (poll(&watch, 1, TURN_MS) <= 0) {
            turns++;
            continue;
        }
        while (recvmmsg(watch.fd, messages, BATCH_COUNT, MSG_DONTWAIT, NULL) > 0) {
        }
    }
    (void)close(watch.fd);
    (void)unlink(argv[1]);
    free(payloads);
    return 0;
}
