/* Who is at the other end: control groups, fixture trees of /proc, and this very process. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/sender.h"
#include "core/error.h"

#define UID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define UID_SYSTEMD "0f8fad5b_d9cb_469f_a165_70867728950e"
#define HEX64 "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccddddddddddddeeeeeeeeeeee0123"
#define OTHER64 "ffffffffffffbbbbbbbbbbbbccccccccccccddddddddddddeeeeeeeeeeee0123"

static void test_control_groups(void **state)
{
    static const struct {
        const char *text;
        enum sender_kind kind;
        const char *name;
        const char *container;
    } rows[] = {
        {"0::/kubepods/burstable/pod" UID "/" HEX64 "\n", SENDER_POD, UID, HEX64},
        {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_SYSTEMD
         ".slice/cri-containerd-" HEX64 ".scope\n",
            SENDER_POD, UID, HEX64},
        {"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_SYSTEMD ".slice/crio-" HEX64
         ".scope",
            SENDER_POD, UID, HEX64},
        {"12:pids:/kubepods/besteffort/pod" UID "/" HEX64 "\n11:memory:/kubepods/besteffort/pod" UID "/" HEX64
         "\n",
            SENDER_POD, UID, HEX64},
        {"2:cpu,cpuacct:/\n1:name=systemd:/kubepods/pod" UID "/" HEX64
         "\n0::/system.slice/containerd.service\n",
            SENDER_POD, UID, HEX64},
        {"0::/../../pod" UID "/" HEX64 "\n", SENDER_POD, UID, HEX64},
        {"0::/kubepods/pod0123456789abcdef0123456789abcdef/" HEX64 "\n", SENDER_POD,
            "0123456789abcdef0123456789abcdef", HEX64},
        {"0::/kubepods/pod" UID "\n", SENDER_POD, UID, ""},
        /* a process below its own group cannot take another pod's name */
        {"0::/kubepods/pod" UID "/" HEX64 "/pod11111111-1111-1111-1111-111111111111/" OTHER64 "\n",
            SENDER_POD, UID, HEX64},
        {"0::/docker/" HEX64 "\n", SENDER_CONTAINER, "aaaaaaaaaaaa", HEX64},
        {"0::/system.slice/docker-" HEX64 ".scope\n", SENDER_CONTAINER, "aaaaaaaaaaaa", HEX64},
        {"0::/machine.slice/libpod-" HEX64 ".scope/container\n", SENDER_CONTAINER, "aaaaaaaaaaaa", HEX64},
        {"0::/system.slice/envoy.service\n", SENDER_UNIT, "envoy.service", ""},
        {"0::/system.slice/envoy@a.service/evil.service\n", SENDER_UNIT, "envoy@a.service", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sender sender = {.kind = SENDER_UNKNOWN};

        if (!sender_read_cgroup(slice_of_string(rows[i].text), &sender)) {
            fail_msg("nothing in %s", rows[i].text);
        }
        assert_int_equal(sender.kind, rows[i].kind);
        assert_string_equal(sender.name, rows[i].name);
        assert_string_equal(sender.container, rows[i].container);
    }
}

static void test_control_groups_that_tell_nothing(void **state)
{
    static const char *const texts[] = {"", "\n", "0::/\n", "0::", ":::", "0", "0::/init.scope\n",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/envoy.service\n",
        "0::/user.slice/user-1000.slice/user@1000.service/pod" UID "\n", "0::/podshort/x\n",
        "0::/pod0f8fad5b-d9cb-469f-a165-70867728950g\n", "0::/pod0f8fad5bxd9cb-469f-a165-70867728950e\n",
        "0::/x" HEX64 "\n", "0::/AAAAAAAAAAAABBBBBBBBBBBBccccccccccccddddddddddddeeeeeeeeeeee0123\n",
        "0::////\n", "\xff\xfe\x00"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct sender sender = {.kind = SENDER_USER, .name = "kept"};

        assert_false(sender_read_cgroup(slice_of_string(texts[i]), &sender));
        assert_int_equal(sender.kind, SENDER_USER);
        assert_string_equal(sender.name, "kept");
    }
}

/* A /proc of our own, with one process in it. */
struct tree {
    char root[64];
    char process[96];
};

