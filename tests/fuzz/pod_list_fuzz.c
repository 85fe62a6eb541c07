/*
 * Lists of pods and files of labels on arbitrary bytes. Besides not crashing: what is told lies within the
 * input, every pod has a uid and a name, and a workload's name begins its owner's or its own.
 *
 * The first byte: 0 a list, 1 a file of labels; the rest is the text.
 */
#include "fuzz.h"

#include "decode/pod_list.h"

static void check_within(struct slice text, struct slice part)
{
    FUZZ_CHECK(
        part.length == 0 || (part.ptr >= text.ptr && part.ptr + part.length <= text.ptr + text.length));
}

static void on_pod(void *user, const struct pod_facts *pod)
{
    const struct slice *text = user;
    struct slice workload = pod_workload(pod);

    FUZZ_CHECK(pod->uid.length > 0 && pod->name.length > 0 && workload.length > 0);
    check_within(*text, pod->uid);
    check_within(*text, pod->name);
    check_within(*text, pod->pod_namespace);
    check_within(*text, pod->app);
    check_within(*text, pod->version);
    FUZZ_CHECK(slice_has_prefix(pod->owner_name.length > 0 ? pod->owner_name : pod->name, workload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_facts facts = {.name = SLICE_LITERAL("web-5c9f7d8b4-k7k2p")};

    if (size == 0) {
        return 0;
    }
    struct slice text = slice_of(data + 1, size - 1);
    struct pod_sink sink = {.on_pod = on_pod, .user = &text};
    if (data[0] == 0) {
        FUZZ_CHECK(pod_list_read(text, &sink) <= 0);
        return 0;
    }
    pod_labels_read(text, &facts);
    check_within(text, facts.app);
    check_within(text, facts.version);
    check_within(text, facts.template_hash);
    FUZZ_CHECK(slice_has_prefix(facts.name, pod_workload(&facts)));
    return 0;
}
