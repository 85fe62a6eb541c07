/* The service manager's protocol against a manager in the test: what is read of the environment, good and
 * bad, and each datagram as it arrives, at a path and at an abstract name. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/error.h"
#include "service_manager.h"

enum { OWN_PID = 4711, FIRST = 200 };

static struct service_environment nothing(void)
{
    return (struct service_environment){.pid = OWN_PID, .first_descriptor = FIRST};
}

/* A manager's socket; `name` is what NOTIFY_SOCKET says. */
struct listening {
    char directory[64];
    char name[108];
    int fd;
};

static void listening_begin(struct listening *listening, bool is_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = 20};

    (void)snprintf(listening->directory, sizeof listening->directory, "/tmp/weft-manager-XXXXXX");
    assert_non_null(mkdtemp(listening->directory));
    (void)snprintf(
        listening->name, sizeof listening->name, "%s%s/notify", is_abstract ? "@" : "", listening->directory);
    size_t length = strlen(listening->name);
    memcpy(address.sun_path, listening->name, length);
    if (is_abstract) {
        address.sun_path[0] = '\0';
    }
    listening->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening->fd, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
        0);
    assert_int_equal(setsockopt(listening->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
}

static void listening_end(struct listening *listening)
{
    (void)close(listening->fd);
    if (listening->name[0] == '/') {
        assert_int_equal(unlink(listening->name), 0);
    }
    assert_int_equal(rmdir(listening->directory), 0);
}

static void expect_told(const struct listening *listening, const char *expected)
{
    char text[1024];
    ssize_t length = recv(listening->fd, text, sizeof text - 1, 0);

    assert_true(length >= 0);
    text[length] = '\0';
    assert_string_equal(text, expected);
}

static void without_a_manager_all_is_well(void **state)
{
    struct service_environment environment = nothing();
    struct service_manager manager;

    (void)state;
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    assert_int_equal(service_manager_ready(&manager, "up"), 0);
    assert_int_equal(service_manager_reloading(&manager, 1), 0);
    assert_int_equal(service_manager_stopping(&manager, NULL, 1000), 0);
    assert_int_equal(service_manager_status(&manager, "up"), 0);
    assert_int_equal(service_manager_alive(&manager), 0);
    assert_int_equal(service_manager_interval_ms(&manager, 1000), 1000);
    assert_int_equal(service_manager_take(&manager, "weft.sock"), WERR_NOT_FOUND);
    assert_int_equal(service_manager_take(&manager, ""), WERR_NOT_FOUND);
    assert_null(service_manager_drop_next(&manager));
    service_manager_deinit(&manager);
    service_manager_deinit(&manager);
    service_manager_deinit(&(struct service_manager){0});
    service_manager_deinit(NULL);
    assert_int_not_equal(fcntl(STDIN_FILENO, F_GETFD), -1); /* a zeroed one closes nothing */
}

static void tell_all(bool is_abstract)
{
    struct listening listening;
    struct service_environment environment = nothing();
    struct service_manager manager;

    listening_begin(&listening, is_abstract);
    environment.notify_socket = listening.name;
    environment.watchdog_usec = "30000000";
    environment.watchdog_pid = "4711";
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    assert_int_equal(service_manager_ready(&manager, "taking records"), 0);
    expect_told(&listening, "READY=1\nSTATUS=taking records");
    assert_int_equal(service_manager_ready(&manager, NULL), 0);
    expect_told(&listening, "READY=1");
    assert_int_equal(service_manager_alive(&manager), 0);
    expect_told(&listening, "WATCHDOG=1");
    assert_int_equal(service_manager_reloading(&manager, 7000000001), 0);
    expect_told(&listening, "RELOADING=1\nMONOTONIC_USEC=7000000");
    assert_int_equal(service_manager_reloaded(&manager, "up", ""), 0);
    expect_told(&listening, "READY=1\nSTATUS=up");
    assert_int_equal(service_manager_reloaded(&manager, "up", "weft.yaml:3: no such key"), 0);
    expect_told(&listening, "READY=1\nSTATUS=up; the last reload was refused: weft.yaml:3: no such key");
    assert_int_equal(service_manager_status(&manager, "two\nlines\r\nof it"), 0);
    expect_told(&listening, "STATUS=two lines  of it");
    assert_int_equal(service_manager_stopping(&manager, "draining", 20000), 0);
    expect_told(&listening, "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\nSTATUS=draining");
    service_manager_deinit(&manager);
    listening_end(&listening);
}

static void states_are_told_at_a_path(void **state)
{
    (void)state;
    tell_all(false);
}

static void states_are_told_at_an_abstract_name(void **state)
{
    (void)state;
    tell_all(true);
}

static void a_long_status_is_cut(void **state)
{
    struct listening listening;
    struct service_environment environment = nothing();
    struct service_manager manager;
    char status[2000];
    char text[1024];

    (void)state;
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    listening_begin(&listening, false);
    environment.notify_socket = listening.name;
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    assert_int_equal(service_manager_ready(&manager, status), 0);
    ssize_t length = recv(listening.fd, text, sizeof text, 0);
    assert_true(length > 100 && length < SERVICE_MANAGER_STATUS_BYTES + 16);
    assert_memory_equal(text, "READY=1\nSTATUS=xxx", 18);
    service_manager_deinit(&manager);
    listening_end(&listening);
}

static void a_manager_that_went_is_an_error_and_no_more(void **state)
{
    struct listening listening;
    struct service_environment environment = nothing();
    struct service_manager manager;

    (void)state;
    listening_begin(&listening, false);
    environment.notify_socket = listening.name;
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    listening_end(&listening);
    assert_int_equal(service_manager_ready(&manager, NULL), WERR_IO);
    service_manager_deinit(&manager);
}

static void bad_notify_sockets_are_refused(void **state)
{
    static const char *const bad[] = {"relative", "/", "@", "vsock:2:1234"};
    struct service_environment environment = nothing();
    struct service_manager manager;
    char path[200];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        environment.notify_socket = bad[i];
        assert_int_equal(service_manager_init(&manager, &environment), WERR_INVALID);
        assert_int_equal(manager.fd, -1);
    }
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    environment.notify_socket = path;
    assert_int_equal(service_manager_init(&manager, &environment), WERR_OVERSIZED);
    environment.notify_socket = ""; /* as not set */
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    service_manager_deinit(&manager);
}

