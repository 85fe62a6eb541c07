/* Connections are spread over shards; the limit closes what is too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/mailbox.h"
#include "core/metrics.h"
#include "listen/acceptor.h"

enum { SHARD_COUNT = 4, CONNECTION_COUNT = 16, RUN_COUNT_MAX = 1000 };

struct fixture {
    uv_loop_t loop;
    struct mailbox mailboxes[SHARD_COUNT];
    struct shard_inlet inlets[SHARD_COUNT];
    size_t arrived[SHARD_COUNT];
    struct metric_registry registry;
    struct metric_cells *cells;
    size_t kinds[LISTENER_OTLP + 1];
    struct limits limits;
    struct listener listener;
    struct listener lines;
    struct acceptor acceptor;
    char directory[64];
    char path[96];
    char lines_path[96];
};

struct shard_slot {
    struct fixture *fixture;
    size_t index;
};

static struct shard_slot slots[SHARD_COUNT];

static void on_arrival(struct mail *mail, void *receiver)
{
    struct arrival *arrival = (struct arrival *)mail;
    const struct shard_slot *slot = receiver;

    slot->fixture->arrived[slot->index]++;
    slot->fixture->kinds[arrival->kind]++;
    (void)close(arrival->fd);
    free(arrival);
}

static void start(struct fixture *fixture, uint64_t connections_count_max)
{
    struct listener_unix_options options = {.path = fixture->path, .mode = 0660, .directory_mode = 0750};

    limits_init(&fixture->limits);
    fixture->limits.connections_count_max = connections_count_max;
    assert_int_equal(listener_open_unix(&fixture->listener, LISTENER_INGEST, &options), 0);
    acceptor_init(&fixture->acceptor, &fixture->loop, fixture->inlets, SHARD_COUNT, on_arrival,
        &fixture->limits, fixture->cells);
    assert_int_equal(acceptor_add(&fixture->acceptor, &fixture->listener), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/weft-acceptor-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/weft.sock", fixture->directory);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->cells = metric_registry_add(&fixture->registry, METRIC_SCOPE_PROCESS, "");
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        slots[i] = (struct shard_slot){.fixture = fixture, .index = i};
        assert_int_equal(mailbox_init(&fixture->mailboxes[i], &fixture->loop, &slots[i]), 0);
        fixture->inlets[i].mailbox = &fixture->mailboxes[i];
    }
    fixture->lines.fd = fixture->lines.lock_fd = -1;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char lock_path[128];

    acceptor_stop(&fixture->acceptor);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        mailbox_close(&fixture->mailboxes[i]);
    }
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    listener_close(&fixture->listener);
    listener_close(&fixture->lines);
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", fixture->path);
    (void)unlink(lock_path);
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", fixture->lines_path);
    (void)unlink(lock_path);
    (void)rmdir(fixture->directory);
    metric_registry_deinit(&fixture->registry);
    free(fixture);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static size_t arrived_count(const struct fixture *fixture)
{
    size_t sum = 0;

    for (size_t i = 0; i < SHARD_COUNT; i++) {
        sum += fixture->arrived[i];
    }
    return sum;
}

static uint64_t settled_count(const struct fixture *fixture)
{
    return arrived_count(fixture) + metric_get(fixture->cells, METRIC_CONNECTIONS_LIMITED) +
           metric_get(fixture->cells, METRIC_CONNECTIONS_SHARE);
}

static void connect_and_run_at(struct fixture *fixture, const char *path, size_t count)
{
    int fds[CONNECTION_COUNT];
    uint64_t before_count = settled_count(fixture);

    for (size_t i = 0; i < count; i++) {
        fds[i] = connect_to(path);
    }
    for (int i = 0; i < RUN_COUNT_MAX; i++) {
        if (settled_count(fixture) == before_count + count) {
            break;
        }
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

static void connect_and_run(struct fixture *fixture, size_t count)
{
    connect_and_run_at(fixture, fixture->path, count);
}

static void sixteen_at_once_end_four_each(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 100);
    connect_and_run(fixture, CONNECTION_COUNT);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        assert_int_equal(fixture->arrived[i], CONNECTION_COUNT / SHARD_COUNT);
    }
}

static void past_the_limit_they_are_closed_and_counted(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 10);
    connect_and_run(fixture, CONNECTION_COUNT);
    assert_int_equal(arrived_count(fixture), 10);
    assert_int_equal(metric_get(fixture->cells, METRIC_CONNECTIONS_LIMITED), CONNECTION_COUNT - 10);
}

static uint32_t lines_refused_count(struct fixture *fixture, size_t shard)
{
    return atomic_load(&fixture->inlets[shard].lines_refused_count);
}

/* Streams of lines fill their share; weft.sock finds all the rest, and what ends gives its room back. */
static void a_kind_has_its_share(void **state)
{
    struct fixture *fixture = *state;
    struct listener_unix_options options = {
        .path = fixture->lines_path, .mode = 0660, .directory_mode = 0750};

    (void)snprintf(fixture->lines_path, sizeof fixture->lines_path, "%s/log.sock", fixture->directory);
    start(fixture, 12);
    assert_int_equal(listener_open_unix(&fixture->lines, LISTENER_LOG, &options), 0);
    assert_int_equal(acceptor_add(&fixture->acceptor, &fixture->lines), 0);
    connect_and_run_at(fixture, fixture->lines_path, CONNECTION_COUNT);
    assert_int_equal(fixture->kinds[LISTENER_LOG], 3); /* a quarter */
    assert_int_equal(metric_get(fixture->cells, METRIC_CONNECTIONS_SHARE), CONNECTION_COUNT - 3);
    assert_int_equal(metric_get(fixture->cells, METRIC_CONNECTIONS_LIMITED), 0);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        assert_int_equal(lines_refused_count(fixture, i), CONNECTION_COUNT - 3);
    }
    connect_and_run(fixture, CONNECTION_COUNT);
    assert_int_equal(fixture->kinds[LISTENER_INGEST], 9);
    assert_int_equal(metric_get(fixture->cells, METRIC_CONNECTIONS_LIMITED), CONNECTION_COUNT - 9);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        if (atomic_load(&fixture->inlets[i].group_counts[CONNECTION_LINES]) > 0) {
            shard_inlet_release(&fixture->inlets[i], LISTENER_LOG);
            break;
        }
    }
    connect_and_run_at(fixture, fixture->lines_path, 2);
    assert_int_equal(fixture->kinds[LISTENER_LOG], 4);
}

static void even_one_connection_may_be_of_any_kind(void **state)
{
    struct acceptor acceptor;
    struct limits limits;
    struct metric_cells cells;
    uv_loop_t loop;

    (void)state;
    limits_init(&limits);
    limits.connections_count_max = 1;
    acceptor_init(&acceptor, &loop, NULL, 0, on_arrival, &limits, &cells);
    assert_int_equal(acceptor.connections_kind_max, 1);
    acceptor_stop(&acceptor);
}

static void least_load_comes_first(void **state)
{
    struct shard_inlet inlets[3] = {{.connection_count = 1, .load_quarters = 2},
        {.connection_count = 5, .load_quarters = 1}, {.connection_count = 4, .load_quarters = 1}};

    (void)state;
    assert_int_equal(acceptor_choose(inlets, 3), 2);
    inlets[0].load_quarters = 1;
    assert_int_equal(acceptor_choose(inlets, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sixteen_at_once_end_four_each, setup, teardown),
        cmocka_unit_test_setup_teardown(past_the_limit_they_are_closed_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kind_has_its_share, setup, teardown),
        cmocka_unit_test(even_one_connection_may_be_of_any_kind),
        cmocka_unit_test(least_load_comes_first),
    };
    return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
