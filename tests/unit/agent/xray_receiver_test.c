/* X-Ray's datagrams through a socket: each is counted once, by what became of it. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "aggregate/directory_internal.h"
#include "rig.h"
#include "receivers/xray_receiver.h"

#define HEADER "{\"format\":\"json\",\"version\":1}\n"
#define SEGMENT                                                                                              \
    "{\"name\":\"cart\",\"trace_id\":\"1-01020304-05060708090a0b0c0d0e0f10\",\"id\":\"1112131415161718\","   \
    "\"start_time\":1699999999.9,\"end_time\":1699999999.95}"

struct xray {
    struct rig rig;
    struct datagram_socket socket;
    struct xray_receiver *receiver;
    int client;
};

static void xray_start(struct xray *xray)
{
    memset(xray, 0, sizeof *xray);
    rig_init(&xray->rig);
    rig_start(&xray->rig, NULL);
    assert_int_equal(datagram_open_udp(&xray->socket, "127.0.0.1:0", 0), 0);
    assert_int_equal(
        xray_receiver_new(&xray->rig.pipeline, &xray->rig.loop, &xray->socket, &xray->receiver), 0);
    xray->client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(xray->socket.address, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(xray->client, (struct sockaddr *)&address, sizeof address), 0);
}

static void send_datagram(struct xray *xray, const char *text)
{
    assert_int_equal(send(xray->client, text, strlen(text), 0), strlen(text));
}

/* On loopback a datagram lies in the socket once send has returned. */
static void xray_send(struct xray *xray, const char *text)
{
    send_datagram(xray, text);
    rig_turn(&xray->rig);
}

static void xray_stop(struct xray *xray)
{
    xray_receiver_close(xray->receiver);
    xray_receiver_close(NULL);
    rig_turn(&xray->rig);
    xray_receiver_free(xray->receiver);
    xray_receiver_free(NULL);
    datagram_close(&xray->socket);
    (void)close(xray->client);
    rig_stop(&xray->rig);
}

static void every_datagram_counts_once(void **state)
{
    struct xray xray;
    struct rig *rig = &xray.rig;

    (void)state;
    xray_start(&xray);
    xray_send(&xray, HEADER SEGMENT);
    rig_expect(rig, METRIC_MESSAGES_ACCEPTED_XRAY, 1);
    rig_expect(rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect_spans(rig, 1);
    rig_check(rig);

    xray_send(&xray, HEADER "{\"in_progress\":true}");
    rig_expect(rig, METRIC_MESSAGES_ACCEPTED_XRAY, 1);
    rig_check(rig);
    assert_int_equal(rig_get(rig, METRIC_SEGMENTS_IN_PROGRESS), 1);

    xray_send(&xray, HEADER "{\"name\":\"cart\"}");
    rig_expect(rig, METRIC_MESSAGES_ACCEPTED_XRAY, 1);
    rig_expect(rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect(rig, METRIC_SPANS_DROPPED_TRACE_ID, 1);
    rig_check(rig);

    xray_send(&xray, "not a segment");
    rig_expect(rig, METRIC_MESSAGES_REFUSED_MALFORMED, 1);
    rig_check(rig);

    rig->pipeline.directory->is_full = true;
    xray_send(&xray, HEADER SEGMENT);
    rig->pipeline.directory->is_full = false;
    rig_expect(rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(rig);

    xray.rig.pipeline.draining = true;
    xray_send(&xray, HEADER SEGMENT);
    xray.rig.pipeline.draining = false;
    rig_expect(rig, METRIC_MESSAGES_REFUSED_DRAINING, 1);
    rig_check(rig);
    assert_int_equal(rig_get(rig, METRIC_DATAGRAMS_XRAY), 6);
    assert_int_equal(rig_get(rig, METRIC_DATAGRAMS_LOST_XRAY), 0);
    xray_stop(&xray);
}

static void a_stop_takes_what_lies_in_the_socket(void **state)
{
    struct xray xray;

    (void)state;
    xray_start(&xray);
    send_datagram(&xray, HEADER SEGMENT);
    send_datagram(&xray, HEADER SEGMENT);
    xray_receiver_close(xray.receiver);
    rig_expect(&xray.rig, METRIC_MESSAGES_ACCEPTED_XRAY, 2);
    rig_expect(&xray.rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect_spans(&xray.rig, 2);
    rig_check(&xray.rig);
    xray_stop(&xray);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_datagram_counts_once),
        cmocka_unit_test(a_stop_takes_what_lies_in_the_socket),
    };

    return cmocka_run_group_tests_name("xray_receiver", tests, NULL, NULL);
}
