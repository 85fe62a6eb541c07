/* Admission of gRPC messages: what waits, who overtakes, who is refused and when, and that all memory comes
 * back. */
#include "grpc_peer.h"

#include <zlib.h>

#define MS 1000000ull
#define MIB (1u << 20)

enum { PEER_COUNT = 8 };

static struct host host;
static struct peer peers[PEER_COUNT];

static void start(uint64_t assembly_bytes, uint64_t waiting_bytes)
{
    host_init(&host, assembly_bytes, waiting_bytes);
    for (size_t i = 0; i < PEER_COUNT; i++) {
        peer_init(&peers[i], host_connect(&host));
    }
}

static void stop(void)
{
    for (size_t i = 0; i < PEER_COUNT; i++) {
        peer_deinit(&peers[i]);
    }
    host_deinit(&host);
}

/* Rounds over all connections, `capacity` bytes each way, until nothing moves. Time stands still. */
static void exchange_all(size_t capacity, uint64_t now_ns)
{
    size_t moved;
    do {
        moved = 0;
        for (size_t i = 0; i < PEER_COUNT; i++) {
            moved += peer_step(&peers[i], capacity, now_ns);
        }
    } while (moved > 0);
}

/* A few rounds, so that messages are under way on every connection. */
static void begin_all(uint64_t now_ns)
{
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < PEER_COUNT; i++) {
            (void)peer_step(&peers[i], 65536, now_ns);
        }
    }
}

static size_t count_status(const char *grpc_status)
{
    size_t count = 0;
    for (size_t i = 0; i < PEER_COUNT; i++) {
        for (size_t c = 0; c < peers[i].call_count; c++) {
            count += strcmp(peers[i].calls[c].grpc_status, grpc_status) == 0;
        }
    }
    return count;
}

/* Time goes by in the steps of a loop that turns. */
static void run_until(uint64_t from_ns, uint64_t to_ns)
{
    for (uint64_t now_ns = from_ns; now_ns < to_ns; now_ns += 10 * MS) {
        grpc_server_run(&host.server, now_ns);
    }
    grpc_server_run(&host.server, to_ns);
}

static uint8_t *zeros(size_t bytes)
{
    uint8_t *memory = calloc(1, bytes);
    assert_non_null(memory);
    return memory;
}

static void messages_beyond_the_budget_take_turns(size_t count, size_t bytes, uint64_t assembly_bytes)
{
    uint8_t *body = zeros(bytes);
    start(assembly_bytes, 512 * (uint64_t)MIB);
    for (size_t i = 0; i < count; i++) {
        (void)peer_message(&peers[i % PEER_COUNT], NULL, NULL, slice_of(body, bytes));
    }
    exchange_all(262144, 1);
    assert_int_equal(count_status("0"), count);
    assert_int_equal(host.message_count, count);
    assert_int_equal(host.message_bytes, count * bytes);
    assert_true(host.reserved_bytes_max <= assembly_bytes);
    assert_true(host.reserved_bytes_max > assembly_bytes / 2);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MEMORY), 0);
    stop();
    free(body);
}

static void twelve_messages_of_20_mib_in_128(void **state)
{
    (void)state;
    messages_beyond_the_budget_take_turns(12, 20 * MIB, 128 * MIB);
}

static void two_hundred_messages_six_at_a_time(void **state)
{
    (void)state;
    messages_beyond_the_budget_take_turns(200, 2 * MIB, 128 * MIB / 10);
}

static void what_fits_together_never_waits(void **state)
{
    (void)state;
    size_t bytes = 600 * 1024;
    uint8_t *body = zeros(bytes);
    start(128 * MIB, 0);
    for (size_t i = 0; i < 200; i++) {
        (void)peer_message(&peers[i % PEER_COUNT], NULL, NULL, slice_of(body, bytes));
    }
    size_t moved;
    do { /* small steps: all 200 are being assembled at once */
        moved = 0;
        for (size_t i = 0; i < PEER_COUNT; i++) {
            moved += peer_step(&peers[i], 16384, 1);
            assert_int_equal(host.server.waiting.count, 0);
        }
    } while (moved > 0);
    assert_int_equal(count_status("0"), 200);
    stop();
    free(body);
}

