/* The memory of entries' parts: with it every entry is read as without it, those of a real Envoy
 * (tests/corpus/als_envoy.als) and those made of them by damage; what is known is what was read. */
#include "testing.h"

#include "als_message.h"
#include "decode/als.h"
#include "decode/als_memory.h"

enum { SEEN_MAX = 512, MUTATIONS_PER_MESSAGE = 60, MUTATED_TAIL_BYTES = 4000 };

struct seen {
    struct access_log_entry entries[SEEN_MAX];
    uint32_t entries_count;
    int refused[SEEN_MAX]; /* codes */
    uint32_t refused_count;
};

static void on_entry(void *user, const struct access_log_entry *entry, uint32_t record)
{
    struct seen *seen = user;

    (void)record;
    assert_true(seen->entries_count < SEEN_MAX);
    seen->entries[seen->entries_count++] = *entry;
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;

    assert_true(seen->refused_count < SEEN_MAX);
    seen->refused[seen->refused_count++] = where->code;
}

static void assert_same_text(struct slice a, struct slice b)
{
    assert_int_equal(a.length, b.length);
    assert_true(a.length == 0 || a.ptr == b.ptr); /* both borrow from the message */
}

static void assert_same_peer(const struct access_log_peer *a, const struct access_log_peer *b)
{
    assert_same_text(a->service, b->service);
    assert_same_text(a->app, b->app);
    assert_same_text(a->workload, b->workload);
    assert_same_text(a->workload_namespace, b->workload_namespace);
    assert_same_text(a->version, b->version);
    assert_same_text(a->revision, b->revision);
    assert_same_text(a->pod, b->pod);
    assert_same_text(a->cluster, b->cluster);
    assert_same_text(a->identity, b->identity);
}

