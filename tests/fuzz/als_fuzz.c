/*
 * Access log messages and peer metadata on arbitrary bytes. Besides not crashing: a message whose structure
 * is sound hands over exactly as many entries as it says to hold, and every text lies inside of the message.
 *
 * What counting needs of an entry is the same whether the rest was asked for or not, and whether its parts
 * are known from a reading before or not.
 *
 * The first byte chooses what the rest is: a message, an Any with peer metadata, or a Struct with it.
 */
#include "fuzz.h"

#include "decode/als.h"
#include "decode/als_memory.h"
#include "decode/peer_metadata.h"

enum fuzz_kind { FUZZ_MESSAGE, FUZZ_ANY, FUZZ_STRUCT, FUZZ_KIND_COUNT };

struct seen {
    struct slice message;
    struct als_memory *memory; /* for check_short: has met the message's parts */
    uint32_t entries_count;
    uint32_t refused_count;
    uint64_t checksum;
};

/* Texts are parts of the message, but for methods. */
static void look_at(struct seen *seen, struct slice text)
{
    FUZZ_CHECK(text.length == 0 || (text.ptr >= seen->message.ptr &&
                                       text.ptr + text.length <= seen->message.ptr + seen->message.length));
    for (size_t i = 0; i < text.length; i++) {
        seen->checksum += text.ptr[i];
    }
}

static void look_at_peer(struct seen *seen, const struct access_log_peer *peer)
{
    look_at(seen, peer->service);
    look_at(seen, peer->app);
    look_at(seen, peer->workload);
    look_at(seen, peer->workload_namespace);
    look_at(seen, peer->version);
    look_at(seen, peer->revision);
    look_at(seen, peer->pod);
    look_at(seen, peer->cluster);
    look_at(seen, peer->identity);
}

static void check_peer(const struct access_log_peer *a, const struct access_log_peer *b)
{
    FUZZ_CHECK(slice_equal(a->service, b->service) && slice_equal(a->app, b->app));
    FUZZ_CHECK(slice_equal(a->workload, b->workload) && slice_equal(a->version, b->version));
    FUZZ_CHECK(slice_equal(a->workload_namespace, b->workload_namespace));
    FUZZ_CHECK(slice_equal(a->revision, b->revision) && slice_equal(a->pod, b->pod));
    FUZZ_CHECK(slice_equal(a->cluster, b->cluster) && slice_equal(a->identity, b->identity));
}

/* The entry again, without what only logs need. */
static void check_short(const struct access_log_entry *entry, struct als_memory *memory)
{
    struct access_log_entry other;
    const char *field;
    bool is_tcp = entry->kind == ACCESS_LOG_CONNECTION;

    if (entry->kind != ACCESS_LOG_REQUEST && !is_tcp) {
        return;
    }
    FUZZ_CHECK((is_tcp ? als_read_tcp(entry->raw, memory, false, &other, &field)
                       : als_read_http(entry->raw, memory, false, &other, &field)) == 0);
    FUZZ_CHECK(other.kind == entry->kind && other.side == entry->side && other.protocol == entry->protocol);
    FUZZ_CHECK(other.start_unix_ns == entry->start_unix_ns && other.duration_ns == entry->duration_ns);
    FUZZ_CHECK(other.response_code == entry->response_code && other.response_flags == entry->response_flags);
    FUZZ_CHECK(other.is_grpc == entry->is_grpc && other.has_grpc_status == entry->has_grpc_status);
    FUZZ_CHECK(other.request_bytes == entry->request_bytes && other.response_bytes == entry->response_bytes);
    FUZZ_CHECK(other.attempts == entry->attempts && slice_equal(other.method, entry->method));
    FUZZ_CHECK(slice_equal(other.path, entry->path) && slice_equal(other.route, entry->route));
    FUZZ_CHECK(slice_equal(other.upstream_cluster, entry->upstream_cluster));
    FUZZ_CHECK(slice_equal(other.local_identity, entry->local_identity));
    check_peer(&other.downstream, &entry->downstream);
    check_peer(&other.upstream, &entry->upstream);
    FUZZ_CHECK(slice_equal(other.downstream_address, entry->downstream_address));
}

static void on_entry(void *user, const struct access_log_entry *entry, uint32_t record)
{
    struct seen *seen = user;

    FUZZ_CHECK(record == seen->entries_count + seen->refused_count);
    FUZZ_CHECK(entry->kind < ACCESS_LOG_KIND_COUNT);
    FUZZ_CHECK(entry->method.length <= 7);
    seen->entries_count++;
    look_at(seen, entry->raw);
    look_at(seen, entry->path);
    look_at(seen, entry->route);
    look_at(seen, entry->authority);
    look_at(seen, entry->user_agent);
    look_at(seen, entry->route_name);
    look_at(seen, entry->details);
    look_at(seen, entry->upstream_cluster);
    look_at(seen, entry->upstream_address);
    look_at(seen, entry->downstream_address);
    look_at(seen, entry->local_identity);
    look_at(seen, entry->request_id);
    look_at_peer(seen, &entry->upstream);
    look_at_peer(seen, &entry->downstream);
    check_short(entry, NULL);
    check_short(entry, seen->memory);
    check_short(entry, seen->memory);
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;
    char text[DECODE_ERROR_TEXT_BYTES];

    FUZZ_CHECK(where->reason != RECORD_ERROR_NONE && where->code < 0);
    FUZZ_CHECK(where->record == seen->entries_count + seen->refused_count);
    FUZZ_CHECK(decode_error_format(where, text, sizeof text) > 0);
    seen->refused_count++;
}

static void fuzz_message(struct seen *seen)
{
    struct als_sink sink = {.user = seen, .wants_all = true, .on_entry = on_entry, .on_refused = on_refused};
    struct als_identifier identifier;
    struct decode_error error;
    char text[DECODE_ERROR_TEXT_BYTES];
    uint32_t count = 0;
    int code = als_read(seen->message, &identifier, &count, &error);

    seen->memory = als_memory_new();
    FUZZ_CHECK(seen->memory != NULL);
    als_scan(seen->message, &sink);
    als_memory_free(seen->memory);
    if (code == 0) {
        FUZZ_CHECK(seen->entries_count + seen->refused_count == count);
        look_at(seen, identifier.reporter.node_id);
        look_at(seen, identifier.reporter.log_name);
        look_at(seen, identifier.reporter.service);
        look_at(seen, identifier.reporter.service_namespace);
        look_at(seen, identifier.reporter.address);
        look_at_peer(seen, &identifier.reporter.self);
    } else {
        FUZZ_CHECK(error.code == code && decode_error_format(&error, text, sizeof text) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct access_log_peer peer = {.service = slice_of(NULL, 0)};

    if (size == 0) {
        return 0;
    }
    struct seen seen = {.message = slice_of(data + 1, size - 1)};
    switch (data[0] % FUZZ_KIND_COUNT) {
    case FUZZ_ANY:
        (void)peer_metadata_read(seen.message, &peer);
        look_at_peer(&seen, &peer);
        break;
    case FUZZ_STRUCT:
        (void)peer_metadata_read_struct(seen.message, &peer);
        look_at_peer(&seen, &peer);
        break;
    case FUZZ_MESSAGE:
    default:
        fuzz_message(&seen);
        break;
    }
    return 0;
}
