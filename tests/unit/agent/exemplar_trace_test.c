/* Questions about traces that exemplars lead to: what is pinned is found, whatever the shards still have of
 * it. */
#include "desk_rig.h"

static void on_exemplars_answered(struct mail *mail, void *receiver)
{
    (void)mail;
    ((struct desk_rig *)receiver)->answers_count++;
}

/* The span 1 of TRACE as an exemplar, which it becomes. */
static void pin(struct desk_rig *rig, struct exemplar_letter *letter)
{
    size_t count = rig->answers_count;

    *letter = (struct exemplar_letter){.reply_to = &rig->mailbox,
        .answered = on_exemplars_answered,
        .retention_ns = 60000000000,
        .offer_count = 1,
        .offers = {
            {.trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, .span_id = {[7] = 1}}}};
    assert_true(trace_thread_offer_exemplars(rig->thread, letter));
    wait_for_answers(rig, count + 1);
    assert_true(letter->is_granted[0]);
}

static void what_an_exemplar_leads_to_is_found_when_the_shards_have_forgotten_it(void **state)
{
    static struct exemplar_letter letter;
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].spans = ONE;
    pin(&rig, &letter);
    rig.shards[0].spans = NULL;
    rig.shards[1].spans = TWO;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 2);
    json_decref(answer);
    rig.shards[0].spans = ONE; /* twice now, and told once */
    answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 2);
    json_decref(answer);
    json_decref(get(&rig, "/api/v1/traces/" OTHER, NULL, NULL, 404));
    rig.shards[0].spans = rig.shards[1].spans = NULL;
    answer = get(&rig, "/api/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "data")), 1);
    json_decref(answer);
    stop(&rig);
}

enum { NAME_BYTES = 70000 };

static void a_trace_that_has_grown_too_large_shows_what_is_pinned(void **state)
{
    static struct exemplar_letter letter;
    static char spans[sizeof TWO + NAME_BYTES];
    static const char text[] = TWO;
    struct desk_rig rig;

    (void)state;
    size_t before = (size_t)(strstr(text, "\"two\"") - text) + 1;
    memcpy(spans, text, before);
    memset(spans + before, 'n', NAME_BYTES);
    memcpy(spans + before + NAME_BYTES, text + before, sizeof text - before);
    start_with(&rig, "  query_answer_bytes_max: 65536\n", "");
    rig.shards[0].spans = ONE;
    pin(&rig, &letter);
    rig.shards[1].spans = spans;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 1);
    assert_true(warns(answer, "query_answer_bytes_max"));
    json_decref(answer);
    answer = get(&rig, "/api/traces/" TRACE, NULL, NULL, 200);
    const json_t *trace = json_array_get(json_object_get(answer, "data"), 0);
    assert_int_equal(json_array_size(json_object_get(trace, "spans")), 1);
    json_decref(answer);
    stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_exemplar_leads_to_is_found_when_the_shards_have_forgotten_it),
        cmocka_unit_test(a_trace_that_has_grown_too_large_shows_what_is_pinned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