static void a_full_budget_refuses_after_the_wait(void **state)
{
    (void)state;
    uint8_t *body = zeros(2 * MIB);
    start(4 * MIB, 64 * MIB);
    assert_true(budget_reserve(&host.assembly, 3 * MIB)); /* another shard's */
    struct peer_call *call = peer_message(&peers[0], NULL, NULL, slice_of(body, 2 * MIB));
    exchange_all(65536, 1);
    assert_false(call->closed);
    assert_int_equal(host.server.waiting.count, 1);
    assert_true(atomic_load(&host.waiting.used_bytes) >= MIB - 5);
    assert_true(atomic_load(&host.waiting.used_bytes) <= MIB);

    uint64_t wait_ns = host.limits.admission_wait_ms * MS;
    run_until(1, wait_ns);
    exchange_all(65536, wait_ns);
    assert_false(call->closed);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MEMORY), 0);

    size_t wake_count = host.wake_count;
    grpc_server_run(&host.server, 1 + wait_ns + 20 * MS);
    assert_int_equal(host.wake_count, wake_count + 1);
    exchange_all(65536, 1 + wait_ns + 20 * MS);
    assert_true(call->closed);
    assert_string_equal(call->grpc_status, "14");
    assert_string_not_equal(call->details, "");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MEMORY), 1);
    assert_int_equal(atomic_load(&host.waiting.used_bytes), 0);
    assert_int_equal(host.message_count, 0);
    budget_release(&host.assembly, 3 * MIB);
    stop();
    free(body);
}

static void memory_that_another_shard_releases_is_found_by_the_timer(void **state)
{
    (void)state;
    uint8_t *body = zeros(2 * MIB);
    start(4 * MIB, 64 * MIB);
    assert_true(budget_reserve(&host.assembly, 3 * MIB));
    struct peer_call *call = peer_message(&peers[0], NULL, NULL, slice_of(body, 2 * MIB));
    exchange_all(65536, 1);
    assert_true(grpc_server_busy(&host.server));
    budget_release(&host.assembly, 3 * MIB);
    grpc_server_run(&host.server, 2 + GRPC_LOOK_INTERVAL_NS);
    assert_int_equal(host.wake_count, 1);
    exchange_all(65536, 2 + GRPC_LOOK_INTERVAL_NS);
    assert_string_equal(call->grpc_status, "0");
    assert_int_equal(host.message_bytes, 2 * MIB);
    assert_false(grpc_server_busy(&host.server));
    stop();
    free(body);
}

static void small_messages_overtake_large_ones_do_not(void **state)
{
    (void)state;
    uint8_t *body = zeros(3 * MIB);
    start(4 * MIB, 64 * MIB);
    assert_true(budget_reserve(&host.assembly, 2 * MIB));
    struct peer_call *large = peer_message(&peers[0], NULL, NULL, slice_of(body, 3 * MIB));
    exchange_all(65536, 1);
    struct peer_call *small = peer_message(&peers[1], NULL, NULL, slice_of(body, 60000));
    struct peer_call *medium = peer_message(&peers[2], NULL, NULL, slice_of(body, MIB));
    exchange_all(16384, 1);
    assert_string_equal(small->grpc_status, "0");
    assert_false(medium->closed); /* there is room for it, but it is not its turn */
    assert_int_equal(host.server.waiting.count, 2);
    budget_release(&host.assembly, 2 * MIB);
    grpc_server_run(&host.server, 2 + GRPC_LOOK_INTERVAL_NS);
    exchange_all(65536, 2 + GRPC_LOOK_INTERVAL_NS);
    assert_string_equal(large->grpc_status, "0");
    assert_string_equal(medium->grpc_status, "0");
    stop();
    free(body);
}

