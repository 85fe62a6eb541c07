/* Listening sockets: modes, stale files, a second instance, bad addresses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/error.h"
#include "listen/listener.h"

struct fixture {
    char directory[64];
    char path[96];
};

static int setup(void **state)
{
    static struct fixture fixture;

    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/weft-listener-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(fixture.path, sizeof fixture.path, "%s/run/weft.sock", fixture.directory);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *fixture = *state;
    char path[128];

    (void)unlink(fixture->path);
    (void)snprintf(path, sizeof path, "%s.lock", fixture->path);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/run", fixture->directory);
    (void)rmdir(path);
    return rmdir(fixture->directory);
}

static struct listener_unix_options options_for(const struct fixture *fixture)
{
    return (struct listener_unix_options){.path = fixture->path, .mode = 0660, .directory_mode = 0750};
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void modes_are_as_asked(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener listener;
    struct stat status;
    char directory[128];

    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), 0);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0750);
    int fd = connect_to(fixture->path);
    assert_true(fd >= 0);
    (void)close(fd);
    listener_close(&listener);
    assert_int_equal(stat(fixture->path, &status), -1);
    listener_close(&listener);
}

static void second_instance_is_refused_and_first_lives_on(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener first;
    struct listener second;

    assert_int_equal(listener_open_unix(&first, LISTENER_INGEST, &options), 0);
    assert_int_equal(listener_open_unix(&second, LISTENER_INGEST, &options), WERR_EXISTS);
    int fd = connect_to(fixture->path);
    assert_true(fd >= 0);
    (void)close(fd);
    listener_close(&first);
}

/* Bound and closed without unlink: what a killed agent leaves behind. */
static void leave_stale_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
}

static void stale_socket_is_replaced(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener listener;
    char directory[128];

    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(mkdir(directory, 0750), 0);
    leave_stale_socket(fixture->path);
    assert_int_equal(connect_to(fixture->path), -1);
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), 0);
    int fd = connect_to(fixture->path);
    assert_true(fd >= 0);
    (void)close(fd);
    listener_close(&listener);
}

static void live_socket_of_somebody_else_is_kept(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listener listener;
    char directory[128];

    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(mkdir(directory, 0750), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), WERR_EXISTS);
    assert_int_equal(access(fixture->path, F_OK), 0);
    (void)close(fd);
}

static void ordinary_file_is_never_removed(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener listener;
    char directory[128];

    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(mkdir(directory, 0750), 0);
    int fd = open(fixture->path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), WERR_EXISTS);
    assert_int_equal(access(fixture->path, F_OK), 0);
}

/* Whoever is in the group gets through the directory to the socket; a directory that was there is left alone.
 */
static void group_is_that_of_socket_and_of_a_new_directory(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener listener;
    struct stat status;
    char directory[128];
    char group[16];
    gid_t gid = geteuid() == 0 ? 1337 : getegid(); /* others may give a file to groups of theirs alone */

    (void)snprintf(group, sizeof group, "%u", (unsigned)gid);
    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    options.group = group;
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), 0);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_gid, gid);
    assert_int_equal(status.st_mode & 07777, 0750);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_gid, gid);
    listener_close(&listener);

    assert_int_equal(chown(directory, (uid_t)-1, getegid()), 0);
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), 0);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_gid, getegid());
    listener_close(&listener);
}

static void bad_paths_and_groups_are_refused(void **state)
{
    const struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct listener listener;
    char long_path[200];

    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    options.path = long_path;
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), WERR_OVERSIZED);
    options.path = "/nonexistent-weft/deeper/weft.sock";
    assert_true(listener_open_unix(&listener, LISTENER_INGEST, &options) < 0);
    options.path = fixture->path;
    options.group = "no-such-group-here";
    assert_int_equal(listener_open_unix(&listener, LISTENER_INGEST, &options), WERR_NOT_FOUND);
    assert_int_equal(access(fixture->path, F_OK), -1);
    (void)snprintf(long_path, sizeof long_path, "%s/run", fixture->directory);
    assert_int_equal(access(long_path, F_OK), -1);
}

