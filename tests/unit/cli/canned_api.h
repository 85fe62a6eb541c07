/*
 * What the tests of commands that ask the API share: a socket on which a thread answers each GET with the
 * next of the prepared answers (the last one again and again), and what a command printed.
 */
#ifndef WEFT_TESTS_CLI_CANNED_API_H
#define WEFT_TESTS_CLI_CANNED_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CANNED_ANSWER_MAX = 8, CANNED_REQUEST_MAX = 16, CANNED_LINE_BYTES = 1024, PRINTED_BYTES = 1 << 20 };

struct canned_api {
    char directory[64];
    struct sockaddr_un address;
    int fd;
    pthread_t thread;
    int status;
    const char *answers[CANNED_ANSWER_MAX];
    int answer_count;
    char requests[CANNED_REQUEST_MAX][CANNED_LINE_BYTES]; /* request lines, in order */
    int request_count;
    char printed[PRINTED_BYTES]; /* standard output of the last command */
    int code;                    /* its exit code */
};

static inline void canned_serve(struct canned_api *api, int fd)
{
    char request[8192];
    char head[256];
    size_t length = 0;
    ssize_t more;

    while (
        length + 1 < sizeof request && (more = read(fd, request + length, sizeof request - 1 - length)) > 0) {
        length += (size_t)more;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL) {
            break;
        }
    }
    request[length] = '\0';
    int number = api->request_count;
    char *end = strstr(request, "\r\n");
    if (end != NULL && number < CANNED_REQUEST_MAX) {
        *end = '\0';
        (void)snprintf(api->requests[number], CANNED_LINE_BYTES, "%.*s", CANNED_LINE_BYTES - 1, request);
        api->request_count++;
    }
    const char *body = api->answers[number < api->answer_count ? number : api->answer_count - 1];
    int head_length = snprintf(head, sizeof head,
        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
        api->status, strlen(body));
    (void)!write(fd, head, (size_t)head_length);
    (void)!write(fd, body, strlen(body));
}

static inline void *canned_run(void *user)
{
    struct canned_api *api = user;
    int fd;

    while ((fd = accept(api->fd, NULL, NULL)) >= 0) {
        canned_serve(api, fd);
        close(fd);
    }
    return NULL;
}

static inline int canned_setup(void **state)
{
    struct canned_api *api = calloc(1, sizeof *api);

    assert_non_null(api);
    (void)snprintf(api->directory, sizeof api->directory, "/tmp/weft-cli-XXXXXX");
    assert_non_null(mkdtemp(api->directory));
    api->address.sun_family = AF_UNIX;
    (void)snprintf(api->address.sun_path, sizeof api->address.sun_path, "%s/api.sock", api->directory);
    api->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(api->fd >= 0);
    assert_int_equal(bind(api->fd, (struct sockaddr *)&api->address, sizeof api->address), 0);
    assert_int_equal(listen(api->fd, 8), 0);
    api->status = 200;
    assert_int_equal(pthread_create(&api->thread, NULL, canned_run, api), 0);
    *state = api;
    return 0;
}

static inline int canned_teardown(void **state)
{
    struct canned_api *api = *state;

    (void)shutdown(api->fd, SHUT_RDWR); /* accept returns */
    assert_int_equal(pthread_join(api->thread, NULL), 0);
    close(api->fd);
    (void)unlink(api->address.sun_path);
    (void)rmdir(api->directory);
    free(api);
    return 0;
}

static inline void canned_answer(struct canned_api *api, int status, const char *body)
{
    api->status = status;
    api->answers[0] = body;
    api->answer_count = 1;
    api->request_count = 0;
}

/* Runs a command with --api and the arguments (NULL-terminated); standard error stays as it is. */
static inline const char *canned_command(
    struct canned_api *api, int (*command)(int argc, char **argv), const char *const *arguments)
{
    char *argv[24] = {"command", "--api", api->address.sun_path};
    int argc = 3;
    FILE *file = tmpfile();
    int saved = dup(STDOUT_FILENO);

    assert_non_null(file);
    for (; *arguments != NULL; arguments++) {
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    optind = 0; /* getopt begins anew */
    api->code = command(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    size_t length = fread(api->printed, 1, sizeof api->printed - 1, file);
    api->printed[length] = '\0';
    assert_int_equal(fclose(file), 0);
    return api->printed;
}

#define COMMAND(api, command, ...) canned_command((api), (command), (const char *const[]){__VA_ARGS__, NULL})

/* Whether anything in it could command a terminal. */
static inline bool is_inert(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < 0x20 && *text != '\n') || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("no \"%s\" in:\n%s\n", part, text);
        fail();
    }
}

#endif