static void with_no_memory_to_wait_in_the_answer_is_at_once(void **state)
{
    (void)state;
    uint8_t *body = zeros(2 * MIB);
    start(4 * MIB, 100000);
    assert_true(budget_reserve(&host.assembly, 3 * MIB));
    struct peer_call *call = peer_message(&peers[0], NULL, NULL, slice_of(body, 2 * MIB));
    exchange_all(65536, 1);
    assert_string_equal(call->grpc_status, "14");
    assert_string_not_equal(call->details, "");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MEMORY), 1);
    assert_int_equal(atomic_load(&host.waiting.used_bytes), 0);
    budget_release(&host.assembly, 3 * MIB);
    stop();
    free(body);
}

static void a_waiting_stream_that_breaks_gives_all_back(void **state)
{
    (void)state;
    uint8_t *body = zeros(4 * MIB);
    start(4 * MIB, 64 * MIB);
    for (size_t i = 0; i < PEER_COUNT; i++) {
        (void)peer_message(&peers[i], NULL, NULL, slice_of(body, 3 * MIB));
    }
    begin_all(1);
    assert_int_equal(
        host.server.waiting.count + host.server.assembling.count, PEER_COUNT - host.message_count);
    assert_true(host.server.waiting.count > 0);
    uint64_t open_count = PEER_COUNT - host.message_count;
    for (size_t i = 0; i < PEER_COUNT; i++) {
        grpc_connection_deinit(peers[i].server);
    }
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), open_count);
    stop(); /* checks the budgets */
    free(body);
}

static void a_message_that_stops_arriving_is_given_up(void **state)
{
    (void)state;
    uint8_t *body = zeros(100000);
    start(4 * MIB, 64 * MIB);
    struct peer_call *call = peer_message(&peers[0], NULL, NULL, slice_of(body, 100000));
    (void)peer_step(&peers[0], 30000, 1);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 100000);
    run_until(1, GRPC_STALL_NS);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 0);
    grpc_server_run(&host.server, GRPC_STALL_NS + 1);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 1);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 0);
    exchange_all(65536, GRPC_STALL_NS + 2);
    assert_string_equal(call->grpc_status, "4");
    assert_int_equal(host.message_count, 0);
    stop();
    free(body);
}

/* Stopped for a minute: what was under way goes on as if nothing had been. */
static void a_pause_of_ours_is_not_held_against_senders(void **state)
{
    (void)state;
    uint64_t minute_ns = 60000 * MS;
    uint8_t *body = zeros(2 * MIB);
    start(4 * MIB, 64 * MIB);
    struct peer_call *arriving = peer_message(&peers[0], NULL, NULL, slice_of(body, 3 * MIB / 2));
    for (int i = 0; i < 5; i++) {
        (void)peer_step(&peers[0], 65536, 1);
    }
    struct peer_call *waiting = peer_message(&peers[1], NULL, NULL, slice_of(body, 2 * MIB));
    assert_true(budget_reserve(&host.assembly, 2 * MIB));
    for (int i = 0; i < 40; i++) {
        (void)peer_step(&peers[1], 65536, 1);
    }
    assert_int_equal(host.server.assembling.count, 1);
    assert_int_equal(host.server.waiting.count, 1);
    grpc_server_run(&host.server, minute_ns);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 0);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MEMORY), 0);
    budget_release(&host.assembly, 2 * MIB);
    grpc_server_run(&host.server, 2 * minute_ns);
    exchange_all(65536, 2 * minute_ns);
    assert_string_equal(arriving->grpc_status, "0");
    assert_string_equal(waiting->grpc_status, "0");
    stop();
    free(body);
}

/* What a compressed message grows to needs memory as well; until there is some the message waits as it came.
 */
