/* The statsd receiver with its shard's record path: what each line adds to the ledger, over datagrams and
 * streams, with memory full, cut, and at a stop. */
#include "rig.h"

#include <sys/un.h>

#include "aggregate/directory_internal.h"
#include "decode/statsd.h"
#include "receivers/statsd_receiver.h"

struct statsd_rig {
    struct rig rig;
    char directory[64];
    char path[96];
    struct datagram_socket socket;
    struct statsd_receiver *receiver;
    int sender_fd;
    size_t ended_count;
};

static void start(struct statsd_rig *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    rig_start(&s->rig, NULL);
    (void)snprintf(s->directory, sizeof s->directory, "/tmp/weft-statsd-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    (void)snprintf(s->path, sizeof s->path, "%s/statsd.sock", s->directory);
    struct listener_unix_options options = {.path = s->path, .mode = 0600, .directory_mode = 0700};
    assert_int_equal(datagram_open_unix(&s->socket, &options, 0), 0);
    assert_int_equal(statsd_receiver_new(&s->rig.pipeline, &s->rig.loop, "/proc", NULL, &s->receiver), 0);
    assert_int_equal(statsd_receiver_add_socket(s->receiver, &s->socket), 0);
    s->sender_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    assert_int_equal(connect(s->sender_fd, (struct sockaddr *)&address, sizeof address), 0);
}

static struct statsd_rig *make(void)
{
    struct statsd_rig *s = calloc(1, sizeof *s);

    assert_non_null(s);
    rig_init(&s->rig);
    return s;
}

static void stop(struct statsd_rig *s)
{
    char lock[112];

    statsd_receiver_close(s->receiver);
    rig_turn(&s->rig);
    statsd_receiver_free(s->receiver);
    rig_stop(&s->rig);
    datagram_close(&s->socket);
    (void)close(s->sender_fd);
    (void)snprintf(lock, sizeof lock, "%s.lock", s->path);
    (void)unlink(lock);
    assert_int_equal(rmdir(s->directory), 0);
    free(s);
}

static void send_text(struct statsd_rig *s, const char *text)
{
    assert_int_equal(send(s->sender_fd, text, strlen(text), 0), strlen(text));
    rig_turn(&s->rig);
}

static void expect_points(struct statsd_rig *s, uint64_t count)
{
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, count);
    rig_expect_merged(&s->rig, METRIC_POINTS_RECORDED, METRIC_POINTS_AGGREGATED, count);
}

static void expect_dropped(struct statsd_rig *s, enum metric_id reason, uint64_t count)
{
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, count);
    rig_expect(&s->rig, reason, count);
    rig_check(&s->rig);
}

static void each_value_is_a_record(void **state)
{
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    send_text(s, "a:1|c\nb:2|g\nc:3|ms\n");
    expect_points(s, 3);
    send_text(s, "d:1:2:3|d\na:1|c");
    expect_points(s, 4);
    send_text(s, "\n\n");
    expect_points(s, 0);
    assert_int_equal(rig_get(&s->rig, METRIC_DATAGRAMS_STATSD), 3);
    stop(s);
}

static void each_reason_drops_a_line(void **state)
{
    static const struct {
        const char *text;
        enum metric_id reason;
        uint64_t count;
    } rows[] = {
        {"garbage", METRIC_POINTS_DROPPED_MALFORMED, 1},
        {"a:1|c|@7", METRIC_POINTS_DROPPED_MALFORMED, 1},
        {"a:1:2:x|d", METRIC_POINTS_DROPPED_MALFORMED, 1},
        {"a:u|s", METRIC_POINTS_DROPPED_UNSUPPORTED, 1},
        {"_e{1,1}:a|b", METRIC_POINTS_DROPPED_NOT_A_METRIC, 1},
        {"_sc|a|0", METRIC_POINTS_DROPPED_NOT_A_METRIC, 1},
        {"a:1|g|T1", METRIC_POINTS_DROPPED_TIME, 1},
        {"a:1:2:3|d|T1", METRIC_POINTS_DROPPED_TIME, 3},
        {"a:1|c|#a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5,6",
            METRIC_POINTS_DROPPED_OVERSIZED, 1},
    };
    struct statsd_rig *s = make();
    char text[256];

    (void)state;
    start(s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(text, sizeof text, "good:1|c\n%s\ngood:1|c", rows[i].text);
        send_text(s, text);
        rig_expect(&s->rig, METRIC_POINTS_RECORDED, 2);
        rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 2);
        expect_dropped(s, rows[i].reason, rows[i].count);
        rig_flip(&s->rig);
        rig_expect(&s->rig, METRIC_POINTS_AGGREGATED, 2);
    }
    rig_check(&s->rig);
    stop(s);
}

static void the_end_of_a_cut_datagram_is_not_read(void **state)
{
    static char text[DATAGRAM_PAYLOAD_BYTES_MAX + 8];
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "a:1|c\na:1|c\n", 12);
    send_text(s, text);
    rig_expect(&s->rig, METRIC_POINTS_DROPPED_OVERSIZED, 1);
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 1);
    expect_points(s, 2);
    memset(text, 'x', sizeof text - 1); /* no line is whole */
    send_text(s, text);
    expect_dropped(s, METRIC_POINTS_DROPPED_OVERSIZED, 1);
    assert_int_equal(rig_get(&s->rig, METRIC_DATAGRAMS_TRUNCATED_STATSD), 2);
    stop(s);
}

