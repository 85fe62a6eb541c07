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
    struct listener listener;
    struct acceptor acceptor;
    char directory[64];
    char path[96];
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
    assert_int_equal(arrival->kind, LISTENER_INGEST);
    (void)close(arrival->fd);
    free(arrival);
}

static void start(struct fixture *fixture, uint64_t connections_count_max)
{
    struct listener_unix_options options = {.path = fixture->path, .mode = 0660, .directory_mode = 0750};

    assert_int_equal(listener_open_unix(&fixture->listener, LISTENER_INGEST, &options), 0);
    acceptor_init(&fixture->acceptor, &fixture->loop, fixture->inlets, SHARD_COUNT, on_arrival,
        connections_count_max, fixture->cells);
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
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", fixture->path);
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

static void connect_and_run(struct fixture *fixture, size_t count)
{
    int fds[CONNECTION_COUNT];

    for (size_t i = 0; i < count; i++) {
        fds[i] = connect_to(fixture->path);
    }
    for (int i = 0; i < RUN_COUNT_MAX; i++) {
        uint64_t refused_count = metric_get(fixture->cells, METRIC_CONNECTIONS_LIMITED);
        if (arrived_count(fixture) + refused_count == count) {
            break;
        }
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
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
        cmocka_unit_test(least_load_comes_first),
    };
    return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
