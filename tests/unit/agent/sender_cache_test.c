/* Senders of datagrams by process id, against a made /proc: read once, again after a while, told apart. */
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "receivers/sender_cache.h"

struct cache_rig {
    struct rig rig;
    char proc[64];
    struct sender_cache *cache;
};

static void write_file(const struct cache_rig *c, int pid, const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%d/%s", c->proc, pid, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void write_process(const struct cache_rig *c, int pid, const char *name, unsigned start_ticks)
{
    char path[96];
    char text[256];

    (void)snprintf(path, sizeof path, "%s/%d", c->proc, pid);
    (void)mkdir(path, 0700);
    (void)snprintf(text, sizeof text, "%d (%s) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %u 0 0\n", pid,
        name, start_ticks);
    write_file(c, pid, "stat", text);
    write_file(c, pid, "comm", name);
    write_file(c, pid, "cgroup", "0::/\n");
}

static void remove_process(const struct cache_rig *c, int pid)
{
    static const char *const names[] = {"stat", "comm", "cgroup"};
    char path[128];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%d/%s", c->proc, pid, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/%d", c->proc, pid);
    (void)rmdir(path);
}

static struct cache_rig *start(void)
{
    struct cache_rig *c = calloc(1, sizeof *c);

    assert_non_null(c);
    rig_init(&c->rig);
    rig_start(&c->rig, NULL);
    (void)snprintf(c->proc, sizeof c->proc, "/tmp/weft-proc-XXXXXX");
    assert_non_null(mkdtemp(c->proc));
    c->cache = sender_cache_new(&c->rig.pipeline.context, c->proc);
    assert_non_null(c->cache);
    return c;
}

static void stop(struct cache_rig *c)
{
    sender_cache_free(c->cache);
    sender_cache_free(NULL);
    rig_stop(&c->rig);
    assert_int_equal(rmdir(c->proc), 0);
    free(c);
}

static const struct sender *find(struct cache_rig *c, pid_t pid, uid_t uid, uint64_t now_ms)
{
    struct ucred credentials = {.pid = pid, .uid = uid, .gid = uid};
    const struct sender *sender = sender_cache_find(c->cache, &credentials, 1 + now_ms * 1000000);

    assert_non_null(sender);
    struct slice text = interner_text(c->rig.pipeline.interner, sender->interned);
    assert_int_equal(text.length, strlen(sender->id)); /* bound under its id */
    assert_memory_equal(text.ptr, sender->id, text.length);
    return sender;
}

static void a_process_is_read_once_a_second(void **state)
{
    struct cache_rig *c = start();

    (void)state;
    write_process(c, 100, "envoy", 5000);
    assert_string_equal(find(c, 100, 7, 0)->id, "process/envoy:7");
    write_process(c, 100, "nginx", 9000); /* the pid has gone to another one */
    assert_string_equal(find(c, 100, 7, 900)->id, "process/envoy:7");
    assert_string_equal(find(c, 100, 7, 1100)->id, "process/nginx:7");
    remove_process(c, 100); /* it has ended: what it sent before is its own */
    assert_string_equal(find(c, 100, 7, 5000)->id, "process/nginx:7");
    stop(c);
}

static void who_cannot_be_seen(void **state)
{
    struct cache_rig *c = start();

    (void)state;
    assert_string_equal(sender_cache_find(c->cache, NULL, 1)->id, "unknown");
    assert_string_equal(find(c, 0, SENDER_UID_UNMAPPED, 0)->id, "unknown"); /* no credentials came */
    assert_string_equal(find(c, 0, 1337, 0)->id, "user/1337");              /* another pid namespace */
    assert_string_equal(find(c, 100, 1337, 0)->id, "user/1337");            /* ended before it was read */
    assert_string_equal(find(c, 0, 1338, 0)->id, "user/1338");
    stop(c);
}

/* More processes than have room: each is told right, whatever is forgotten, and all is given back. */
static void many_processes(void **state)
{
    enum { COUNT = SENDER_CACHE_SET_COUNT * (SENDER_CACHE_WAY_COUNT + 2) };
    struct cache_rig *c = start();
    char name[32];
    char expected[64];

    (void)state;
    for (int pid = 1; pid <= COUNT; pid++) {
        (void)snprintf(name, sizeof name, "p%d", pid);
        write_process(c, pid, name, (unsigned)pid);
    }
    for (int round = 0; round < 2; round++) {
        for (int pid = 1; pid <= COUNT; pid++) {
            (void)snprintf(expected, sizeof expected, "process/p%d:0", pid);
            assert_string_equal(find(c, pid, 0, (uint64_t)pid)->id, expected);
        }
    }
    for (int pid = 1; pid <= COUNT; pid++) {
        remove_process(c, pid);
    }
    stop(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_read_once_a_second),
        cmocka_unit_test(who_cannot_be_seen),
        cmocka_unit_test(many_processes),
    };

    return cmocka_run_group_tests_name("sender_cache", tests, NULL, NULL);
}