static void the_watchdog_sets_the_pace(void **state)
{
    static const struct {
        const char *usec;
        const char *pid;
        int error;
        uint64_t interval_ms;
    } rows[] = {
        {"30000000", "4711", 0, 1000},
        {"30000000", NULL, 0, 1000},
        {"1000000", "4711", 0, 500},
        {"1", "4711", 0, 1},
        {"1000000", "4712", 0, 1000}, /* somebody else's */
        {"0", "4711", WERR_INVALID, 0},
        {"-1", "4711", WERR_INVALID, 0},
        {"10s", "4711", WERR_INVALID, 0},
        {"9999999999999999999999", "4711", WERR_INVALID, 0},
        {"1000000", "", WERR_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct service_environment environment = nothing();
        struct service_manager manager;
        environment.watchdog_usec = rows[i].usec;
        environment.watchdog_pid = rows[i].pid;
        assert_int_equal(service_manager_init(&manager, &environment), rows[i].error);
        if (rows[i].error == 0) {
            assert_int_equal(service_manager_interval_ms(&manager, 1000), rows[i].interval_ms);
        }
        service_manager_deinit(&manager);
    }
}

/* Descriptors from FIRST on, as a manager leaves them: open across exec. */
static void pass(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = open("/dev/null", O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(dup2(fd, FIRST + (int)i), FIRST + (int)i);
        (void)close(fd);
    }
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void passed_descriptors_are_taken_by_name(void **state)
{
    struct service_environment environment = nothing();
    struct service_manager manager;

    (void)state;
    pass(4);
    environment.listen_pid = "4711";
    environment.listen_fds = "4";
    environment.listen_names = "api.sock:weft.sock::weft.sock";
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fcntl(FIRST + i, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    assert_int_equal(service_manager_take(&manager, "weft.sock"), FIRST + 1);
    assert_int_equal(service_manager_take(&manager, "weft.sock"), FIRST + 3);
    assert_int_equal(service_manager_take(&manager, "weft.sock"), WERR_NOT_FOUND);
    assert_int_equal(service_manager_take(&manager, "weft"), WERR_NOT_FOUND);
    assert_string_equal(service_manager_drop_next(&manager), "api.sock");
    assert_false(is_open(FIRST));
    service_manager_deinit(&manager); /* the one without a name */
    assert_false(is_open(FIRST + 2));
    assert_true(is_open(FIRST + 1) && is_open(FIRST + 3)); /* ours now */
    (void)close(FIRST + 1);
    (void)close(FIRST + 3);
}

static void names_may_be_missing_or_too_long(void **state)
{
    struct service_environment environment = nothing();
    struct service_manager manager;
    char names[SERVICE_MANAGER_NAME_BYTES + 20];

    (void)state;
    memset(names, 'n', sizeof names);
    (void)snprintf(names + SERVICE_MANAGER_NAME_BYTES, 20, ":second");
    pass(3);
    environment.listen_pid = "4711";
    environment.listen_fds = "3";
    environment.listen_names = names;
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    assert_string_equal(service_manager_drop_next(&manager), "");
    assert_string_equal(service_manager_drop_next(&manager), "second");
    assert_string_equal(service_manager_drop_next(&manager), "");
    assert_null(service_manager_drop_next(&manager));
    service_manager_deinit(&manager);
}

static void another_process_descriptors_are_left_alone(void **state)
{
    struct service_environment environment = nothing();
    struct service_manager manager;

    (void)state;
    pass(1);
    environment.listen_fds = "1";
    environment.listen_names = "weft.sock";
    assert_int_equal(service_manager_init(&manager, &environment), 0); /* for nobody */
    assert_int_equal(service_manager_take(&manager, "weft.sock"), WERR_NOT_FOUND);
    environment.listen_pid = "47110";
    assert_int_equal(service_manager_init(&manager, &environment), 0);
    assert_int_equal(service_manager_take(&manager, "weft.sock"), WERR_NOT_FOUND);
    service_manager_deinit(&manager);
    assert_int_equal(fcntl(FIRST, F_GETFD), 0);
    (void)close(FIRST);
}

static void bad_counts_are_refused(void **state)
{
    static const struct {
        const char *fds;
        const char *pid;
        int error;
    } rows[] = {
        {"2", "4711", WERR_INVALID}, /* the second one is not open */
        {"", "4711", WERR_INVALID},
        {"-1", "4711", WERR_INVALID},
        {"1x", "4711", WERR_INVALID},
        {"1", "x", WERR_INVALID},
        {"17", "4711", WERR_OVERSIZED},
        {"4294967297", "4711", WERR_OVERSIZED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct service_environment environment = nothing();
        struct service_manager manager;
        pass(1);
        environment.listen_fds = rows[i].fds;
        environment.listen_pid = rows[i].pid;
        assert_int_equal(service_manager_init(&manager, &environment), rows[i].error);
        assert_int_equal(manager.descriptor_count, 0);
        (void)close(FIRST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_manager_all_is_well),
        cmocka_unit_test(states_are_told_at_a_path),
        cmocka_unit_test(states_are_told_at_an_abstract_name),
        cmocka_unit_test(a_long_status_is_cut),
        cmocka_unit_test(a_manager_that_went_is_an_error_and_no_more),
        cmocka_unit_test(bad_notify_sockets_are_refused),
        cmocka_unit_test(the_watchdog_sets_the_pace),
        cmocka_unit_test(passed_descriptors_are_taken_by_name),
        cmocka_unit_test(names_may_be_missing_or_too_long),
        cmocka_unit_test(another_process_descriptors_are_left_alone),
        cmocka_unit_test(bad_counts_are_refused),
    };
    return cmocka_run_group_tests_name("service_manager", tests, NULL, NULL);
}