static void write_file(const struct tree *tree, const char *name, const char *text)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", tree->process, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void tree_init(struct tree *tree, const char *stat_text, const char *cgroup, const char *comm)
{
    snprintf(tree->root, sizeof tree->root, "/tmp/weft-sender-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
    snprintf(tree->process, sizeof tree->process, "%s/42", tree->root);
    assert_int_equal(mkdir(tree->process, 0700), 0);
    if (stat_text != NULL) {
        write_file(tree, "stat", stat_text);
    }
    if (cgroup != NULL) {
        write_file(tree, "cgroup", cgroup);
    }
    if (comm != NULL) {
        write_file(tree, "comm", comm);
    }
}

static void tree_deinit(struct tree *tree)
{
    static const char *const names[] = {"stat", "cgroup", "comm", "exe"};
    char path[160];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", tree->process, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(tree->process), 0);
    assert_int_equal(rmdir(tree->root), 0);
}

#define STAT(start) "42 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " start " 20\n"

static void test_a_process_of_a_fixture(void **state)
{
    struct tree tree;
    struct sender sender = {.uid = 1337};
    char path[160];

    (void)state;
    tree_init(&tree, STAT("777"), "0::/kubepods/pod" UID "/" HEX64 "\n", "envoy\n");
    assert_int_equal(sender_read_process(tree.root, 42, &sender), 0);
    assert_int_equal(sender.kind, SENDER_POD);
    assert_int_equal(sender.start_ticks, 777);
    assert_int_equal(sender.pid, 42);
    sender_id_format(&sender);
    assert_string_equal(sender.id, "pod/" UID);
    assert_true(sender_is_alive(&sender, tree.root));
    write_file(&tree, "stat", STAT("778")); /* another process under the same pid */
    assert_false(sender_is_alive(&sender, tree.root));
    assert_int_equal(sender_read_process(tree.root, 43, &sender), WERR_NOT_FOUND);
    tree_deinit(&tree);

    tree_init(&tree, STAT("777"), "0::/\n", "en/vo y\n");
    sender = (struct sender){.uid = 1337};
    assert_int_equal(sender_read_process(tree.root, 42, &sender), 0);
    sender_id_format(&sender);
    assert_string_equal(sender.id, "process/en_vo_y:1337");
    snprintf(path, sizeof path, "%s/exe", tree.process);
    assert_int_equal(symlink("/usr/bin/envoy (deleted)", path), 0);
    sender = (struct sender){.uid = 1337};
    assert_int_equal(sender_read_process(tree.root, 42, &sender), 0);
    sender_id_format(&sender);
    assert_string_equal(sender.id, "process/envoy:1337");
    tree_deinit(&tree);
}

static void test_damaged_fixtures(void **state)
{
    static const char *const stats[] = {
        NULL, "", "42 envoy S 1", "42 (x) S", "42 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x 20"};
    struct tree tree;
    struct sender sender = {.kind = SENDER_USER, .uid = 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(stats); i++) {
        tree_init(&tree, stats[i], "0::/docker/" HEX64, "x");
        assert_int_equal(sender_read_process(tree.root, 42, &sender), WERR_NOT_FOUND);
        assert_int_equal(sender.kind, SENDER_USER); /* untouched */
        tree_deinit(&tree);
    }
    tree_init(&tree, STAT("5"), NULL, NULL);
    assert_int_equal(sender_read_process(tree.root, 42, &sender), 0);
    assert_int_equal(sender.kind, SENDER_USER);
    tree_deinit(&tree);
}

static void test_this_process_over_a_socket(void **state)
{
    int fds[2];
    struct sender sender;
    struct sender again;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(sender_of_socket(fds[0], "/proc", &sender), 0);
    assert_int_equal(sender.pid, getpid());
    assert_int_equal(sender.uid, getuid());
    assert_true(sender.start_ticks > 0);
    assert_true(sender.kind == SENDER_POD || sender.kind == SENDER_CONTAINER || sender.kind == SENDER_UNIT ||
                sender.kind == SENDER_PROCESS);
    assert_true(sender_is_alive(&sender, "/proc"));
    assert_int_equal(sender_of_socket(fds[1], "/proc", &again), 0);
    assert_string_equal(sender.id, again.id); /* stable */
    /* /proc that does not show the process: the user is all that is known. */
    assert_int_equal(sender_of_socket(fds[0], "/nonexistent", &sender), 0);
    assert_int_equal(sender.kind, SENDER_USER);
    assert_true(strncmp(sender.id, "user/", 5) == 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(sender_of_socket(fds[0], "/proc", &sender), WERR_IO);
}

/* A pid that belongs to another process by now is not believed: that process began after the connection was
 * accepted. */
static void test_a_reused_pid_is_not_trusted(void **state)
{
    int fds[2];
    struct sender sender;
    struct tree tree;
    char path[160];

    (void)state;
    tree_init(&tree, "42 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 18446744073709551615 20",
        "0::/docker/" HEX64, "x");
    snprintf(path, sizeof path, "%s/%ld", tree.root, (long)getpid());
    assert_int_equal(rename(tree.process, path), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(sender_of_socket(fds[0], tree.root, &sender), 0);
    assert_int_equal(sender.kind, SENDER_USER);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(rename(path, tree.process), 0);
    tree_deinit(&tree);
}

/* The peer connected and has gone before it is looked at: its pid must name nobody. */
static void test_a_peer_that_has_gone(void **state)
{
    char directory[] = "/tmp/weft-sender-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sender sender;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    pid_t child;
    int status;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int own = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(own, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(sender_of_socket(fd, "/proc", &sender), 0);
    assert_int_equal(sender.kind, SENDER_USER);
    assert_int_equal(sender.uid, getuid());
    assert_false(sender_is_alive(&sender, "/proc"));
    close(fd);
    close(listener);
    unlink(address.sun_path);
    assert_int_equal(rmdir(directory), 0);
}

static void test_ids_and_labels(void **state)
{
    static const struct {
        const char *id;
        const char *kind;
        const char *workload;
        const char *space;
    } rows[] = {
        {"pod/" UID, "pod", UID, ""},
        {"pod/shop/" UID, "pod", UID, "shop"},
        {"unit/envoy.service", "unit", "envoy.service", ""},
        {"process/envoy:1337", "process", "envoy:1337", ""},
        {"user/65534", "user", "65534", ""},
        {"container/aaaaaaaaaaaa", "container", "aaaaaaaaaaaa", ""},
        {"unknown", "unknown", "unknown", ""},
        {"", "unknown", "", ""},
        {"other/x", "unknown", "other/x", ""},
        {"unknown/x", "unknown", "unknown/x", ""},
        {"/", "unknown", "/", ""},
    };
    struct sender sender = {.kind = SENDER_POD, .name = UID, .namespace = "shop"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sender_labels labels = sender_labels_of(slice_of_string(rows[i].id));

        assert_text(labels.kind, rows[i].kind);
        assert_text(labels.workload, rows[i].workload);
        assert_text(labels.workload_namespace, rows[i].space);
    }
    sender_id_format(&sender);
    assert_string_equal(sender.id, "pod/shop/" UID);
    sender = (struct sender){.kind = SENDER_USER, .uid = SENDER_UID_UNMAPPED};
    sender_id_format(&sender);
    assert_string_equal(sender.id, "user/65534");
    sender = (struct sender){.kind = 99};
    sender_id_format(&sender);
    assert_string_equal(sender_kind_name((enum sender_kind)99), "unknown");
}

static void test_contradictions(void **state)
{
    const struct sender pod = {.kind = SENDER_POD, .name = UID, .namespace = "shop"};
    const struct sender pod_only = {.kind = SENDER_POD, .name = UID};
    const struct sender process = {.kind = SENDER_PROCESS, .name = "envoy"};
    const struct sender_claim other_pod = {.pod_uid = SLICE_LITERAL("11111111-1111-1111-1111-111111111111")};
    const struct sender_claim same_pod = {.pod_uid = SLICE_LITERAL(UID)};
    const struct sender_claim other_space = {.service_namespace = SLICE_LITERAL("bank")};
    const struct sender_claim same_space = {.service_namespace = SLICE_LITERAL("shop")};
    const struct sender_claim nothing = {.pod_uid = {.length = 0}};

    (void)state;
    assert_true(sender_contradicts(&pod, &other_pod));
    assert_false(sender_contradicts(&pod, &same_pod));
    assert_true(sender_contradicts(&pod, &other_space));
    assert_false(sender_contradicts(&pod, &same_space));
    assert_false(sender_contradicts(&pod, &nothing));
    assert_false(sender_contradicts(&pod_only, &other_space));
    assert_false(sender_contradicts(&process, &other_pod));
    assert_false(sender_contradicts(&process, &other_space));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_groups),
        cmocka_unit_test(test_control_groups_that_tell_nothing),
        cmocka_unit_test(test_a_process_of_a_fixture),
        cmocka_unit_test(test_damaged_fixtures),
        cmocka_unit_test(test_this_process_over_a_socket),
        cmocka_unit_test(test_a_reused_pid_is_not_trusted),
        cmocka_unit_test(test_a_peer_that_has_gone),
        cmocka_unit_test(test_ids_and_labels),
        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