static void tcp_addresses(void **state)
{
    static const char *const bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x",
        "localhost:80", "[::1:80", "::1:80"};
    struct listener listener;
    struct listener other;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(listener_open_tcp(&listener, LISTENER_HTTP, bad[i]), WERR_INVALID);
    }
    assert_int_equal(listener_open_tcp(&listener, LISTENER_HTTP, "127.0.0.1:0"), 0);
    assert_int_equal(strncmp(listener.address, "127.0.0.1:", 10), 0);
    assert_string_not_equal(listener.address, "127.0.0.1:0");
    assert_int_equal(listener_open_tcp(&other, LISTENER_HTTP, listener.address), WERR_EXISTS);
    listener_close(&listener);
}

/* ---- sockets that a service manager made ---- */

static int bound_unix(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void passed_unix_socket_is_used_and_never_removed(void **state)
{
    const struct fixture *fixture = *state;
    struct listener listener;
    char directory[128];

    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(mkdir(directory, 0750), 0);
    int fd = bound_unix(fixture->path, SOCK_STREAM);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(listener_adopt(&listener, LISTENER_INGEST, fd), 0);
    assert_int_equal(listener.fd, fd);
    assert_string_equal(listener.path, fixture->path);
    assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    int client = connect_to(fixture->path);
    assert_true(client >= 0);
    int accepted = accept(listener.fd, NULL, NULL);
    assert_true(accepted >= 0);
    (void)close(accepted);
    (void)close(client);
    listener_close(&listener);
    assert_int_equal(access(fixture->path, F_OK), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    listener_close(&listener);
}

static void passed_tcp_socket_is_used(void **state)
{
    struct listener made;
    struct listener adopted;

    (void)state;
    assert_int_equal(listener_open_tcp(&made, LISTENER_HTTP, "127.0.0.1:0"), 0);
    assert_int_equal(listener_adopt(&adopted, LISTENER_HTTP, made.fd), 0);
    assert_string_equal(adopted.address, made.address);
    assert_int_equal(listener_adopt(&adopted, LISTENER_INGEST, made.fd), WERR_INVALID);
    assert_int_equal(listener_adopt(&adopted, LISTENER_API, made.fd), WERR_INVALID);
    listener_close(&made);
}

static int abstract_listener(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* Bound to its family alone: the kernel chooses an abstract name. */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void unfit_descriptors_are_refused_and_left_alone(void **state)
{
    const struct fixture *fixture = *state;
    struct listener listener;
    char directory[128];
    int unfit[4];

    (void)snprintf(directory, sizeof directory, "%s/run", fixture->directory);
    assert_int_equal(mkdir(directory, 0750), 0);
    unfit[0] = bound_unix(fixture->path, SOCK_STREAM); /* does not listen */
    unfit[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unfit[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    unfit[3] = abstract_listener();
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        assert_int_equal(listener_adopt(&listener, LISTENER_INGEST, unfit[i]), WERR_INVALID);
        assert_int_equal(listener_adopt(&listener, LISTENER_HTTP, unfit[i]), WERR_INVALID);
        assert_int_equal(close(unfit[i]), 0); /* still ours */
    }
    assert_int_equal(listener_adopt(&listener, LISTENER_INGEST, -1), WERR_INVALID);
    assert_int_equal(access(fixture->path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modes_are_as_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(second_instance_is_refused_and_first_lives_on, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_socket_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(live_socket_of_somebody_else_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(ordinary_file_is_never_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(group_is_that_of_socket_and_of_a_new_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_paths_and_groups_are_refused, setup, teardown),
        cmocka_unit_test(tcp_addresses),
        cmocka_unit_test_setup_teardown(passed_unix_socket_is_used_and_never_removed, setup, teardown),
        cmocka_unit_test(passed_tcp_socket_is_used),
        cmocka_unit_test_setup_teardown(unfit_descriptors_are_refused_and_left_alone, setup, teardown),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