/* The two ways to read a message come to the same. */
static void compare(struct slice message, struct als_memory *memory)
{
    static struct seen with;
    static struct seen without;
    struct als_sink sink = {.user = &with, .memory = memory, .on_entry = on_entry, .on_refused = on_refused};

    with.entries_count = with.refused_count = without.entries_count = without.refused_count = 0;
    als_scan(message, &sink);
    sink.user = &without;
    sink.memory = NULL;
    als_scan(message, &sink);
    assert_int_equal(with.entries_count, without.entries_count);
    assert_int_equal(with.refused_count, without.refused_count);
    assert_memory_equal(with.refused, without.refused, with.refused_count * sizeof with.refused[0]);
    for (uint32_t i = 0; i < with.entries_count; i++) {
        const struct access_log_entry *a = &with.entries[i];
        const struct access_log_entry *b = &without.entries[i];
        assert_true(a->raw.ptr == b->raw.ptr && a->kind == b->kind && a->side == b->side);
        assert_same_text(a->local_identity, b->local_identity);
        assert_same_text(a->path, b->path);
        assert_same_peer(&a->upstream, &b->upstream);
        assert_same_peer(&a->downstream, &b->downstream);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Copies of a message with a few of its last bytes changed: of a long one, those of its node are passed over.
 */
static void compare_damaged(struct slice message, struct als_memory *memory, uint64_t *state)
{
    size_t from = message.length > MUTATED_TAIL_BYTES ? message.length - MUTATED_TAIL_BYTES : 0;

    for (int i = 0; i < MUTATIONS_PER_MESSAGE; i++) {
        uint8_t *copy = malloc(message.length);
        assert_non_null(copy);
        memcpy(copy, message.ptr, message.length);
        for (uint64_t k = 0; k <= next_random(state) % 3; k++) {
            size_t at = from + next_random(state) % (message.length - from);
            copy[at] = (uint8_t)(next_random(state) % 2 != 0 ? next_random(state) : copy[at] + 1u);
        }
        compare(slice_of(copy, message.length - next_random(state) % 8 * (i % 2 != 0)), memory);
        free(copy);
    }
}

static void reads_the_same(void **state)
{
    struct als_memory *memory = als_memory_new();
    FILE *file = fopen(WEFT_SOURCE_DIR "/tests/corpus/als_envoy.als", "rb");
    uint64_t random = 88172645463325252ull;
    uint32_t known_count = 0;
    uint8_t head[4];

    (void)state;
    assert_non_null(file);
    assert_non_null(memory);
    while (fread(head, 1, 4, file) == 4) {
        size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        uint8_t *message = malloc(length);
        assert_non_null(message);
        assert_int_equal(fread(message, 1, length, file), length);
        compare(slice_of(message, length), memory);
        compare_damaged(slice_of(message, length), memory, &random);
        free(message);
    }
    for (size_t i = 0; i < ALS_MEMORY_PARTS_COUNT; i++) {
        known_count += memory->parts[i].read != NULL;
    }
    assert_true(known_count > 4);
    als_memory_free(memory);
    (void)fclose(file);
}

/* What stands in for a part's reader. */
static int reads_count;

static int read_middle(struct slice encoded, struct access_log_entry *entry)
{
    reads_count++;
    if (entry->upstream.pod.length == 0) {
        entry->upstream.pod = slice_sub(encoded, 4, 8);
    }
    return 0;
}

static int read_begin(struct slice encoded, struct access_log_entry *entry)
{
    reads_count++;
    entry->local_identity = slice_sub(encoded, 0, 4);
    return 0;
}

static int read_nothing(struct slice encoded, struct access_log_entry *entry)
{
    (void)encoded;
    (void)entry;
    reads_count++;
    return WERR_TRUNCATED;
}

static const char part_text[] = "a part of some forty bytes, which is met again";

static void knows_what_it_has_read(void **state)
{
    struct als_memory *memory = als_memory_new();
    struct slice part = SLICE_LITERAL(part_text);
    struct access_log_entry entry = {.raw = part};
    struct access_log_entry other = {.raw = part, .upstream = {.pod = SLICE_LITERAL("told before")}};

    (void)state;
    assert_non_null(memory);
    reads_count = 0;
    assert_int_equal(als_memory_read(memory, part, read_middle, &entry), 0);
    assert_int_equal(reads_count, 2); /* the entry, and to learn */
    entry.upstream.pod = slice_of(NULL, 0);
    assert_int_equal(als_memory_read(memory, part, read_middle, &entry), 0);
    assert_int_equal(reads_count, 2);
    assert_true(entry.upstream.pod.ptr == part.ptr + 4 && entry.upstream.pod.length == 4);
    assert_int_equal(als_memory_read(memory, part, read_middle, &other), 0);
    assert_true(slice_equal(other.upstream.pod, SLICE_LITERAL("told before")));
    /* the same bytes as something else */
    assert_int_equal(als_memory_read(memory, part, read_begin, &entry), 0);
    assert_int_equal(reads_count, 3);
    assert_true(entry.local_identity.ptr == part.ptr);
    als_memory_free(memory);
}

static void reads_what_it_cannot_keep(void **state)
{
    static const uint8_t zeroes[ALS_MEMORY_PART_BYTES_MAX + 1];
    struct als_memory *memory = als_memory_new();
    struct access_log_entry entry = {.raw = SLICE_LITERAL(part_text)};
    const struct slice parts[] = {slice_of(NULL, 0), slice_of(zeroes, 31), slice_of(zeroes, sizeof zeroes)};

    (void)state;
    assert_non_null(memory);
    reads_count = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_int_equal(als_memory_read(memory, parts[i], read_begin, &entry), 0);
        assert_int_equal(als_memory_read(memory, parts[i], read_begin, &entry), 0);
    }
    assert_int_equal(reads_count, 6);
    assert_int_equal(als_memory_read(NULL, SLICE_LITERAL(part_text), read_begin, &entry), 0);
    /* damage is told each time */
    for (int i = 0; i < 2 * ALS_MEMORY_PATIENCE; i++) {
        assert_int_equal(
            als_memory_read(memory, SLICE_LITERAL(part_text), read_nothing, &entry), WERR_TRUNCATED);
    }
    als_memory_free(memory);
    als_memory_free(NULL);
}

/* More parts than there is room for: those met last are known. */
static void forgets(void **state)
{
    struct als_memory *memory = als_memory_new();
    struct access_log_entry entry = {.raw = SLICE_LITERAL(part_text)};
    uint8_t bytes[sizeof part_text];

    (void)state;
    assert_non_null(memory);
    memcpy(bytes, part_text, sizeof bytes);
    for (uint32_t i = 0; i < 8 * ALS_MEMORY_PARTS_COUNT * ALS_MEMORY_PATIENCE; i++) {
        memcpy(bytes, &i, sizeof i);
        entry.local_identity = slice_of(NULL, 0);
        assert_int_equal(als_memory_read(memory, slice_of(bytes, sizeof bytes), read_begin, &entry), 0);
        assert_true(entry.local_identity.ptr == bytes && entry.local_identity.length == 4);
    }
    als_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_same),
        cmocka_unit_test(knows_what_it_has_read),
        cmocka_unit_test(reads_what_it_cannot_keep),
        cmocka_unit_test(forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