static void a_compressed_message_waits_for_room_to_inflate(void **state)
{
    (void)state;
    enum { PLAIN_BYTES = 6 << 20 };
    static uint8_t packed[100000];
    uint8_t *body = zeros(PLAIN_BYTES);
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = body;
    z.avail_in = PLAIN_BYTES;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t length = z.total_out;
    deflateEnd(&z);
    for (size_t step = 4000; step <= 65536; step += 65536 - 4000) { /* assembled, and whole in one chunk */
        start(16 * MIB, 64 * MIB);
        assert_true(budget_reserve(&host.assembly, 14 * MIB));
        struct peer_call *call = peer_message(&peers[0], NULL, "gzip", slice_of(packed, length));
        exchange_all(step, 1);
        assert_false(call->closed);
        assert_int_equal(host.server.waiting.count, 1);
        budget_release(&host.assembly, 14 * MIB);
        grpc_server_run(&host.server, 2 + GRPC_LOOK_INTERVAL_NS);
        exchange_all(step, 2 + GRPC_LOOK_INTERVAL_NS);
        assert_string_equal(call->grpc_status, "0");
        assert_int_equal(host.message_count, 1);
        assert_int_equal(host.message_bytes, PLAIN_BYTES);
        stop();
    }
    free(body);
}

/* Streams with several messages wait in the middle, and go on where they stopped. */
static void a_stream_of_messages_waits_and_goes_on(void **state)
{
    (void)state;
    enum { MESSAGE_BYTES = 300000, MESSAGE_COUNT = 10, FRAMED_BYTES = MESSAGE_BYTES + 5 };
    uint8_t *body = zeros((size_t)FRAMED_BYTES * MESSAGE_COUNT);
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        uint8_t *at = body + i * FRAMED_BYTES;
        at[2] = (uint8_t)(MESSAGE_BYTES >> 16);
        at[3] = (uint8_t)(MESSAGE_BYTES >> 8);
        at[4] = (uint8_t)MESSAGE_BYTES;
        at[5] = (uint8_t)(i + 1);
    }
    start(4 * MIB, 64 * MIB);
    assert_true(budget_reserve(&host.assembly, 4 * MIB));
    struct peer_call *call =
        peer_send(&peers[0], &(struct peer_request){.path = "/t/Stream",
                                 .first = slice_of(body, (size_t)FRAMED_BYTES * MESSAGE_COUNT)});
    exchange_all(65536, 1);
    assert_int_equal(host.message_count, 0);
    budget_release(&host.assembly, 4 * MIB);
    grpc_server_run(&host.server, 2 + GRPC_LOOK_INTERVAL_NS);
    exchange_all(65536, 2 + GRPC_LOOK_INTERVAL_NS);
    assert_string_equal(call->grpc_status, "0");
    assert_int_equal(host.message_count, MESSAGE_COUNT);
    assert_int_equal(host.message_bytes, (uint64_t)MESSAGE_BYTES * MESSAGE_COUNT);
    assert_int_equal(host.message_sum, 55);
    stop();
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_messages_of_20_mib_in_128),
        cmocka_unit_test(two_hundred_messages_six_at_a_time),
        cmocka_unit_test(what_fits_together_never_waits),
        cmocka_unit_test(a_full_budget_refuses_after_the_wait),
        cmocka_unit_test(memory_that_another_shard_releases_is_found_by_the_timer),
        cmocka_unit_test(small_messages_overtake_large_ones_do_not),
        cmocka_unit_test(with_no_memory_to_wait_in_the_answer_is_at_once),
        cmocka_unit_test(a_waiting_stream_that_breaks_gives_all_back),
        cmocka_unit_test(a_message_that_stops_arriving_is_given_up),
        cmocka_unit_test(a_pause_of_ours_is_not_held_against_senders),
        cmocka_unit_test(a_compressed_message_waits_for_room_to_inflate),
        cmocka_unit_test(a_stream_of_messages_waits_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