/* Nothing of a datagram is taken, and that is counted; after the flip all goes on. */
static void datagrams_are_refused_while_memory_is_full(void **state)
{
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    send_text(s, "a:1|c");
    expect_points(s, 1);
    s->rig.pipeline.directory->is_full = true;
    send_text(s, "a:1|c\nb:1|c\ngarbage");
    rig_expect(&s->rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&s->rig);
    rig_flip(&s->rig);
    send_text(s, "a:1|c\nb:1|c");
    expect_points(s, 2);
    stop(s);
}

static void series_past_the_limit_are_dropped(void **state)
{
    struct statsd_rig *s = make();
    char text[64];

    (void)state;
    s->rig.limits.series_count_max = 64;
    start(s);
    for (int i = 0; i < 40; i++) { /* half of them may be one sender's */
        (void)snprintf(text, sizeof text, "m%d:1|c", i);
        send_text(s, text);
    }
    rig_expect(&s->rig, METRIC_POINTS_DROPPED_SERIES, 8);
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 8);
    expect_points(s, 32);
    stop(s);
}

static void lines_without_room_for_their_names_are_dropped(void **state)
{
    struct statsd_rig *s = make();
    char text[64];

    (void)state;
    s->rig.limits.strings_count_max = 16; /* four are there from the start, others the pipeline's */
    start(s);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof text, "m%d:1:2|d", i);
        send_text(s, text);
    }
    uint64_t recorded = rig_get(&s->rig, METRIC_POINTS_RECORDED);
    assert_true(recorded > 0 && recorded < 32);
    rig_expect(&s->rig, METRIC_POINTS_DROPPED_SERIES, 80 - recorded);
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 80 - recorded);
    expect_points(s, recorded);
    stop(s);
}

static void a_type_that_changes_is_a_conflict(void **state)
{
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    send_text(s, "load:1|c");
    expect_points(s, 1);
    send_text(s, "load:1|g");
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 1);
    rig_expect(&s->rig, METRIC_POINTS_RECORDED, 1);
    rig_flip(&s->rig);
    rig_expect(&s->rig, METRIC_POINTS_DROPPED_CONFLICT, 1);
    rig_expect(&s->rig, METRIC_POINTS_WITHDRAWN, 1);
    rig_check(&s->rig);
    stop(s);
}

static void on_ended(void *user)
{
    struct statsd_rig *s = user;

    s->ended_count++;
}

static int open_stream(struct statsd_rig *s)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(statsd_receiver_add_stream(s->receiver, pair[0], on_ended, s), 0);
    return pair[1];
}

static void write_text(struct statsd_rig *s, int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    rig_turn(&s->rig);
}

static void streams_are_read_line_by_line(void **state)
{
    static char text[STATSD_LINE_BYTES_MAX + 16];
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    int first = open_stream(s);
    int second = open_stream(s);
    write_text(s, first, "a:1|c\nb:1");
    write_text(s, second, "a:2|c\ngarb");
    write_text(s, first, ":2|d\n");
    write_text(s, second, "age\n");
    rig_expect(&s->rig, METRIC_POINTS_DROPPED_MALFORMED, 1);
    rig_expect(&s->rig, METRIC_POINTS_RECEIVED, 1);
    expect_points(s, 4);
    memset(text, 'x', sizeof text - 2);
    text[sizeof text - 2] = '\n';
    write_text(s, first, text);
    expect_dropped(s, METRIC_POINTS_DROPPED_OVERSIZED, 1);
    write_text(s, first, "a:1|c\n");
    expect_points(s, 1);
    s->rig.pipeline.directory->is_full = true;
    write_text(s, first, "a:1|c\n");
    rig_expect(&s->rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&s->rig);
    rig_flip(&s->rig);
    write_text(s, first, "half a li");
    (void)close(first);
    rig_turn(&s->rig);
    assert_int_equal(s->ended_count, 1);
    rig_expect(&s->rig, METRIC_MESSAGES_CUT, 1);
    rig_check(&s->rig);
    (void)close(second);
    rig_turn(&s->rig);
    assert_int_equal(s->ended_count, 2);
    rig_check(&s->rig);
    stop(s);
}

static void a_stop_takes_what_was_sent(void **state)
{
    struct statsd_rig *s = make();

    (void)state;
    start(s);
    int fd = open_stream(s);
    assert_int_equal(write(fd, "a:1|c\n", 6), 6);
    assert_int_equal(send(s->sender_fd, "a:1|c", 5, 0), 5);
    statsd_receiver_close(s->receiver);
    rig_turn(&s->rig);
    assert_int_equal(s->ended_count, 1);
    expect_points(s, 2);
    (void)close(fd);
    stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_is_a_record),
        cmocka_unit_test(each_reason_drops_a_line),
        cmocka_unit_test(the_end_of_a_cut_datagram_is_not_read),
        cmocka_unit_test(datagrams_are_refused_while_memory_is_full),
        cmocka_unit_test(series_past_the_limit_are_dropped),
        cmocka_unit_test(lines_without_room_for_their_names_are_dropped),
        cmocka_unit_test(a_type_that_changes_is_a_conflict),
        cmocka_unit_test(streams_are_read_line_by_line),
        cmocka_unit_test(a_stop_takes_what_was_sent),
    };

    return cmocka_run_group_tests_name("statsd_receiver", tests, NULL, NULL);
}
