/*
 * After its first record a thread makes no system call for further ones: it records under seccomp's strict
 * mode, in which any but read, write and exit kills it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/weft.h"

enum { SPANS_COUNT = 20000, PARENT_WAIT_S = 30 };

struct subject {
    struct weft_client *client;
    struct weft_counter *counter;
    struct weft_gauge *gauge;
    struct weft_histogram *histogram;
    int pipe_fd;
};

static void *record_in_jail(void *user)
{
    const struct subject *subject = user;
    struct weft_span span = {.trace_id = {1}, .span_id = {1}};
    char done = 'y';

    if (weft_record_span(subject->client, &span) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
        done = 'n';
    }
    for (int i = 0; i < SPANS_COUNT; i++) {
        (void)weft_record_span(subject->client, &span); /* dropping is fine, and must not call either */
        weft_counter_add(subject->counter, 1);
        weft_gauge_set(subject->gauge, i);
        weft_histogram_record(subject->histogram, i * 1e-3);
    }
    if (write(subject->pipe_fd, &done, 1) != 1) {
        abort();
    }
    syscall(SYS_exit, 0);
    return NULL;
}

static int run_subject(int pipe_fd)
{
    struct subject subject = {.pipe_fd = pipe_fd};
    struct weft_options options;
    const struct weft_metric metric = {.name = "m"};
    pthread_t thread;

    weft_options_init(&options);
    options.socket_path = "/nonexistent/weft.sock";
    if (weft_open(&options, &subject.client) != 0 ||
        weft_counter_new(subject.client, &metric, &subject.counter) != 0 ||
        weft_gauge_new(subject.client, &metric, &subject.gauge) != 0 ||
        weft_histogram_new(subject.client, &metric, &subject.histogram) != 0 ||
        pthread_create(&thread, NULL, record_in_jail, &subject) != 0) {
        return 1;
    }
    alarm(PARENT_WAIT_S);
    pthread_join(thread, NULL);
    return 0;
}

static void test_no_system_call(void **state)
{
    int fds[2];
    int status;
    char done = 0;
    (void)state;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizers make calls of their own */
#endif
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(run_subject(fds[1]));
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &done, 1), 1); /* 0: killed before the end */
    assert_int_equal(done, 'y');
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_system_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
