/*
 * Shards and the aggregator on threads of their own, with nothing between them but the deltas that they hand
 * over: what a race detector can prove of the rule that texts, keys and pages are lent, not copied.
 */
#include "fixture.h"

#include <pthread.h>

enum { SHARDS = 3, FLIPS = 60, RECORDS_A_FLIP = 400 };

struct post {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct delta *to_aggregator;
    struct delta *to_shard[SHARDS];
    unsigned running;
};

struct shard_thread {
    pthread_t thread;
    struct fixture *f;
    struct post *post;
    uint32_t shard;
    uint64_t sent;
};

static void take_back(struct shard_thread *me)
{
    pthread_mutex_lock(&me->post->lock);
    struct delta *delta = me->post->to_shard[me->shard];

    me->post->to_shard[me->shard] = NULL;
    pthread_mutex_unlock(&me->post->lock);
    if (delta != NULL) {
        directory_give_back(me->f->directories[me->shard], delta);
    }
}

static bool send_delta(struct shard_thread *me)
{
    struct delta *delta = directory_flip(me->f->directories[me->shard]);

    if (delta == NULL) {
        return false;
    }
    pthread_mutex_lock(&me->post->lock);
    delta->next = me->post->to_aggregator;
    me->post->to_aggregator = delta;
    pthread_cond_broadcast(&me->post->changed);
    pthread_mutex_unlock(&me->post->lock);
    return true;
}

static void record_some(struct shard_thread *me, unsigned round)
{
    for (unsigned i = 0; i < RECORDS_A_FLIP; i++) {
        char route[32];

        (void)snprintf(route, sizeof(route), "/r/%u/%u", i % 5 == 0 ? round : 0, i % 40);
        struct request request = fixture_request(me->f, me->shard, "web", "web", "api", route);

        request.duration_ns = MS_NS << (i % 10);
        request.stored = true;
        directory_record(me->f->directories[me->shard], &request);
        me->sent++;
    }
}

static void *run_shard(void *argument)
{
    struct shard_thread *me = argument;

    for (unsigned round = 0; round < FLIPS; round++) {
        record_some(me, round);
        take_back(me);
        (void)send_delta(me); /* without a spare: at the next round */
    }
    for (bool sent = false; !sent;) {
        pthread_mutex_lock(&me->post->lock);
        while (me->post->to_shard[me->shard] == NULL) {
            pthread_cond_wait(&me->post->changed, &me->post->lock);
        }
        pthread_mutex_unlock(&me->post->lock);
        take_back(me);
        sent = send_delta(me);
    }
    pthread_mutex_lock(&me->post->lock);
    me->post->running--;
    pthread_cond_broadcast(&me->post->changed);
    pthread_mutex_unlock(&me->post->lock);
    return NULL;
}

static void run_aggregator(struct fixture *f, struct post *post)
{
    for (;;) {
        pthread_mutex_lock(&post->lock);
        while (post->to_aggregator == NULL && post->running > 0) {
            pthread_cond_wait(&post->changed, &post->lock);
        }
        struct delta *delta = post->to_aggregator;

        post->to_aggregator = delta != NULL ? delta->next : NULL;
        pthread_mutex_unlock(&post->lock);
        if (delta == NULL) {
            return;
        }
        uint32_t shard = delta->shard;

        aggregator_merge(f->aggregator, delta);
        aggregator_tick(f->aggregator);
        pthread_mutex_lock(&post->lock);
        post->to_shard[shard] = delta;
        pthread_cond_broadcast(&post->changed);
        pthread_mutex_unlock(&post->lock);
    }
}

static void deltas_are_all_that_is_shared(void **state)
{
    static struct fixture f;
    struct post post = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .running = SHARDS};
    struct shard_thread shards[SHARDS];
    uint64_t sent = 0;

    (void)state;
    limits_init(&f.limits);
    f.limits.series_count_max = 1000; /* so that verdicts travel, too */
    fixture_start(&f, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        shards[i] = (struct shard_thread){.f = &f, .post = &post, .shard = i};
        assert_int_equal(pthread_create(&shards[i].thread, NULL, run_shard, &shards[i]), 0);
    }
    run_aggregator(&f, &post);
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_int_equal(pthread_join(shards[i].thread, NULL), 0);
        take_back(&shards[i]);
        sent += shards[i].sent;
    }
    assert_int_equal(sent, SHARDS * FLIPS * RECORDS_A_FLIP);
    assert_int_equal(fixture_find(&f, "mesh_requests", NULL).sum, sent);
    assert_int_equal(fixture_find(&f, "mesh_request_duration_seconds", NULL).sum, sent);
    fixture_check_ledger(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(deltas_are_all_that_is_shared)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
