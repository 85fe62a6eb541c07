/* How many traces others may have kept here; see notice_gate.h. */
#include "tracing/notice_gate.h"

#include "config/config.h"
#include "core/error.h"
#include "trace/trigger.h"

enum { MS_PER_S = 1000, OWN_REASONS_COUNT = TRIGGER_PEER }; /* a peer tells what any other reason kept */

_Static_assert(TRIGGER_PEER == TRIGGER_COUNT - 1, "all reasons before it are a node's own");

static uint32_t peer_rate_per_s(const struct config *config)
{
    const struct config_trace *trace = &config->trace;
    uint64_t peers = trace->peers.count > 0 ? trace->peers.count : 1;
    uint64_t wanted = trace->rate_per_s * OWN_REASONS_COUNT * peers;
    uint64_t room = config->limits.kept_traces_count_max / 2 * MS_PER_S / trace->linger_ms;

    room = room > 0 ? room : 1;
    wanted = wanted < room ? wanted : room;
    return wanted < RATE_SHARE_RATE_MAX ? (uint32_t)wanted : (uint32_t)RATE_SHARE_RATE_MAX;
}

int notice_gate_init(struct notice_gate *gate, const struct config *config, uint64_t now_ns)
{
    if (pthread_mutex_init(&gate->lock, NULL) != 0) {
        return WERR_NOMEM;
    }
    rate_share_init(&gate->peers, peer_rate_per_s(config), now_ns);
    rate_share_init(&gate->operators, (uint32_t)config->trace.rate_per_s, now_ns);
    return 0;
}

static void change_rate(struct rate_share *share, uint32_t rate_per_s, uint64_t now_ns)
{
    if (share->rate_per_s != rate_per_s) {
        rate_share_init(share, rate_per_s, now_ns);
    }
}

void notice_gate_reconfigure(struct notice_gate *gate, const struct config *config, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&gate->lock);
    change_rate(&gate->peers, peer_rate_per_s(config), now_ns);
    change_rate(&gate->operators, (uint32_t)config->trace.rate_per_s, now_ns);
    (void)pthread_mutex_unlock(&gate->lock);
}

void notice_gate_deinit(struct notice_gate *gate)
{
    (void)pthread_mutex_destroy(&gate->lock);
}

uint32_t notice_gate_take(
    struct notice_gate *gate, bool is_peer, uint32_t source, uint32_t count, uint64_t now_ns)
{
    struct rate_share *share = is_peer ? &gate->peers : &gate->operators;
    uint32_t taken = 0;

    (void)pthread_mutex_lock(&gate->lock);
    while (taken < count && rate_share_take(share, source, now_ns)) {
        taken++;
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return taken;
}
