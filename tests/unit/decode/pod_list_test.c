/* Lists of pods as kubelets answer, and labels as the downward API writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "decode/pod_list.h"

struct told {
    int count;
    char text[2048];
};

static int print(char *out, size_t room, struct slice text, const char *end)
{
    return snprintf(
        out, room, "%.*s%s", (int)text.length, text.length > 0 ? (const char *)text.ptr : "", end);
}

static void on_pod(void *user, const struct pod_facts *pod)
{
    struct told *told = user;
    size_t used = strlen(told->text);
    const struct slice parts[] = {
        pod->uid, pod->pod_namespace, pod->name, pod_workload(pod), pod->app, pod->version};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        used += (size_t)print(told->text + used, sizeof told->text - used, parts[i], i < 5 ? "|" : "\n");
    }
    told->count++;
}

static int read_list(const char *json, struct told *told)
{
    struct pod_sink sink = {.on_pod = on_pod, .user = told};

    *told = (struct told){.count = 0};
    return pod_list_read(slice_of_string(json), &sink);
}

#define POD(meta) "{\"metadata\":{" meta "},\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{}}"

static void owners_and_labels(void **state)
{
    struct told told;

    (void)state;
    assert_int_equal(
        read_list(
            "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[" POD(
                "\"name\":\"reviews-v1-7d5b9c4b6d-x2x4z\",\"namespace\":\"shop\",\"uid\":\"u1\",\"labels\":{"
                "\"app\":\"reviews\",\"version\":\"v1\",\"pod-template-hash\":\"7d5b9c4b6d\"},"
                "\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"n\"},{\"apiVersion\":\"apps/"
                "v1\",\"kind\":"
                "\"ReplicaSet\",\"name\":\"reviews-v1-7d5b9c4b6d\",\"controller\":true}]") "," POD("\"uid\":"
                                                                                                   "\"u2\","
                                                                                                   "\"name\":"
                                                                                                   "\"db-0\","
                                                                                                   "\"namespa"
                                                                                                   "ce\":"
                                                                                                   "\"data\","
                                                                                                   "\"labels"
                                                                                                   "\":{"
                                                                                                   "\"app\":"
                                                                                                   "\"x\","
                                                                                                   "\"app."
                                                                                                   "kubernete"
                                                                                                   "s.io/"
                                                                                                   "name\":"
                                                                                                   "\"db\","
                                                                                                   "\"app."
                                                                                                   "kubernete"
                                                                                                   "s.io/"
                                                                                                   "version\""
                                                                                                   ":\"16\","
                                                                                                   "\"version"
                                                                                                   "\":\"y\"}"
                                                                                                   ","
                                                                                                   "\"ownerRe"
                                                                                                   "ferences"
                                                                                                   "\":[{"
                                                                                                   "\"kind\":"
                                                                                                   "\"Statefu"
                                                                                                   "lSet\","
                                                                                                   "\"name\":"
                                                                                                   "\"db\","
                                                                                                   "\"control"
                                                                                                   "ler\":"
                                                                                                   "true}]") "," POD("\"uid\":\"u3\",\"name\":\"alone\",\"namespace\":\"default\"") "," POD("\"name\":\"no uid\"") ", 7 ]}",
            &told),
        0);
    assert_string_equal(told.text, "u1|shop|reviews-v1-7d5b9c4b6d-x2x4z|reviews-v1|reviews|v1\n"
                                   "u2|data|db-0|db|db|16\n"
                                   "u3|default|alone|alone||\n");
}

static void what_is_no_list(void **state)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", WERR_TRUNCATED},
        {"[]", WERR_INVALID},
        {"{}", WERR_INVALID},
        {"{\"items\":[}", WERR_INVALID},
        {"{\"items\":[{\"metadata\":{\"uid\":\"u\"", WERR_TRUNCATED},
        {"{\"items\":[]} x", WERR_INVALID},
        {"Unauthorized", WERR_INVALID},
        {"{\"items\":null}", 0},
        {"{\"items\":[]}", 0},
        {"{\"items\":[{\"metadata\":[]},{\"metadata\":{\"labels\":[],\"ownerReferences\":[1,{\"kind\":{}}]}}]"
         "}",
            0},
    };
    struct told told;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int error = read_list(rows[i].text, &told);
        if (error != rows[i].error) {
            print_error("%s: %d\n", rows[i].text, error);
        }
        assert_int_equal(error, rows[i].error);
        assert_int_equal(told.count, 0);
    }
}

static void too_deep(void **state)
{
    char text[1024] = "{\"items\":[{\"spec\":";
    size_t used = strlen(text);
    struct told told;

    (void)state;
    for (int i = 0; i < POD_LIST_DEPTH_MAX; i++) {
        text[used++] = '[';
    }
    text[used] = '\0';
    assert_int_equal(read_list(text, &told), WERR_DEPTH);
}

static void labels_of_a_file(void **state)
{
    struct pod_facts facts = {.name = SLICE_LITERAL("web-5c9f7d8b4-k7k2p")};

    (void)state;
    pod_labels_read(SLICE_LITERAL("app=\"web\"\nversion=\"v\\\"2\"\nnonsense\nempty=\"\"\n=\"\"\nx=y\n"
                                  "pod-template-hash=\"5c9f7d8b4\""),
        &facts);
    assert_true(slice_equal(facts.app, SLICE_LITERAL("web")));
    assert_int_equal(facts.version.length, 0); /* escapes are not undone */
    assert_true(slice_equal(pod_workload(&facts), SLICE_LITERAL("web")));
    facts.template_hash = SLICE_LITERAL("another");
    assert_true(slice_equal(pod_workload(&facts), facts.name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_and_labels),
        cmocka_unit_test(what_is_no_list),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(labels_of_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
